"""The product of two small matrices in the calling thread alone, and without the lock.

numpy's products go to OpenBLAS, which splits even a few hundred rows among threads of its own that wait for one
another spinning: beside other threads or another busy process that costs more than it gains (docs/log/codec.md).
Chunks are what the encoder shares out among the cores; within a block of them one thread is right.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from cem_rag_app.cem.symbols.types import Integer
from cem_rag_app.schema import FloatArray


@njit(cache=True, nogil=True, fastmath=True)
def _multiply(left: FloatArray, right: FloatArray, out: FloatArray) -> None:
    """Add ``left @ right`` to ``out``, four rows by four at a time, so that sums stay in registers."""
    rows, depth = left.shape
    row = 0
    while row + 4 <= rows:
        out0, out1, out2, out3 = out[row], out[row + 1], out[row + 2], out[row + 3]
        k = 0
        while k + 4 <= depth:
            a0, a1, a2, a3 = left[row, k], left[row, k + 1], left[row, k + 2], left[row, k + 3]
            b0, b1, b2, b3 = left[row + 1, k], left[row + 1, k + 1], left[row + 1, k + 2], left[row + 1, k + 3]
            c0, c1, c2, c3 = left[row + 2, k], left[row + 2, k + 1], left[row + 2, k + 2], left[row + 2, k + 3]
            d0, d1, d2, d3 = left[row + 3, k], left[row + 3, k + 1], left[row + 3, k + 2], left[row + 3, k + 3]
            right0, right1, right2, right3 = right[k], right[k + 1], right[k + 2], right[k + 3]
            for column in range(right.shape[1]):
                r0, r1, r2, r3 = right0[column], right1[column], right2[column], right3[column]
                out0[column] += a0 * r0 + a1 * r1 + a2 * r2 + a3 * r3
                out1[column] += b0 * r0 + b1 * r1 + b2 * r2 + b3 * r3
                out2[column] += c0 * r0 + c1 * r1 + c2 * r2 + c3 * r3
                out3[column] += d0 * r0 + d1 * r1 + d2 * r2 + d3 * r3
            k += 4
        for extra in range(4):
            _multiply_row(left, right, out, row + extra, k)
        row += 4
    while row < rows:
        _multiply_row(left, right, out, row, 0)
        row += 1


@njit(cache=True, nogil=True, fastmath=True)
def _multiply_row(left: FloatArray, right: FloatArray, out: FloatArray, row: Integer, first: Integer) -> None:
    """One row alone, from column ``first`` of ``left`` on."""
    depth = left.shape[1]
    sums = out[row]
    k = first
    while k + 4 <= depth:
        a0, a1, a2, a3 = left[row, k], left[row, k + 1], left[row, k + 2], left[row, k + 3]
        right0, right1, right2, right3 = right[k], right[k + 1], right[k + 2], right[k + 3]
        for column in range(right.shape[1]):
            sums[column] += a0 * right0[column] + a1 * right1[column] + a2 * right2[column] + a3 * right3[column]
        k += 4
    while k < depth:
        a0 = left[row, k]
        for column in range(right.shape[1]):
            sums[column] += a0 * right[k, column]
        k += 1


def multiply(left: FloatArray, right: FloatArray) -> FloatArray:
    """``left @ right``.

    Args:
        left: (n, k) float32.
        right: (k, m) float32.

    Returns:
        (n, m) float32. A row does not depend on the rows beside it.

    Raises:
        ValueError: the shapes do not fit: the compiled loops check no bounds.
    """
    if left.ndim != 2 or right.ndim != 2 or left.shape[1] != right.shape[0]:
        raise ValueError(f"matrices of the shapes {left.shape} and {right.shape} have no product")
    out = np.zeros((left.shape[0], right.shape[1]), dtype=np.float32)
    _multiply(np.ascontiguousarray(left), np.ascontiguousarray(right), out)
    return out
