"""The embedded Chinese text encoder: a table of n-gram vectors that ships with the package.

A text's vector is the sum of the vectors of its n-grams (``cem_rag_app.cem.teachers.ngrams``), scaled to length 1.
It is linear before that scaling on purpose: a student that recovers the n-grams of a text from its compressed bytes
can share the table itself. The first columns of a row are learned and say what it is about. The other 256 are a
direction of its own: signs drawn from a hash of its key, times a weight made from its IDF, so that two texts with the
same rare word are near whatever the topics say (a random projection of TF-IDF). A question is often a whole stretch of
talk; in it the count of an n-gram is raised to ``query_power`` (1 changes nothing, .5 takes the square root), so that
what is said again and again need not drown the rest.
Inference needs numpy and numba alone. How the table was made, from what, and how good it
is: ``docs/teachers.md``; the command is ``python -m scripts.train_embedded_zh``.

The artefact is ``embedded_zh.safetensors``: ``fold`` uint16 (65536,), ``keys`` int64 (v,), ``buckets`` int32 (2,),
``topics`` int8 (n, t), ``topic_scales`` float32 (n,), ``weights`` float32 (n,); n = v + the sum of the buckets.
A vector has t + 256 numbers. ``query_power`` float32 (1,) may be absent and is 1 then.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cem_rag_app.cem.teachers.base import unit_rows
from cem_rag_app.errors import CheckpointError
from cem_rag_app.schema import FloatArray

SHIPPED = Path(__file__).with_name("embedded_zh.safetensors")

_REMEDY = "Reinstall cem-rag, or make it with python -m scripts.train_embedded_zh."

OWN_COLUMNS = 256


@dataclass(frozen=True)
class NgramTable:
    """The artefact in memory.

    ``fold`` uint16 (65536,); ``keys`` int64 (v,), the n-grams of the first v rows; ``buckets`` int32 (2,), how many
    rows unknown tokens and unknown pairs share; ``table`` int8 (n, d); ``scales`` float32 (n,): the vector of row r is
    ``scales[r] * table[r]``; ``slots`` int32, the open-addressing index of ``keys``; ``query_power``, what the count of
    an n-gram is raised to in a question (in a document it counts as often as it occurs).
    """

    fold: NDArray[np.uint16]
    keys: NDArray[np.int64]
    buckets: NDArray[np.int32]
    table: NDArray[np.int8]
    scales: NDArray[np.float32]
    slots: NDArray[np.int32]
    query_power: float = 1.0

    @classmethod
    def load(cls, path: Path = SHIPPED) -> NgramTable:
        """Read and check the artefact.

        Raises:
            CheckpointError: it is missing, damaged, or not of the shapes above.
        """
        from safetensors import SafetensorError
        from safetensors.numpy import load_file

        try:
            parts = load_file(path)
            fold, keys, buckets, topics, scales, weights = (
                parts[name] for name in ("fold", "keys", "buckets", "topics", "topic_scales", "weights")
            )
        except (OSError, SafetensorError, KeyError) as error:
            raise CheckpointError(f"The Chinese table {path} cannot be read: {error}.", remedy=_REMEDY) from error
        shared = buckets.shape == (2,) and buckets.dtype == np.int32 and buckets.min() >= 0
        if not shared or keys.ndim != 1 or topics.ndim != 2:
            raise CheckpointError(f"The parts of {path} do not have the shapes of such a table.", remedy=_REMEDY)
        rows = keys.size + int(buckets.sum())
        power = parts.get("query_power", np.ones(1, dtype=np.float32))
        for part, kind, shape in (
            (fold, "uint16", (65536,)),
            (keys, "int64", (keys.size,)),
            (topics, "int8", (rows, topics.shape[1])),
            (scales, "float32", (rows,)),
            (weights, "float32", (rows,)),
            (power, "float32", (1,)),
        ):
            if part.dtype != kind or part.shape != shape:
                found = f"{part.dtype}{part.shape}"
                raise CheckpointError(f"A part of {path} is {found}, not {kind}{shape}.", remedy=_REMEDY)
        table, scales = quantise(full_rows(topics * scales[:, None], weights, keys, buckets))
        return cls.index(fold, keys, buckets, table, scales, query_power=float(power[0]))

    @classmethod
    def index(
        cls,
        fold: NDArray[np.uint16],
        keys: NDArray[np.int64],
        buckets: NDArray[np.int32],
        table: NDArray[np.int8],
        scales: NDArray[np.float32],
        query_power: float = 1.0,
    ) -> NgramTable:
        """Build the index over the keys."""
        from cem_rag_app.cem.teachers.ngrams import build_slots

        slots = np.full(1 << (int(keys.size * 2).bit_length()), -1, dtype=np.int32)
        build_slots(keys, slots)
        return cls(fold, keys, buckets, table, scales, slots, query_power)

    @property
    def dimension(self) -> int:
        """Width of a vector."""
        return int(self.table.shape[1])

    def sum(self, data: bytes) -> FloatArray:
        """Sum of the vectors of a text's n-grams, ``(d,)`` float32, not normalised; ``data`` is its UTF-8."""
        from cem_rag_app.cem.teachers.ngrams import add_rows

        out: FloatArray = np.zeros(self.dimension, dtype=np.float32)
        add_rows(self._rows(data), self.table, self.scales, out)
        return out

    def query_sum(self, data: bytes) -> FloatArray:
        """The same for a question: each n-gram once, times its count to the power of ``query_power``."""
        rows, counts = np.unique(self._rows(data), return_counts=True)
        weights = (self.scales[rows] * counts**self.query_power).astype(np.float32)
        out: FloatArray = weights @ self.table[rows].astype(np.float32)
        return out

    def _rows(self, data: bytes) -> NDArray[np.int32]:
        from cem_rag_app.cem.teachers.ngrams import rows_of

        return rows_of(np.frombuffer(data, dtype=np.uint8), self.fold, self.keys, self.slots, self.buckets)


