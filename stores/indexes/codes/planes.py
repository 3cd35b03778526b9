"""The rows of a code index: those of a file, mapped and checked when first read, and those added since, in memory."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from cem_rag_app.schema import FloatArray
from stores.indexes.base import IntArray
from stores.indexes.codes.file import BlockChecks, StoredCodes
from stores.indexes.codes.quantizer import CodeArray, Quantizer, QueryTables

_COARSE, _FINE = 0, 1


class Planes:
    """Coarse and fine codes by position.

    Args:
        quantizer: that made them.
        path: the file they lie in, None without one.
        stored: what that file holds.
    """

    def __init__(self, quantizer: Quantizer, path: Path | None = None, stored: StoredCodes | None = None) -> None:
        self._quantizer = quantizer
        widths = quantizer.plan.coarse_bytes, quantizer.plan.fine_bytes
        empty = [np.zeros((0, width), dtype=np.uint8) for width in widths]
        self._mapped = [stored.coarse, stored.fine] if stored is not None else empty
        self._checks = BlockChecks(path, stored) if path is not None and stored is not None else None
        self._fresh = [*empty]
        self._mapped_rows = len(self._mapped[_COARSE])
        self._fresh_rows = 0

    def __len__(self) -> int:
        return self._mapped_rows + self._fresh_rows

    def append(self, coarse: CodeArray, fine: CodeArray) -> None:
        """Add rows at the end."""
        for plane, rows in ((_COARSE, coarse), (_FINE, fine)):
            self._fresh[plane] = _appended(self._fresh[plane], self._fresh_rows, rows)
        self._fresh_rows += len(coarse)

    def score(self, tables: QueryTables, rows: IntArray) -> FloatArray:
        """Estimates from both planes: (m,) for the rows (m,).

        Raises:
            MemoryCorruptError: a block that holds one of them is damaged; so for all methods.
        """
        self._check(_COARSE, rows)
        self._check(_FINE, rows)
        return self._in_both(rows, lambda coarse, fine, at: self._quantizer.score(tables, coarse, fine, at))

    def score_coarsely(self, tables: QueryTables, rows: IntArray) -> FloatArray:
        """Rougher estimates from the coarse plane alone."""
        self._check(_COARSE, rows)
        return self._in_both(rows, lambda coarse, _, at: self._quantizer.score_coarsely(tables, coarse, at))

    def decode(self, rows: IntArray) -> FloatArray:
        """Vectors (m, d) as the codes tell them."""
        coarse, fine = self._rows(_COARSE, rows), self._rows(_FINE, rows)
        return self._quantizer.decode(coarse, fine)

    def coarse(self) -> CodeArray:
        """The whole coarse plane, checked."""
        return self._whole(_COARSE)

    def fine(self) -> CodeArray:
        """The whole fine plane, checked."""
        return self._whole(_FINE)

    def _whole(self, plane: int) -> CodeArray:
        self._check(plane, None)
        fresh = self._fresh[plane][: self._fresh_rows]
        return np.concatenate((self._mapped[plane], fresh)) if self._fresh_rows else self._mapped[plane]

    def _rows(self, plane: int, rows: IntArray) -> CodeArray:
        self._check(plane, rows)
        inside = rows < self._mapped_rows
        out = np.empty((len(rows), self._mapped[plane].shape[1]), dtype=np.uint8)
        out[inside] = self._mapped[plane][rows[inside]]
        out[~inside] = self._fresh[plane][rows[~inside] - self._mapped_rows]
        return out

    def _in_both(self, rows: IntArray, score: Callable[[CodeArray, CodeArray, IntArray], FloatArray]) -> FloatArray:
        coarse, fine = self._mapped
        if not self._fresh_rows:
            return score(coarse, fine, rows)
        fresh_coarse, fresh_fine = self._fresh
        if not self._mapped_rows:
            return score(fresh_coarse, fresh_fine, rows)
        inside = rows < self._mapped_rows
        out = np.empty(len(rows), dtype=np.float32)
        out[inside] = score(coarse, fine, rows[inside])
        out[~inside] = score(fresh_coarse, fresh_fine, rows[~inside] - self._mapped_rows)
        return out

    def _check(self, plane: int, rows: IntArray | None) -> None:
        if self._checks is not None:
            self._checks.check(plane, None if rows is None else rows[rows < self._mapped_rows])


def _appended(plane: CodeArray, count: int, rows: CodeArray) -> CodeArray:
    """The plane with rows after the first ``count``; room grows by an eighth, so adding one by one stays cheap."""
    if count + len(rows) > len(plane):
        grown = np.zeros((count + len(rows) + count // 8, plane.shape[1]), dtype=np.uint8)
        grown[:count] = plane[:count]
        plane = grown
    plane[count : count + len(rows)] = rows
    return plane
