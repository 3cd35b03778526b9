"""Several opinions about the same candidates, made one score. Pure functions of arrays."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from cem_rag_app.schema import FloatArray

DAY_SECONDS = 86_400.0

FusionMethod = Literal["weighted", "rrf", "borda"]


def min_max(values: FloatArray) -> FloatArray:
    """Scale (n,) values to [0, 1]; equal positive values become 1, equal others 0."""
    if not len(values):
        return values.astype(np.float32)
    low, high = float(values.min()), float(values.max())
    if high - low < 1e-9:
        return np.full(len(values), 1.0 if high > 0 else 0.0, dtype=np.float32)
    return ((values - low) / (high - low)).astype(np.float32)


def recency(timestamps: NDArray[np.float64], now: float, half_life_days: float) -> FloatArray:
    """1 for the present moment, half of it a half-life ago; 0 for what has no time (timestamp 0).

    Args:
        timestamps: (n,) float64, seconds since the epoch.
        now: the moment of asking; what lies after it counts as present.
        half_life_days: days after which it halves.
    """
    age = np.maximum(0.0, now - timestamps) / (half_life_days * DAY_SECONDS)
    return np.where(timestamps > 0, np.exp2(-age), 0.0).astype(np.float32)


def weighted(parts: FloatArray, weights: tuple[float, ...]) -> FloatArray:
    """Weighted sum of (n, p) parts, each in [0, 1] (blueprint section 5.2)."""
    total: FloatArray = (parts @ np.asarray(weights, dtype=np.float32)).astype(np.float32)
    return total


def ranks(values: FloatArray) -> NDArray[np.int64]:
    """Rank of each of (n,) values, 1 for the largest; equal values share the better rank."""
    ascending = np.sort(values)
    return (1 + len(values) - np.searchsorted(ascending, values, side="right")).astype(np.int64)


def reciprocal_ranks(parts: FloatArray, k0: int = 60) -> FloatArray:
    """Sum of 1 / (k0 + rank) over (n, p) parts (Cormack et al. 2009).

    Args:
        parts: (n, p) scores, larger is better; NaN where one has no opinion, which adds nothing.
        k0: how little the first ranks stand out.
    """
    return _by_rank(parts, lambda rank, _count: 1.0 / (k0 + rank))


def borda(parts: FloatArray) -> FloatArray:
    """Sum of (n - rank) / n over (n, p) parts: each part gives a candidate a point for every one it beats.

    Args:
        parts: as for :func:`reciprocal_ranks`; candidates without a score have no points.
    """
    return _by_rank(parts, lambda rank, count: (count - rank) / count)


def min_max_weighted(parts: FloatArray, weights: tuple[float, ...]) -> FloatArray:
    """Scale each of (n, p) parts to [0, 1] and take their weighted sum; NaN counts as 0."""
    scaled = np.zeros(parts.shape, dtype=np.float32)
    for column in range(parts.shape[1]):
        present = ~np.isnan(parts[:, column])
        scaled[present, column] = min_max(parts[present, column])
    return weighted(scaled, weights)


def _by_rank(parts: FloatArray, points: Callable[[NDArray[np.int64], int], NDArray[np.float64]]) -> FloatArray:
    total = np.zeros(len(parts), dtype=np.float64)
    for column in parts.T:
        present = ~np.isnan(column)
        total[present] += points(ranks(column[present]), len(parts))
    return total.astype(np.float32)