def full_rows(
    topics: FloatArray, weights: FloatArray, keys: NDArray[np.int64], buckets: NDArray[np.int32]
) -> FloatArray:
    """Join the learned and the fixed columns: (n, t) and (n,) to (n, t + 256) float32.

    The fixed part of row r is ``weights[r] / 16`` times 256 signs, the bits (least significant first; 1 is plus) of
    four words ``splitmix64(key + i * 0x9E3779B97F4A7C15)``, i = 1...4, where the key of shared row j is ``-1 - j``.
    """
    shared = -1 - np.arange(int(buckets.sum()), dtype=np.int64)
    state = np.concatenate([keys, shared]).astype(np.uint64)[:, None]
    with np.errstate(over="ignore"):
        state = state + np.arange(1, 5, dtype=np.uint64)[None, :] * np.uint64(0x9E3779B97F4A7C15)
        state = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        state = (state ^ (state >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        state = state ^ (state >> np.uint64(31))
    bits = np.unpackbits(state.astype("<u8").view(np.uint8).reshape(len(state), -1), axis=1, bitorder="little")
    own = (bits.astype(np.float32) * 2 - 1) * (weights / np.sqrt(np.float32(OWN_COLUMNS)))[:, None]
    rows: FloatArray = np.concatenate([topics.astype(np.float32), own], axis=1)
    return rows


def quantise(rows: FloatArray) -> tuple[NDArray[np.int8], FloatArray]:
    """Rows to int8 with one float32 scale each."""
    scales = (np.maximum(np.abs(rows).max(axis=1), 1e-9) / 127).astype(np.float32)
    return np.rint(rows / scales[:, None]).astype(np.int8), scales


class EmbeddedZhEncoder:
    """Chinese (and mixed) text to unit vectors, with no model beyond the shipped table.

    Questions and documents lie in one space; a question's repeated n-grams may be damped. The table is read at the
    first encode, its width at the first look.
    """

    name = "embedded-zh"
    pooling = "sum of n-gram vectors"

    def __init__(self, path: Path = SHIPPED) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._table: NgramTable | None = None

    @cached_property
    def dimension(self) -> int:
        """Width of a vector, from the head of the artefact; the table itself is not read.

        Raises:
            CheckpointError: the artefact is missing or damaged.
        """
        from safetensors import SafetensorError, safe_open

        try:
            with safe_open(self._path, framework="np") as artefact:
                return int(artefact.get_slice("topics").get_shape()[1]) + OWN_COLUMNS
        except (OSError, SafetensorError, IndexError) as error:
            raise CheckpointError(f"The Chinese table {self._path} cannot be read: {error}.", remedy=_REMEDY) from error

    @cached_property
    def revision(self) -> str:
        """First 16 hex digits of the artefact's SHA-256."""
        return hashlib.sha256(self._path.read_bytes()).hexdigest()[:16]

    @property
    def table(self) -> NgramTable:
        """The artefact, read once; a compressed-domain student may share it."""
        with self._lock:
            if self._table is None:
                self._table = NgramTable.load(self._path)
            return self._table

    def encode_queries(self, texts: Sequence[str]) -> FloatArray:
        """Encode questions: ``(n, dimension)`` float32, unit rows."""
        table = self.table
        sums = [table.query_sum(text.encode("utf-8", "surrogatepass")) for text in texts]
        return unit_rows(np.stack(sums) if sums else np.zeros((0, table.dimension), dtype=np.float32))

    def encode_documents(self, texts: Sequence[str]) -> FloatArray:
        """Encode passages: ``(n, dimension)`` float32, unit rows; one without letters gets the first basis vector."""
        table = self.table
        out = np.zeros((len(texts), table.dimension), dtype=np.float32)
        for row, text in enumerate(texts):
            out[row] = table.sum(text.encode("utf-8", "surrogatepass"))
        return unit_rows(out)
