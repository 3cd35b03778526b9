"""The document encoders that are evaluated: text for the teacher, packs for CEM.

Neither opens a frame: the teacher has the text from the collection, CEM has the pack. This module must never
import ``cem_rag_app.zpkg.late`` (I1).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cem_rag_app.cem.pair import FrameEncoder
from cem_rag_app.cem.teachers.base import TextEncoder, unit_rows
from cem_rag_app.cem.teachers.registry import EMBEDDED_ZH, choose_teacher
from cem_rag_app.chunking import split_text
from cem_rag_app.schema import FloatArray
from cem_rag_app.settings import PackSettings
from cem_rag_app.zpkg.compress import Compressor
from cem_rag_app.zpkg.dictionary import Dictionary, general_dictionary, train_dictionary
from cem_rag_app.zpkg.reader import open_pack
from cem_rag_app.zpkg.writer import PackWriter


@dataclass(frozen=True, slots=True)
class PackedCorpus:
    """A corpus as the store would hold it, and where each document lies. The pack knows no ids (I3)."""

    path: Path
    places: dict[str, range]
    """Corpus id -> numbers of its chunks."""
    text_bytes: int
    pack_bytes: int


class TextDocuments:
    """The text baseline: documents are read as text, by the teacher."""

    def __init__(self, corpus: Mapping[str, str], encoder: TextEncoder) -> None:
        self._corpus = corpus
        self._encoder = encoder

    def encode_corpus_ids(self, corpus_ids: Sequence[str]) -> FloatArray:
        """Return vectors of the documents' texts, (n, d) float32, unit rows."""
        return self._encoder.encode_documents([self._corpus[document] for document in corpus_ids])

    def encode_queries(self, texts: Sequence[str]) -> FloatArray:
        """Return vectors of the queries, (n, d) float32, unit rows."""
        return self._encoder.encode_queries(texts)


class PackDocuments:
    """CEM: documents are read as compressed bytes; a document of several chunks is the mean of their vectors."""

    def __init__(self, packed: PackedCorpus, document: FrameEncoder, query: TextEncoder) -> None:
        self._packed = packed
        self._document = document
        self._query = query

    def encode_corpus_ids(self, corpus_ids: Sequence[str]) -> FloatArray:
        """Return vectors of the documents' frames, (n, d) float32, unit rows."""
        places = [self._packed.places[document] for document in corpus_ids]
        with open_pack(self._packed.path) as reader:
            frames = [reader[number] for place in places for number in place]
            vectors = self._document.encode(frames, reader.dictionary)
        if len(vectors) == len(places):
            return vectors
        starts = np.cumsum([0, *map(len, places[:-1])])
        sums: FloatArray = np.add.reduceat(vectors, starts, axis=0)
        return unit_rows(sums)

    def encode_queries(self, texts: Sequence[str]) -> FloatArray:
        """Return vectors of the queries by the teacher whose space the documents live in."""
        return self._query.encode_queries(texts)


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
        parts = [text] if chunk_target is None else split_text(text, chunk_target) or [text]
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
