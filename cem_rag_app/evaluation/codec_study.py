"""Quality against compression: what a level, a dictionary, raw literals and a chunk size cost and save.

Every point compresses the same collections in one way and asks one view for their vectors: retrieval, bytes and speed.
Nothing is decompressed (I1). ``scripts/codec_study.py`` runs the grid and draws it; docs/codec-study.md reads it.
"""

from __future__ import annotations

import dataclasses
import hashlib
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from cem_rag_app.cem.pair import FrameEncoder, QueryEncoder
from cem_rag_app.cem.students.base import StagedStudent
from cem_rag_app.cem.symbols.survey import count_symbols
from cem_rag_app.errors import CheckpointError, SettingsError
from cem_rag_app.evaluation.codec_frames import Compression, compress, study_dictionary
from cem_rag_app.evaluation.collections import Collection
from cem_rag_app.evaluation.documents import chunks_of, mean_of_chunks
from cem_rag_app.evaluation.frame_probe import COLUMNS, FrameProbe, fit_probe
from cem_rag_app.evaluation.metrics import retrieval_metrics
from cem_rag_app.evaluation.retrieval import Bounds, search
from cem_rag_app.evaluation.timing import Stopwatch
from cem_rag_app.schema import FloatArray
from cem_rag_app.zpkg.dictionary import Dictionary

PROBE = "probe"
TEXT_PROBE = "probe-text"
TIMED = 512
HELD_OUT = 2_000
MEASURE = "ndcg@10"


@dataclass(frozen=True, eq=False)
class StudyData:
    """What a study reads.

    Attributes:
        collections: measured on, and never trained on.
        passages: of the training corpus: dictionaries are trained on them.
        probe: the first of those, as many as there are rows of ``vectors``.
        vectors: (n, d) float32, unit rows: the teacher's vectors of ``probe``.
        queries: the teacher, for the collections' questions.
    """

    collections: Sequence[Collection]
    passages: Sequence[bytes]
    vectors: FloatArray
    queries: QueryEncoder

    @property
    def probe(self) -> Sequence[bytes]:
        """Passages that probes are fitted on."""
        return self.passages[: len(self.vectors)]


