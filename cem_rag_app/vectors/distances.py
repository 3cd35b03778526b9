"""Distances between macro sequences, compiled: the second stage of a search.

A sequence is (n, 1 + a) float32: a command and its arguments a row, -1 where a command does not use one. Two steps cost

* ``MISMATCH`` when their commands differ,
* else the root of the mean squared difference of the arguments that either uses, in units of ``ARGUMENT_SCALE``,
  at most 1: a wrong argument is never worse than a wrong command.

The three distances differ in which steps are compared. All lie in [0, 1] for sequences of any length, are 0 for a
sequence and itself, and are symmetric.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from cem_rag_app.schema import FloatArray

MISMATCH = 1.0
ARGUMENT_SCALE = 64.0
"""A quarter of the 256 levels that arguments are quantised in."""

GAP = 0.7
"""Cost of a step that one sequence lacks: two gaps are dearer than one mismatch."""


@njit(cache=True, nogil=True)
def step_cost(first: FloatArray, second: FloatArray) -> float:
    """Cost of taking one (1 + a,) step for another, in [0, 1]."""
    if first[0] != second[0]:
        return MISMATCH
    total = 0.0
    used = 0
    for column in range(1, len(first)):
        if first[column] != -1.0 or second[column] != -1.0:
            difference = first[column] - second[column]
            total += difference * difference
            used += 1
    if used == 0:
        return 0.0
    return min(1.0, math.sqrt(total / used) / ARGUMENT_SCALE)


@njit(cache=True, nogil=True)
def aligned_distance(first: FloatArray, second: FloatArray) -> float:
    """Step by step, first with first; what one sequence lacks is a mismatch. Mean over the longer one."""
    shorter = min(len(first), len(second))
    longer = max(len(first), len(second))
    if longer == 0:
        return 0.0
    total = MISMATCH * (longer - shorter)
    for row in range(shorter):
        total += step_cost(first[row], second[row])
    return total / longer


@njit(cache=True, nogil=True)
def dtw_distance(first: FloatArray, second: FloatArray) -> float:
    """Dynamic time warping: every step meets one or more of the other's, in order. Cost over the longer length."""
    rows, columns = len(first), len(second)
    if rows == 0 or columns == 0:
        return 0.0 if rows == columns else 1.0
    before = np.full(columns + 1, np.inf)
    before[0] = 0.0
    for row in range(rows):
        now = np.full(columns + 1, np.inf)
        for column in range(columns):
            best = min(before[column], before[column + 1], now[column])
            now[column + 1] = best + step_cost(first[row], second[column])
        before = now
    return min(1.0, float(before[columns]) / max(rows, columns))


@njit(cache=True, nogil=True)
def edit_distance(first: FloatArray, second: FloatArray) -> float:
    """Weighted edit distance: ``GAP`` for a step added or left out, its cost for one changed; over the largest sum."""
    rows, columns = len(first), len(second)
    if rows == 0 or columns == 0:
        return 0.0 if rows == columns else 1.0
    before = GAP * np.arange(columns + 1)
    for row in range(rows):
        now = np.empty(columns + 1)
        now[0] = GAP * (row + 1)
        for column in range(columns):
            changed = before[column] + step_cost(first[row], second[column])
            now[column + 1] = min(changed, before[column + 1] + GAP, now[column] + GAP)
        before = now
    shorter, longer = min(rows, columns), max(rows, columns)
    return float(before[columns]) / (MISMATCH * shorter + GAP * (longer - shorter))


def similarities(query: FloatArray, sequences: list[FloatArray], method: str) -> FloatArray:
    """1 / (1 + distance) of (n, 1 + a) sequences to a query; 0 for those of another width.

    Raises:
        ValueError: no distance has that name.
    """
    measure = {"aligned": aligned_distance, "dtw": dtw_distance, "edit": edit_distance}.get(method)
    if measure is None:
        raise ValueError(f"no distance is called {method!r}")
    query = np.ascontiguousarray(query, dtype=np.float32)
    out = np.zeros(len(sequences), dtype=np.float32)
    for row, sequence in enumerate(sequences):
        if sequence.shape[1] == query.shape[1]:
            out[row] = 1.0 / (1.0 + measure(query, np.ascontiguousarray(sequence, dtype=np.float32)))
    return out
