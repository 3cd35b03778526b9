"""Vectors to codes and back: a mean, a rotation to the axes of largest spread, and levels on each axis."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from cem_rag_app.schema import FloatArray
from stores.indexes.base import IntArray
from stores.indexes.codes.kernels import pack_codes, score_codes, unpack_codes
from stores.indexes.codes.plan import COARSE_BITS, OCTET, CodePlan, make_plan

SPREAD_KEPT = 0.99999
"""Share of the spread that the kept axes hold: students with a narrow last layer need far fewer than the dimension."""
_SAMPLES_PER_LEVEL = 20
_ROUNDS = 25
_BLOCK = 16_384

CodeArray = NDArray[np.uint8]


@dataclass(frozen=True)
class QueryTables:
    """What a query contributes at each level of each axis; the score of a code is the sum over its axes.

    Attributes:
        axes: (axes,) float32, the query along each axis.
        levels: float32, flat, as the quantizer's: what the query and a level add to a score.
        base: the query's product with the mean, part of every score.
    """

    axes: FloatArray
    levels: FloatArray
    base: np.float32


class Quantizer:
    """Learned once from a sample of vectors, then fixed: codes are comparable as long as it stays.

    Args:
        mean: (d,) float32.
        rotation: (d, axes) float16, orthonormal columns, widest axis first; columns of zeros fill the last octet.
        plan: where the bits lie.
        levels: float32, flat, ascending on each axis: 2 ** bits values for each axis in turn.
    """

    def __init__(self, mean: FloatArray, rotation: NDArray[np.float16], plan: CodePlan, levels: FloatArray) -> None:
        self.mean = mean
        self.rotation = rotation
        self.plan = plan
        self.levels = levels
        self._counts = np.repeat(1 << plan.bits, OCTET)
        self._starts = np.concatenate(([0], np.cumsum(self._counts)))
        self._octet_starts = np.ascontiguousarray(self._starts[:-1:OCTET])
        self._fine_bits = plan.fine_bits
        self._rotation = rotation.astype(np.float32)
        self._coarse_levels = self.coarse_levels()

    @property
    def dimension(self) -> int:
        """Of the vectors."""
        return int(self.mean.shape[0])

    @property
    def code_bytes(self) -> int:
        """Bytes of a code, both planes."""
        return self.plan.coarse_bytes + self.plan.fine_bytes

    @classmethod
    def train(cls, sample: FloatArray, code_bytes: int) -> Quantizer:
        """Learn from (n, d) vectors: principal axes, bits by spread, levels by Lloyd's rule (Lloyd 1982)."""
        mean = sample.mean(axis=0, dtype=np.float64)
        centred = sample - mean.astype(np.float32)
        spread, axes = np.linalg.eigh((centred.T @ centred).astype(np.float64) / len(sample))
        spread, axes = np.maximum(spread[::-1], 0.0), axes[:, ::-1]
        kept = int(np.searchsorted(np.cumsum(spread) / max(float(spread.sum()), 1e-12), SPREAD_KEPT)) + 1
        kept = min(kept, sample.shape[1])
        rotation = np.zeros((sample.shape[1], -(-kept // OCTET) * OCTET), dtype=np.float16)
        rotation[:, :kept] = axes[:, :kept]
        along = centred @ rotation.astype(np.float32)
        plan = make_plan(along.var(axis=0), code_bytes)
        levels = [_levels(along[:, axis], int(plan.bits[axis // OCTET])) for axis in range(plan.axes)]
        return cls(mean.astype(np.float32), rotation, plan, np.concatenate(levels).astype(np.float32))

    def encode(self, vectors: FloatArray) -> tuple[CodeArray, CodeArray]:
        """Codes of (n, d) vectors: the coarse plane (n, c) and the fine plane (n, f)."""
        coarse = np.zeros((len(vectors), self.plan.coarse_bytes), dtype=np.uint8)
        fine = np.zeros((len(vectors), self.plan.fine_bytes), dtype=np.uint8)
        for start in range(0, len(vectors), _BLOCK):
            rows = slice(start, start + _BLOCK)
            along = (vectors[rows] - self.mean) @ self._rotation
            codes = np.empty(along.shape, dtype=np.uint8)
            for axis in range(along.shape[1]):
                levels = self._levels_of(axis)
                codes[:, axis] = np.searchsorted((levels[1:] + levels[:-1]) / 2, along[:, axis])
            pack_codes(codes, self.plan.coarse_octets, self.plan.fine_bits, coarse[rows], fine[rows])
        return coarse, fine

    def decode(self, coarse: CodeArray, fine: CodeArray) -> FloatArray:
        """Vectors (n, d) as the codes say: near what was encoded, not of unit length."""
        codes = np.empty((len(coarse), self.plan.axes), dtype=np.uint8)
        unpack_codes(coarse, fine, self.plan.coarse_octets, self.plan.fine_bits, codes)
        along = self.levels[self._starts[:-1] + codes]
        vectors: FloatArray = along @ self._rotation.T + self.mean
        return vectors

    def tables(self, query: FloatArray) -> QueryTables:
        """Prepare a (d,) query for scoring."""
        axes = query @ self._rotation
        return QueryTables(axes, self.levels * np.repeat(axes, self._counts), np.float32(query @ self.mean))

    def score(self, tables: QueryTables, coarse: CodeArray, fine: CodeArray, rows: IntArray) -> FloatArray:
        """Estimated inner products (m,) of the query with the vectors at ``rows`` (m,) of the planes."""
        scores = np.empty(len(rows), dtype=np.float32)
        starts, bits = self._octet_starts, self._fine_bits
        score_codes(coarse, fine, rows, self.plan.coarse_octets, bits, starts, tables.levels, tables.base, scores)
        return scores

    def score_coarsely(self, tables: QueryTables, coarse: CodeArray, rows: IntArray) -> FloatArray:
        """The same from the coarse plane alone: a quarter of the work, and rougher."""
        scores = np.empty(len(rows), dtype=np.float32)
        octets = self.plan.coarse_octets
        levels = (self._coarse_levels * tables.axes[: OCTET * octets, None]).ravel()
        starts = np.arange(octets, dtype=np.int64) * (OCTET << COARSE_BITS)
        bits = np.zeros(octets, dtype=np.int64)
        score_codes(coarse, coarse[:, :0], rows, octets, bits, starts, levels, tables.base, scores)
        return scores

    def coarse_levels(self) -> FloatArray:
        """(coarse axes, 4) float32: what the first two bits of each coarse axis say alone."""
        rows = [
            self._levels_of(axis).reshape(1 << COARSE_BITS, -1).mean(axis=1)
            for axis in range(OCTET * self.plan.coarse_octets)
        ]
        return np.array(rows, dtype=np.float32)

    def _levels_of(self, axis: int) -> FloatArray:
        return self.levels[self._starts[axis] : self._starts[axis + 1]]


def _levels(values: FloatArray, bits: int) -> FloatArray:
    """2 ** bits ascending levels for values of one axis, each the mean of the values nearest to it."""
    count = 1 << bits
    if count == 1:
        return np.zeros(1, dtype=np.float32)
    deviation = max(float(values.std()), 1e-9)
    # The density of good levels is the cube root of the values' density (Panter and Dite 1951): for a Gaussian that is
    # a Gaussian sqrt(3) times as wide.
    wide = NormalDist(0.0, deviation * 3**0.5)
    levels = np.array([wide.inv_cdf((index + 0.5) / count) for index in range(count)])
    if len(values) < _SAMPLES_PER_LEVEL * count:
        return levels.astype(np.float32)
    ordered = np.sort(values.astype(np.float64))
    sums = np.concatenate(([0.0], np.cumsum(ordered)))
    for _ in range(_ROUNDS):
        cuts = np.concatenate(([0], np.searchsorted(ordered, (levels[1:] + levels[:-1]) / 2), [len(ordered)]))
        counts = np.diff(cuts)
        levels = np.where(counts > 0, (sums[cuts[1:]] - sums[cuts[:-1]]) / np.maximum(counts, 1), levels)
        levels.sort()
    return levels.astype(np.float32)