class CodecStudy:
    """Measures points one by one.

    Args:
        data: collections, corpus and teacher.
        students: by system; probes need none.
        watch: rounds and clock; as a rule the process's own time, so that a busy neighbour does not count.
        held_out: passages of the probe's that it is not fitted on.
        columns: of the probe.
    """

    def __init__(
        self,
        data: StudyData,
        students: Mapping[str, FrameEncoder],
        *,
        watch: Stopwatch | None = None,
        held_out: int = HELD_OUT,
        columns: int = COLUMNS,
    ) -> None:
        self._data = data
        self._students = dict(students)
        self._watch = watch or Stopwatch(rounds=2, clock=time.process_time)
        self._held_out = held_out
        self._columns = columns
        self._questions = {
            collection.name: data.queries.encode_queries(list(collection.queries.values()))
            for collection in data.collections
        }
        self._scores: dict[tuple[str, str, str], float] = {}
        self._chunks = lru_cache(maxsize=4)(self._cut)
        self._frames = lru_cache(maxsize=2)(self._compress)
        self._dictionary = lru_cache(maxsize=4)(lambda name: study_dictionary(name, data.passages))

    def measure(self, view: str, compression: Compression) -> dict[str, Any]:
        """Measure one point.

        Args:
            view: a system of the students', ``probe`` or ``probe-text``.
            compression: how the chunks are compressed; ``probe-text`` reads them uncompressed.

        Returns:
            The point, ready for JSON. ``refused`` says why a view cannot read such frames, and there is no score then.

        Raises:
            SettingsError: there is no such view or dictionary.
        """
        if view not in self._students and view not in (PROBE, TEXT_PROBE):
            raise SettingsError(
                f"The study has no view {view!r}.", remedy=f"Take {', '.join(self._students)} or probe."
            )
        point: dict[str, Any] = {"view": view, **dataclasses.asdict(compression)}
        packs = self._frames(compression)
        chunks = [chunk for name in packs for chunk in self._chunks(name, compression.chunk_target)[0]]
        frames = [frame for pack, _ in packs.values() for frame in pack]
        stored = chunks if view == TEXT_PROBE else frames
        counts = [count_symbols(pack, dictionary) for pack, dictionary in packs.values()]
        point |= {
            "chunks": len(chunks),
            "text_bytes": sum(map(len, chunks)),
            "bytes_per_chunk": round(sum(map(len, stored)) / len(stored), 2),
            "share": round(sum(map(len, stored)) / sum(map(len, chunks)), 4),
            "dictionary_bytes": max(len(dictionary.data) for _, dictionary in packs.values()),
            "literals": round(sum(int(count.literals.sum()) for count in counts) / len(frames), 1),
            "sequences": round(sum(int(count.sequences.sum()) for count in counts) / len(frames), 1),
        }
        if view in self._students:
            return point | self._student_point(view, compression)
        return point | self._probe_point(view, compression)

    def _student_point(self, view: str, compression: Compression) -> dict[str, Any]:
        encoder = self._students[view]
        with_threads = getattr(encoder, "with_threads", None)
        alone = encoder if with_threads is None else with_threads(1)
        packs = self._frames(compression)
        some, dictionary = next(iter(packs.values()))
        some = some[:TIMED]
        try:
            encoder.encode(some, dictionary)
        except CheckpointError as error:
            return {"refused": str(error)}
        student = getattr(encoder, "student", None)
        speeds = {"parser": self._watch.speed(lambda frames: count_symbols(frames, dictionary), some).best}
        if isinstance(student, StagedStudent):
            staged = student
            speeds["reading"] = self._watch.speed(lambda frames: staged.read(frames, dictionary), some).best
        speeds["whole"] = self._watch.speed(lambda frames: alone.encode(frames, dictionary), some).best
        scores = {}
        known = True
        for collection in self._data.collections:
            frames, dictionary = packs[collection.name]
            key = (view, collection.name, _fingerprint(student, frames, dictionary))
            if key not in self._scores or not isinstance(student, StagedStudent):
                known = False
                vectors = encoder.encode(frames, dictionary)
                self._scores[key] = self._score(collection, vectors, compression.chunk_target)
            scores[collection.name] = self._scores[key]
        return {
            MEASURE: scores,
            "chunks_per_second": {name: round(speed, 1) for name, speed in speeds.items()},
            "same_input": known,
        }

    def _probe_point(self, view: str, compression: Compression) -> dict[str, Any]:
        if compression.dictionary == "own":
            raise SettingsError(
                "A probe is fitted on the training corpus, and a collection's own dictionary is not that corpus's.",
                remedy="Take the dictionary general, none or corpus-BYTES.",
            )
        dictionary = self._dictionary(compression.dictionary)
        passages = list(self._data.probe)
        given = passages if view == TEXT_PROBE else compress(passages, dictionary, compression)
        probe: FrameProbe = fit_probe(given, self._data.vectors, held_out=self._held_out, columns=self._columns)
        scores = {}
        for collection in self._data.collections:
            chunks, _ = self._chunks(collection.name, compression.chunk_target)
            stored = chunks if view == TEXT_PROBE else self._frames(compression)[collection.name][0]
            scores[collection.name] = self._score(collection, probe.encode(stored), compression.chunk_target)
        return {
            MEASURE: scores,
            "probe": {
                "passages": len(given) - self._held_out,
                "ridge": probe.ridge,
                "self_retrieval": round(probe.self_retrieval, 4),
            },
        }

    def _score(self, collection: Collection, vectors: FloatArray, chunk_target: int) -> float:
        _, bounds = self._chunks(collection.name, chunk_target)
        documents = _Vectors(mean_of_chunks(vectors, bounds), self._questions[collection.name])
        run = search(documents, list(collection.corpus), collection.queries)
        return round(retrieval_metrics(run, collection.qrels)[MEASURE], 5)

    def _cut(self, name: str, chunk_target: int) -> tuple[list[bytes], Bounds]:
        """Chunks of a collection, and where each document's begin."""
        collection = next(one for one in self._data.collections if one.name == name)
        parts = [chunks_of(text, chunk_target) for text in collection.corpus.values()]
        bounds = np.cumsum([0, *map(len, parts)], dtype=np.int64)
        return [part.encode() for document in parts for part in document], bounds

    def _compress(self, compression: Compression) -> dict[str, tuple[list[bytes], Dictionary]]:
        """Frames of every collection, and their dictionary: its own where that is asked for."""
        packs = {}
        for collection in self._data.collections:
            chunks, _ = self._chunks(collection.name, compression.chunk_target)
            if compression.dictionary == "own":
                dictionary = study_dictionary("own", chunks)
            else:
                dictionary = self._dictionary(compression.dictionary)
            packs[collection.name] = (compress(chunks, dictionary, compression), dictionary)
        return packs


class _Vectors:
    """Documents and questions whose vectors are known."""

    def __init__(self, documents: FloatArray, questions: FloatArray) -> None:
        self._documents = documents
        self._questions = questions

    def encode_corpus_ids(self, corpus_ids: Sequence[str]) -> FloatArray:
        return self._documents

    def encode_queries(self, texts: Sequence[str]) -> FloatArray:
        return self._questions


def _fingerprint(student: object, frames: Sequence[bytes], dictionary: Dictionary) -> str:
    """What a student's model is given of these frames: equal fingerprints, equal vectors, so none is computed twice.

    Empty for a student whose halves cannot be asked apart.
    """
    if not isinstance(student, StagedStudent):
        return ""
    digest = hashlib.blake2b(digest_size=16)
    for start in range(0, len(frames), 1024):
        read = student.read(frames[start : start + 1024], dictionary)
        for field in dataclasses.fields(read):
            digest.update(np.ascontiguousarray(getattr(read, field.name)).tobytes())
    return digest.hexdigest()
