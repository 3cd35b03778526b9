"""Several opinions about the same candidates, made one score. Pure functions of arrays."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from cem_rag_app.schema import FloatArray

DAY_SECONDS = 86_400.0


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
