"""The embedded Chinese text encoder: a table of n-gram vectors that ships with the package.

A text's vector is the sum of the vectors of its n-grams (``cem_rag_app.cem.teachers.ngrams``), scaled to length 1.
It is linear before that scaling on purpose: a student that recovers the n-grams of a text from its compressed bytes
can share the table itself. Inference needs numpy and numba alone. How the table was made, from what, and how good it
is: ``docs/teachers.md``; the command is ``python -m scripts.train_embedded_zh``.

The artefact is ``embedded_zh.safetensors``: ``fold`` uint16 (65536,), ``keys`` int64 (v,), ``buckets`` int32 (2,),
``table`` int8 (n, d), ``scales`` float32 (n,), where n = v + the sum of the buckets.
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
            fold, keys, buckets, table, scales = (
                parts[name] for name in ("fold", "keys", "buckets", "table", "scales")
            )
        except (OSError, SafetensorError, KeyError) as error:
            raise CheckpointError(f"The Chinese table {path} cannot be read: {error}.", remedy=remedy) from error
        if buckets.shape != (2,) or buckets.dtype != np.int32 or keys.ndim != 1 or table.ndim != 2 or buckets.min() < 0:
            raise CheckpointError(f"The parts of {path} do not have the shapes of such a table.", remedy=remedy)
        rows = keys.size + int(buckets.sum())
        for part, kind, shape in (
            (fold, "uint16", (65536,)),
            (keys, "int64", (keys.size,)),
            (table, "int8", (rows, table.shape[1])),
            (scales, "float32", (rows,)),
        ):
            if part.dtype != kind or part.shape != shape:
                found = f"{part.dtype}{part.shape}"
                raise CheckpointError(f"A part of {path} is {found}, not {kind}{shape}.", remedy=remedy)
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


class EmbeddedZhEncoder:
    """Chinese (and mixed) text to 256-d unit vectors, with no model beyond the shipped table.

    Questions and documents are encoded alike. The table is read at the first encode.
    """

    name = "embedded-zh"
    dimension = 256
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
        """Encode questions: ``(n, 256)`` float32, unit rows."""
        return self.encode_documents(texts)

    def encode_documents(self, texts: Sequence[str]) -> FloatArray:
        """Encode passages: ``(n, 256)`` float32, unit rows; a text without letters gets the first basis vector."""
        table = self.table
        out = np.zeros((len(texts), table.dimension), dtype=np.float32)
        for row, text in enumerate(texts):
            out[row] = table.sum(text.encode("utf-8", "surrogatepass"))
        return unit_rows(out)
