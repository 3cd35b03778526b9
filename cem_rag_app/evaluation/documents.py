"""The document encoders that are evaluated: text for the teacher, packs for CEM.

Neither opens a frame: the teacher has the text from the collection, CEM has the pack. This module must never
import ``cem_rag_app.zpkg.late`` (I1).
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeVar

import numpy as np

from cem_rag_app.cem.pair import FrameEncoder, QueryEncoder
from cem_rag_app.cem.teachers.base import TextEncoder, unit_rows
from cem_rag_app.cem.teachers.registry import EMBEDDED_ZH, choose_teacher
from cem_rag_app.chunking import split_text
from cem_rag_app.evaluation.retrieval import Bounds
from cem_rag_app.schema import FloatArray
from cem_rag_app.settings import PackSettings
from cem_rag_app.zpkg.compress import Compressor
from cem_rag_app.zpkg.dictionary import Dictionary, general_dictionary, train_dictionary
from cem_rag_app.zpkg.reader import open_pack
from cem_rag_app.zpkg.writer import PackWriter

Thing = TypeVar("Thing", bound=Hashable)


@dataclass(frozen=True, slots=True)
class PackedCorpus:
    """A corpus as the store would hold it, and where each document lies. The pack knows no ids (I3)."""

    path: Path
    places: dict[str, range]
    """Corpus id -> numbers of its chunks."""
    text_bytes: int
    pack_bytes: int


Pooling = Literal["mean", "max", "whole"]
"""How a document longer than a chunk is read: mean of its chunks' vectors, its best chunk, or all at once."""

POOLINGS: dict[Pooling, str] = {
    "mean": "mean of chunk vectors",
    "max": "best chunk",
    "whole": "whole document",
}
"""As reports word it."""


class TextDocuments:
    """The text baseline: documents are read as text, by the teacher.

    Args:
        corpus: corpus id to text.
        encoder: reads text; what exceeds its window is lost to it.
        chunk_target: bytes of a chunk; None gives it each document whole.
    """

    def __init__(self, corpus: Mapping[str, str], encoder: TextEncoder, *, chunk_target: int | None = None) -> None:
        self._corpus = corpus
        self._encoder = encoder
        self._chunk_target = chunk_target

    def encode_corpus_ids(self, corpus_ids: Sequence[str]) -> FloatArray:
        """Return vectors of the documents' texts, means of their chunks' where there are several.

        Returns:
            (n, d) float32, unit rows.
        """
        return mean_of_chunks(*self.encode_corpus_chunks(corpus_ids))

    def encode_corpus_chunks(self, corpus_ids: Sequence[str]) -> tuple[FloatArray, Bounds]:
        """Return vectors of the chunks of documents, (m, d) float32, unit rows, and where each document's lie."""
        parts = [chunks_of(self._corpus[document], self._chunk_target) for document in corpus_ids]
        texts = [part for document in parts for part in document]
        return once_each(self._encoder.encode_documents, texts), _bounds([len(document) for document in parts])

    def encode_queries(self, texts: Sequence[str]) -> FloatArray:
        """Return vectors of the queries, (n, d) float32, unit rows."""
        return self._encoder.encode_queries(texts)


class PackDocuments:
    """CEM: documents are read as compressed bytes, chunk by chunk, out of a pack."""

    def __init__(self, packed: PackedCorpus, document: FrameEncoder, query: QueryEncoder) -> None:
        self._packed = packed
        self._document = document
        self._query = query

    def encode_corpus_ids(self, corpus_ids: Sequence[str]) -> FloatArray:
        """Return vectors of the documents' frames, means of their chunks' where there are several.

        Returns:
            (n, d) float32, unit rows.
        """
        return mean_of_chunks(*self.encode_corpus_chunks(corpus_ids))

    def encode_corpus_chunks(self, corpus_ids: Sequence[str]) -> tuple[FloatArray, Bounds]:
        """Return vectors of the frames of documents, (m, d) float32, unit rows, and where each document's lie."""
        places = [self._packed.places[document] for document in corpus_ids]
        with open_pack(self._packed.path) as reader:
            frames = [reader[number] for place in places for number in place]
            vectors = once_each(lambda some: self._document.encode(some, reader.dictionary), frames)
        return vectors, _bounds([len(place) for place in places])

    def encode_queries(self, texts: Sequence[str]) -> FloatArray:
        """Return vectors of the queries by the teacher whose space the documents live in."""
        return self._query.encode_queries(texts)


def mean_of_chunks(vectors: FloatArray, bounds: Bounds) -> FloatArray:
    """Return one vector a document: the mean of its chunks', scaled to length 1.

    Args:
        vectors: (m, d) float32, of chunks.
        bounds: (n + 1,), each document with at least one chunk.

    Returns:
        (n, d) float32, unit rows; the vectors themselves where every document is one chunk.
    """
    if len(vectors) == len(bounds) - 1:
        return vectors
    sums: FloatArray = np.add.reduceat(vectors, bounds[:-1], axis=0)
    return unit_rows(sums)


def chunks_of(text: str, chunk_target: int | None) -> list[str]:
    """Return the chunks of a document: at least one, the text itself where it is not cut."""
    return [text] if chunk_target is None else split_text(text, chunk_target) or [text]


def once_each(encode: Callable[[list[Thing]], FloatArray], things: Sequence[Thing]) -> FloatArray:
    """Encode equal things once: a vector depends on its own text or frame alone, and filler repeats itself.

    Returns:
        (n, d) float32, a row for every thing.
    """
    number: dict[Thing, int] = {}
    rows = [number.setdefault(thing, len(number)) for thing in things]
    return encode(list(number))[rows]


def _bounds(counts: Sequence[int]) -> Bounds:
    return np.cumsum([0, *counts], dtype=np.int64)


def pack_corpus(
    corpus: Mapping[str, str], path: Path, settings: PackSettings, *, chunk_target: int | None
) -> PackedCorpus:
    """Compress a corpus as the store does: its own dictionary when it is large enough, else a shipped one.

    Args:
        corpus: corpus id to text.
        path: where the pack is written.
        settings: level and dictionary.
        chunk_target: bytes of text a chunk aims for; None makes every document one chunk.
    """
    places: dict[str, range] = {}
    chunks: list[bytes] = []
    for document, text in corpus.items():
        parts = chunks_of(text, chunk_target)
        places[document] = range(len(chunks), len(chunks) + len(parts))
        chunks += [part.encode() for part in parts]
    dictionary = pack_dictionary(chunks, list(corpus.values()), settings)
    compressor = Compressor(dictionary, settings.level)
    with PackWriter(path, dictionary) as writer:
        for chunk in chunks:
            writer.add(compressor.compress(chunk))
        info = writer.seal()
    return PackedCorpus(path, places, sum(map(len, chunks)), info.size)


def pack_dictionary(chunks: Sequence[bytes], sample: Sequence[str], settings: PackSettings) -> Dictionary:
    """Train a dictionary on the chunks when they are enough for one, else take the shipped one of their language."""
    if len(chunks) >= settings.own_dictionary_from:
        return train_dictionary(chunks, settings.dictionary_size)
    return general_dictionary("zh" if choose_teacher(sample[:1000]) == EMBEDDED_ZH else "en")
