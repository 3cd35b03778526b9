"""Summing the vectors of a chunk's features, from a table of 8-bit integers."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from cem_rag_app.cem.symbols.types import Integers, Table
from cem_rag_app.schema import FloatArray


@njit(cache=True, nogil=True, fastmath=True)
def pool_rows(
    bounds: Integers, indices: Table, weights: FloatArray, table: NDArray[np.int8], scales: FloatArray
) -> FloatArray:
    """Weighted sums of table rows.

    Args:
        bounds: (n + 1,) int64; chunk ``i`` has the entries ``bounds[i]:bounds[i + 1]``.
        indices: (m,) int32, rows of the table.
        weights: (m,) float32.
        table: (rows, rank) int8.
        scales: (rows,) float32.

    Returns:
        (n, rank) float32.
    """
    chunks = bounds.size - 1
    rank = table.shape[1]
    sums = np.zeros((chunks, rank), dtype=np.float32)
    for chunk in range(chunks):
        for entry in range(bounds[chunk], bounds[chunk + 1]):
            row = indices[entry]
            weight = weights[entry] * scales[row]
            for column in range(rank):
                sums[chunk, column] += weight * np.float32(table[row, column])
    return sums
