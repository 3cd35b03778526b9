"""Sets of chunk ids as runs of consecutive ids, which is how chunks of one import, source or day lie."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import chain

import numpy as np
from numpy.typing import NDArray

IntArray = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Ranges:
    """Disjoint runs in ascending order, none touching the next: ``first[i] <= id < stop[i]``.

    Attributes:
        first: (n) int64.
        stop: (n) int64.
    """

    first: IntArray
    stop: IntArray

    @classmethod
    def of(cls, first: IntArray, count: IntArray) -> Ranges:
        """Runs in any order, which may overlap: (n) int64 first ids and (n) int64 lengths."""
        kept = count > 0
        if not kept.all():
            first, count = first[kept], count[kept]
        if not len(first):
            return cls(_NONE, _NONE)
        stop = first + count
        if (first[1:] <= stop[:-1]).any():
            order = np.argsort(first, kind="stable")
            first, stop = first[order], np.maximum.accumulate(stop[order])
            begins = np.concatenate(([True], first[1:] > stop[:-1]))
            ends = np.concatenate((begins[1:], [True]))
            first, stop = first[begins], stop[ends]
        return cls(first, stop)

    @classmethod
    def of_rows(cls, rows: Iterable[tuple[int, int]]) -> Ranges:
        """Runs in any order as rows of (first id, length)."""
        flat = np.fromiter(chain.from_iterable(rows), dtype=np.int64)
        return cls.of(flat[0::2], flat[1::2])

    def __len__(self) -> int:
        """How many ids."""
        return int((self.stop - self.first).sum())

    def __or__(self, other: Ranges) -> Ranges:
        """Ids in either."""
        first = np.concatenate((self.first, other.first))
        return Ranges.of(first, np.concatenate((self.stop, other.stop)) - first)

    def __and__(self, other: Ranges) -> Ranges:
        """Ids in both."""
        low = np.searchsorted(other.stop, self.first, side="right")
        high = np.searchsorted(other.first, self.stop, side="left")
        overlaps = np.maximum(high - low, 0)
        own = np.repeat(np.arange(len(self.first)), overlaps)
        theirs = _consecutive(low, overlaps)
        return Ranges(np.maximum(self.first[own], other.first[theirs]), np.minimum(self.stop[own], other.stop[theirs]))

    def __sub__(self, other: Ranges) -> Ranges:
        """Ids in this one alone."""
        if not len(self.first):
            return self
        low, high = self.first[0], self.stop[-1]
        first = np.concatenate(([low], other.stop))
        stop = np.concatenate((other.first, [high]))
        return self & Ranges.of(first, stop - first)

    def ids(self) -> IntArray:
        """All ids in ascending order, int64."""
        return _consecutive(self.first, self.stop - self.first)


def _consecutive(first: IntArray, count: IntArray) -> IntArray:
    """``first[0], first[0] + 1, ...`` for each run, one after the other."""
    if not len(first):
        return _NONE
    before = np.concatenate((np.zeros(1, dtype=np.int64), np.cumsum(count)))
    return np.arange(before[-1], dtype=np.int64) + np.repeat(first - before[:-1], count)


_NONE: IntArray = np.empty(0, dtype=np.int64)
_NONE.flags.writeable = False
