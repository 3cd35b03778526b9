"""Fusions are those of their definitions, candidate by candidate."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stores.fusion import borda, min_max_weighted, ranks, reciprocal_ranks

scores = st.one_of(st.just(math.nan), st.integers(-5, 5).map(float))
tables = st.lists(st.tuples(scores, scores), min_size=1, max_size=12)


def plain_rank(value: float, column: list[float]) -> int:
    return 1 + sum(other > value for other in column)


def columns(table: list) -> list[list[float]]:
    return [[row[part] for row in table if not math.isnan(row[part])] for part in range(2)]


@given(tables)
def test_reciprocal_ranks(table: list) -> None:
    wanted = [
        sum(1 / (60 + plain_rank(v, column)) for v, column in zip(row, columns(table), strict=True) if v == v)
        for row in table
    ]
    np.testing.assert_allclose(reciprocal_ranks(np.array(table, dtype=np.float32)), wanted, atol=1e-6)


@given(tables)
def test_borda(table: list) -> None:
    n = len(table)
    wanted = [
        sum((n - plain_rank(v, column)) / n for v, column in zip(row, columns(table), strict=True) if v == v)
        for row in table
    ]
    np.testing.assert_allclose(borda(np.array(table, dtype=np.float32)), wanted, atol=1e-6)


@given(tables)
def test_weighted_by_extremes(table: list) -> None:
    def scaled(value: float, column: list[float]) -> float:
        if math.isnan(value):
            return 0.0
        low, high = min(column), max(column)
        return (value - low) / (high - low) if high > low else float(high > 0)

    wanted = [0.6 * scaled(row[0], columns(table)[0]) + 0.4 * scaled(row[1], columns(table)[1]) for row in table]
    got = min_max_weighted(np.array(table, dtype=np.float32), (0.6, 0.4))
    np.testing.assert_allclose(got, wanted, atol=1e-6)


def test_equal_scores_share_the_better_rank() -> None:
    assert ranks(np.array([3.0, 9.0, 3.0, 1.0], dtype=np.float32)).tolist() == [2, 1, 2, 4]


def test_nothing_to_fuse_is_nothing() -> None:
    empty = np.empty((0, 2), dtype=np.float32)
    assert reciprocal_ranks(empty).shape == borda(empty).shape == min_max_weighted(empty, (0.6, 0.4)).shape == (0,)


def test_the_constant_of_reciprocal_ranks_flattens() -> None:
    parts = np.array([[3.0, 1.0], [2.0, 2.0], [1.0, 3.0]], dtype=np.float32)
    sharp, flat = reciprocal_ranks(parts, 1), reciprocal_ranks(parts, 1_000)
    assert np.ptp(sharp) / sharp.mean() > 10 * np.ptp(flat) / flat.mean()
    assert sharp[0] == pytest.approx(1 / 2 + 1 / 4)
