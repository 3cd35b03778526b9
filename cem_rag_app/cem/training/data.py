"""What a training run reads: compressed passages with their teacher's vectors, and held-out query-passage pairs."""

from __future__ import annotations

import gzip
import hashlib
import os
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cem_rag_app.cem.teacher_cache import TeacherCache
from cem_rag_app.cem.teachers.base import IdentifiedEncoder, unit_rows
from cem_rag_app.cem.training.base import FrameSet, Rows, Tell
from cem_rag_app.cem.training.config import TrainingConfig
from cem_rag_app.errors import DimensionError, EmptyInputError
from cem_rag_app.schema import FloatArray
from cem_rag_app.zpkg.compress import Compressor
from cem_rag_app.zpkg.dictionary import Dictionary, general_dictionary, train_dictionary

_BLOCK = 4096
_DICTIONARY_SAMPLES = 40_000


@dataclass(frozen=True, eq=False)
class Targets:
    """The teacher's vectors of passages, left where they are stored.

    Attributes:
        stored: (m, d) float16 or float32, usually memory-mapped.
        rows: (n,) int64, the row of each passage.
    """

    stored: NDArray[Any]
    rows: Rows

    def __len__(self) -> int:
        """Number of passages."""
        return int(self.rows.size)

    def take(self, passages: Rows | slice) -> FloatArray:
        """Vectors of some passages: ``(k, d)`` float32, unit rows."""
        return unit_rows(np.asarray(self.stored[self.rows[passages]], dtype=np.float32))

    def only(self, passages: Rows | slice) -> Targets:
        """The same vectors for some of the passages."""
        return Targets(self.stored, self.rows[passages])


@dataclass(frozen=True, eq=False)
class TrainingData:
    """Passages as text and as frames, and what the teacher says of them.

    Attributes:
        corpus: every text there is, for counting what is frequent.
        frames: of the passages to train on.
        targets: the teacher's vectors of these.
        held: frames kept for measuring.
        held_targets: (h, d) float32.
        pairs: frames of the passages that answer the held-out queries; may be empty.
        pair_queries: (p, d) float32, the teacher's vectors of the queries, in the order of ``pairs``.
        pair_targets: (p, d) float32, the teacher's vectors of the passages.
        cache: for what else the teacher is asked.
    """

    corpus: Sequence[str]
    frames: FrameSet
    targets: Targets
    held: FrameSet
    held_targets: FloatArray
    pairs: FrameSet
    pair_queries: FloatArray
    pair_targets: FloatArray
    cache: TeacherCache

    @property
    def dimension(self) -> int:
        """Width of the teacher's vectors."""
        return int(self.held_targets.shape[1])

    @cached_property
    def digest(self) -> str:
        """Fingerprint of everything that is trained on and measured with, bytes and order."""
        state = hashlib.blake2b(digest_size=16)
        for text in self.corpus:  # features are counted in all of it, also where the teacher said nothing
            state.update(text.encode("utf-8", "surrogatepass") + b"\n")
        for frames in (self.frames, self.held, self.pairs):
            for dictionary in frames.dictionaries:
                state.update(dictionary.digest.encode())
            state.update(frames.dictionary_of.tobytes())
            for frame in frames.frames:
                state.update(len(frame).to_bytes(4, "little"))
                state.update(frame)
        for start in range(0, len(self.targets), _BLOCK):
            state.update(self.targets.take(slice(start, start + _BLOCK)).tobytes())
        for vectors in (self.held_targets, self.pair_queries, self.pair_targets):
            state.update(vectors.tobytes())
        return state.hexdigest()


def gather(config: TrainingConfig, teacher: IdentifiedEncoder, tell: Tell) -> TrainingData:
    """Read the texts and their teacher's vectors, hold some out, and compress them.

    The last passages are held out, and so is every passage that answers one of the pairs. What the teacher is asked is
    kept in ``config.cache``, queries too.

    Raises:
        EmptyInputError: too few passages.
        DimensionError: the vectors given are not the teacher's.
    """
    folder = config.cache or config.output / "teacher-cache"
    cache = TeacherCache(folder, teacher)
    tell(0, 0, "reading texts")
    texts = read_texts(config.texts, config.limit)
    corpus = [text for text in texts if text]
    queries, passages = ([], []) if config.pairs is None else read_pairs(config.pairs, config)
    texts, targets = _taught(config, texts, cache, teacher, tell)
    hidden = set(passages)
    kept = np.array([number for number, text in enumerate(texts) if text not in hidden], dtype=np.int64)
    texts = [texts[number] for number in kept]
    if len(texts) < 2 * config.held_out:
        raise EmptyInputError(
            f"{len(texts)} passages are too few to hold {config.held_out} of them out.",
            file=config.texts,
            remedy="Give more passages, or a smaller held_out.",
        )
    targets = targets.only(kept)
    cut = len(texts) - config.held_out
    dictionaries = _dictionaries(config, texts[:cut])
    nothing = np.zeros((0, teacher.dimension), dtype=np.float32)
    return TrainingData(
        corpus=corpus,
        frames=compress(texts[:cut], dictionaries, config.level, tell),
        targets=targets.only(slice(cut)),
        held=compress(texts[cut:], dictionaries[:1], config.level),
        held_targets=targets.take(slice(cut, None)),
        pairs=compress(passages, dictionaries[:1], config.level),
        pair_queries=TeacherCache(folder, teacher, side="query").encode(queries) if queries else nothing,
        pair_targets=cache.encode(passages) if passages else nothing,
        cache=cache,
    )


