"""The compact index of a memory; see the package. Searching never needs the vectors themselves."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cem_rag_app.errors import DimensionError
from cem_rag_app.schema import FloatArray
from stores.indexes.base import IndexParameters, IntArray
from stores.indexes.codes.file import read_codes, write_codes
from stores.indexes.codes.planes import Planes
from stores.indexes.codes.quantizer import Quantizer, QueryTables
from stores.indexes.codes.scan import CoarseScan

POOL = 1_000
"""Rows that the coarse plane hands to the fine one: it loses one in four hundred of the ten best."""
EXACT_UP_TO = 2_000
"""Rows so few that all of them are scored from both planes."""
LISTED_UP_TO = 0.15
"""Share of allowed rows up to which they are scored one by one; above it, running through all of them is quicker."""
_TAIL = 2_048
"""Rows added since the coarse scan was made; they are scored one by one until they are so many."""
OUTGROWN = 4
"""A quantizer serves a memory up to so many times as large as the one it was trained on."""


class CodeIndex:
    """Codes at positions 0, 1, 2, ...; see :class:`stores.indexes.base.VectorIndex`.

    Args:
        quantizer: makes and reads the codes.
        parameters: of kind ``codes``.
        trained_on: chunks in the memory when the quantizer was trained.
    """

    def __init__(self, quantizer: Quantizer, parameters: IndexParameters, trained_on: int) -> None:
        self.quantizer = quantizer
        self.parameters = parameters
        self.dimension = quantizer.dimension
        self.trained_on = trained_on
        self._planes = Planes(quantizer)
        self._scan: CoarseScan | None = None

    @classmethod
    def train(cls, sample: FloatArray, parameters: IndexParameters, trained_on: int) -> CodeIndex:
        """An empty index whose quantizer has learned from (n, d) vectors."""
        return cls(Quantizer.train(sample, parameters.code_bytes), parameters, trained_on)

    @classmethod
    def load(cls, path: Path, parameters: IndexParameters) -> CodeIndex:
        """Open a file; costs the same at any size.

        Raises:
            MemoryCorruptError: its head is damaged, or it is cut short.
        """
        stored = read_codes(path)
        index = cls(stored.quantizer, parameters, stored.trained_on)
        index._planes = Planes(stored.quantizer, path, stored)
        return index

    def __len__(self) -> int:
        """Vectors added."""
        return len(self._planes)

    @property
    def outgrown(self) -> bool:
        """Whether the quantizer should be trained anew."""
        return len(self) >= OUTGROWN * max(1, self.trained_on)

    def add(self, vectors: FloatArray) -> None:
        """Append (n, d) unit vectors.

        Raises:
            DimensionError: they have another width.
        """
        if vectors.ndim != 2 or vectors.shape[1] != self.dimension:
            raise DimensionError(
                f"Vectors of shape {vectors.shape} do not fit an index of dimension {self.dimension}.",
                remedy="Use the encoder that the memory was made with.",
            )
        self._planes.append(*self.quantizer.encode(vectors))

    def search(
        self, query: FloatArray, k: int, allowed: NDArray[np.bool_] | None = None
    ) -> tuple[IntArray, FloatArray]:
        """Up to k positions and estimated similarities, best first; see the protocol.

        Raises:
            MemoryCorruptError: a block of the file that is needed is damaged.
        """
        tables = self.quantizer.tables(query)
        rows = self._candidates(tables, k, allowed)
        scores = self._planes.score(tables, rows)
        order = np.lexsort((rows, -scores))[:k]
        return rows[order], scores[order]

    def vectors(self, positions: IntArray) -> FloatArray:
        """Vectors (n, d) as their codes tell them, brought to unit length."""
        rows = self._planes.decode(positions)
        return np.asarray(rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-9), dtype=np.float32)

    def similarities(self, query: FloatArray, positions: IntArray) -> FloatArray:
        """Estimated inner products (n,) of a query and the vectors at ``positions`` (n,)."""
        return self._planes.score(self.quantizer.tables(query), positions)

    def kept(self, positions: IntArray) -> CodeIndex:
        """An index of the same codes at ``positions`` (n,) alone."""
        index = CodeIndex(self.quantizer, self.parameters, self.trained_on)
        index._planes.append(self._planes.coarse()[positions], self._planes.fine()[positions])
        return index

    def save(self, path: Path) -> None:
        """Write the index to a file; making it durable is the caller's business.

        Raises:
            MemoryCorruptError: what would be copied is damaged.
        """
        write_codes(path, self.quantizer, self.trained_on, self._planes.coarse(), self._planes.fine())

    def _candidates(self, tables: QueryTables, k: int, allowed: NDArray[np.bool_] | None) -> IntArray:
        """The rows worth a look at both planes. Which way is quickest goes by how many are allowed."""
        pool = max(POOL, 4 * k)
        if allowed is not None:
            rows: IntArray = np.flatnonzero(allowed)
            if len(rows) <= max(EXACT_UP_TO, pool):
                return rows
            if len(rows) > LISTED_UP_TO * len(self):
                wanted = int(1.5 * pool * len(self) / len(rows))
                scanned = self._scanned(tables, wanted)
                scanned = scanned[allowed[scanned]]
                if len(scanned) >= pool:
                    return scanned
            return self._best_coarsely(tables, rows, pool)
        if len(self) <= max(EXACT_UP_TO, pool):
            return np.arange(len(self))
        return self._scanned(tables, pool)

    def _scanned(self, tables: QueryTables, count: int) -> IntArray:
        if self._scan is None or len(self) - len(self._scan) > _TAIL:
            self._scan = CoarseScan(self.quantizer, self._planes.coarse())
        return np.concatenate((self._scan.best(tables.axes, count), np.arange(len(self._scan), len(self))))

    def _best_coarsely(self, tables: QueryTables, rows: IntArray, count: int) -> IntArray:
        scores = self._planes.score_coarsely(tables, rows)
        return rows[np.argpartition(-scores, count)[:count]]
