"""The embedded Chinese text encoder: a table of n-gram vectors that ships with the package.

A text's vector is the sum of the vectors of its n-grams (``cem_rag_app.cem.teachers.ngrams``), scaled to length 1.
It is linear before that scaling on purpose: a student that recovers the n-grams of a text from its compressed bytes
can share the table itself. The first 128 columns of a row are learned and say what it is about. The other 256 are a
direction of its own: signs drawn from a hash of its key, times a weight made from its IDF, so that two texts with the
same rare word are near whatever the topics say (a random projection of TF-IDF).
Inference needs numpy and numba alone. How the table was made, from what, and how good it
is: ``docs/teachers.md``; the command is ``python -m scripts.train_embedded_zh``.

The artefact is ``embedded_zh.safetensors``: ``fold`` uint16 (65536,), ``keys`` int64 (v,), ``buckets`` int32 (2,),
``topics`` int8 (n, 128), ``topic_scales`` float32 (n,), ``weights`` float32 (n,); n = v + the sum of the buckets.
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

OWN_COLUMNS = 256


@dataclass(frozen=True)
class NgramTable:
    """The artefact in memory.

    ``fold`` uint16 (65536,); ``keys`` int64 (v,), the n-grams of the first v rows; ``buckets`` int32 (2,), how many
    rows unknown tokens and unknown pairs share; ``table`` int8 (n, d); ``scales`` float32 (n,): the vector of row r is
    ``scales[r] * table[r]``; ``slots`` int32, the open-addressing index of ``keys``.
    """

    fold: NDArray[np.uint16]
    keys: NDArray[np.int64]
    buckets: NDArray[np.int32]
    table: NDArray[np.int8]
    scales: NDArray[np.float32]
    slots: NDArray[np.int32]

    @classmethod
    def load(cls, path: Path = SHIPPED) -> NgramTable:
        """Read and check the artefact.

        Raises:
            CheckpointError: it is missing, damaged, or not of the shapes above.
        """
        from safetensors import SafetensorError
        from safetensors.numpy import load_file

        remedy = "Reinstall cem-rag, or make it with python -m scripts.train_embedded_zh."
        try:
            parts = load_file(path)
            fold, keys, buckets, topics, scales, weights = (
                parts[name] for name in ("fold", "keys", "buckets", "topics", "topic_scales", "weights")
            )
        except (OSError, SafetensorError, KeyError) as error:
            raise CheckpointError(f"The Chinese table {path} cannot be read: {error}.", remedy=remedy) from error
        shared = buckets.shape == (2,) and buckets.dtype == np.int32 and buckets.min() >= 0
        if not shared or keys.ndim != 1 or topics.ndim != 2:
            raise CheckpointError(f"The parts of {path} do not have the shapes of such a table.", remedy=remedy)
        rows = keys.size + int(buckets.sum())
        for part, kind, shape in (
            (fold, "uint16", (65536,)),
            (keys, "int64", (keys.size,)),
            (topics, "int8", (rows, topics.shape[1])),
            (scales, "float32", (rows,)),
            (weights, "float32", (rows,)),
        ):
            if part.dtype != kind or part.shape != shape:
                found = f"{part.dtype}{part.shape}"
                raise CheckpointError(f"A part of {path} is {found}, not {kind}{shape}.", remedy=remedy)
        table, scales = quantise(full_rows(topics * scales[:, None], weights, keys, buckets))
        return cls.index(fold, keys, buckets, table, scales)

    @classmethod
    def index(
        cls,
        fold: NDArray[np.uint16],
        keys: NDArray[np.int64],
        buckets: NDArray[np.int32],
        table: NDArray[np.int8],
        scales: NDArray[np.float32],
    ) -> NgramTable:
        """Build the index over the keys."""
        from cem_rag_app.cem.teachers.ngrams import build_slots

        slots = np.full(1 << (int(keys.size * 2).bit_length()), -1, dtype=np.int32)
        build_slots(keys, slots)
        return cls(fold, keys, buckets, table, scales, slots)

    @property
    def dimension(self) -> int:
        """Width of a vector."""
        return int(self.table.shape[1])

    def sum(self, data: bytes) -> FloatArray:
        """Sum of the vectors of a text's n-grams, ``(d,)`` float32, not normalised; ``data`` is its UTF-8."""
        from cem_rag_app.cem.teachers.ngrams import add_rows, rows_of

        out: FloatArray = np.zeros(self.dimension, dtype=np.float32)
        rows = rows_of(np.frombuffer(data, dtype=np.uint8), self.fold, self.keys, self.slots, self.buckets)
        add_rows(rows, self.table, self.scales, out)
        return out


def full_rows(
    topics: FloatArray, weights: FloatArray, keys: NDArray[np.int64], buckets: NDArray[np.int32]
) -> FloatArray:
    """Join the learned and the fixed columns: (n, 128) and (n,) to (n, 384) float32.

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
    """Chinese (and mixed) text to 384-d unit vectors, with no model beyond the shipped table.

    Questions and documents are encoded alike. The table is read at the first encode.
    """

    name = "embedded-zh"
    dimension = 384
    pooling = "sum of n-gram vectors"

    def __init__(self, path: Path = SHIPPED) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._table: NgramTable | None = None

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
        """Encode questions: ``(n, 384)`` float32, unit rows."""
        return self.encode_documents(texts)

    def encode_documents(self, texts: Sequence[str]) -> FloatArray:
        """Encode passages: ``(n, 384)`` float32, unit rows; a text without letters gets the first basis vector."""
        table = self.table
        out = np.zeros((len(texts), table.dimension), dtype=np.float32)
        for row, text in enumerate(texts):
            out[row] = table.sum(text.encode("utf-8", "surrogatepass"))
        return unit_rows(out)