def read_texts(path: Path, limit: int = 0) -> list[str]:
    """Read a passage a line, from ``.txt`` or ``.txt.gz``; empty lines keep their number.

    Raises:
        EmptyInputError: the file has no text.
    """
    data = path.read_bytes()
    text = (gzip.decompress(data) if path.suffix == ".gz" else data).decode("utf-8")
    lines = text.splitlines()
    if not any(lines):
        raise EmptyInputError("There is no text to train on.", file=path, remedy="Give a file with a passage a line.")
    return lines[:limit] if limit else lines


def read_pairs(path: Path, config: TrainingConfig) -> tuple[list[str], list[str]]:
    """Read every n-th pair of the kinds wanted, spread over the file; no query and no passage comes twice.

    Raises:
        EmptyInputError: there is none of these kinds.
    """
    rows = [line.split("\t") for line in path.read_text(encoding="utf-8").splitlines()]
    rows = [row for row in rows if len(row) == 3 and (not config.pair_kinds or row[0] in config.pair_kinds)]
    if not rows:
        raise EmptyInputError("There are no pairs of the kinds wanted.", file=path, remedy="Name other --pairs.")
    count = config.held_out_pairs
    queries: list[str] = []
    passages: list[str] = []
    seen: set[str] = set()
    for _, query, passage in rows[:: max(1, len(rows) // (count + count // 4 + 1))]:
        if len(queries) < count and query not in seen and passage not in seen and len(passage) > 80:
            queries.append(query)
            passages.append(passage)
            seen.update((query, passage))
    return queries, passages


def compress(
    texts: Sequence[str], dictionaries: Sequence[Dictionary], level: int, tell: Tell | None = None
) -> FrameSet:
    """Compress texts on every core, a share with each dictionary."""
    frames: list[bytes] = []
    of = (np.arange(len(texts)) * len(dictionaries) // max(1, len(texts))).astype(np.uint8)
    compressors = [Compressor(dictionary, level) for dictionary in dictionaries]

    def block(start: int) -> list[bytes]:
        end = min(start + _BLOCK, len(texts))
        return [compressors[of[row]].compress(texts[row].encode()) for row in range(start, end)]

    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        for part in pool.map(block, range(0, len(texts), _BLOCK)):
            frames += part
            if tell is not None:
                tell(len(frames), len(texts), "compressing")
    return FrameSet(frames, dictionaries, of)


def _dictionaries(config: TrainingConfig, texts: Sequence[str]) -> list[Dictionary]:
    step = max(1, len(texts) // _DICTIONARY_SAMPLES)
    return [
        general_dictionary(config.language)
        if kind == "general"
        else train_dictionary([text.encode() for text in texts[::step]])
        for kind in config.dictionaries
    ]


def _taught(
    config: TrainingConfig, texts: list[str], cache: TeacherCache, teacher: IdentifiedEncoder, tell: Tell
) -> tuple[list[str], Targets]:
    """The texts that have vectors, or all after asking the teacher, and where their vectors lie."""
    if config.vectors is None:
        texts = [text for text in texts if text]
        cache.fill(texts, progress=lambda done, total: tell(done, total, "asking the teacher"))
        return texts, Targets(*cache.locate(texts))
    vectors = np.load(config.vectors, mmap_mode="r")
    if vectors.ndim != 2 or vectors.shape[1] != teacher.dimension:
        raise DimensionError(f"{config.vectors} holds no vectors of {config.teacher}.", remedy="Name another file.")
    # A file that is still being filled ends in zeros.
    rows = np.flatnonzero(np.concatenate(list(_filled(vectors[: len(texts)]))))
    return [texts[row] for row in rows], Targets(vectors, rows)


def _filled(vectors: NDArray[Any]) -> Iterable[NDArray[np.bool_]]:
    for start in range(0, max(1, len(vectors)), _BLOCK):
        yield np.any(vectors[start : start + _BLOCK], axis=1)
