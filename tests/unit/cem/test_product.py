"""The compiled product is the product, of any shape, and its rows do not know one another."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cem_rag_app.cem.product import multiply

SIZES = st.integers(0, 13)


@given(rows=SIZES, depth=SIZES, columns=SIZES, seed=st.integers(0, 99))
def test_it_is_numpys_product_in_double_precision(rows: int, depth: int, columns: int, seed: int) -> None:
    generator = np.random.default_rng(seed)
    left = generator.normal(size=(rows, depth)).astype(np.float32)
    right = generator.normal(size=(depth, columns)).astype(np.float32)
    product = multiply(left, right)
    assert (product.shape, product.dtype) == ((rows, columns), np.float32)
    np.testing.assert_allclose(product, left.astype(np.float64) @ right.astype(np.float64), atol=1e-5)


def test_parts_of_other_arrays_are_read_where_they_lie() -> None:
    square = np.arange(36, dtype=np.float32).reshape(6, 6)
    np.testing.assert_allclose(multiply(square[::2, 1:4], square.T[1:4]), square[::2, 1:4] @ square.T[1:4], rtol=1e-6)


@pytest.mark.parametrize("rows", [1, 2, 3, 4, 5, 9])
def test_a_row_is_the_same_alone_and_among_others(rows: int) -> None:
    generator = np.random.default_rng(rows)
    left = generator.normal(size=(rows, 250)).astype(np.float32)
    right = generator.normal(size=(250, 30)).astype(np.float32)
    alone = np.concatenate([multiply(left[row : row + 1], right) for row in range(rows)])
    np.testing.assert_allclose(multiply(left, right), alone, atol=1e-5)


def test_matrices_that_do_not_fit_are_refused_before_the_loops() -> None:
    with pytest.raises(ValueError, match="no product"):
        multiply(np.zeros((2, 3), np.float32), np.zeros((4, 2), np.float32))
    with pytest.raises(ValueError, match="no product"):
        multiply(np.zeros(3, np.float32), np.zeros((3, 2), np.float32))
