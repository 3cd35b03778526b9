"""The compiled distances are those of the plain definitions below, step by step."""

from __future__ import annotations

import math
from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cem_rag_app.vectors.distances import (
    ARGUMENT_SCALE,
    GAP,
    MISMATCH,
    aligned_distance,
    dtw_distance,
    edit_distance,
    similarities,
)
from cem_rag_app.vectors.macros import MacroGenerator

MEASURES = {"aligned": aligned_distance, "dtw": dtw_distance, "edit": edit_distance}


def plain_cost(first: list[float], second: list[float]) -> float:
    if first[0] != second[0]:
        return MISMATCH
    pairs = [(a, b) for a, b in zip(first[1:], second[1:], strict=True) if not a == b == -1]
    if not pairs:
        return 0.0
    return min(1.0, math.sqrt(sum((a - b) ** 2 for a, b in pairs) / len(pairs)) / ARGUMENT_SCALE)


def plain_aligned(first: list, second: list) -> float:
    longer = max(len(first), len(second))
    costs = [plain_cost(a, b) for a, b in zip(first, second, strict=False)]
    return (sum(costs) + MISMATCH * (longer - len(costs))) / longer


def plain_dtw(first: list, second: list) -> float:
    @cache
    def best(row: int, column: int) -> float:
        if row < 0 and column < 0:
            return 0.0
        if row < 0 or column < 0:
            return math.inf
        before = min(best(row - 1, column - 1), best(row - 1, column), best(row, column - 1))
        return before + plain_cost(first[row], second[column])

    return min(1.0, best(len(first) - 1, len(second) - 1) / max(len(first), len(second)))


def plain_edit(first: list, second: list) -> float:
    @cache
    def best(row: int, column: int) -> float:
        if row < 0 or column < 0:
            return GAP * (row + 1 + column + 1)
        return min(
            best(row - 1, column - 1) + plain_cost(first[row], second[column]),
            best(row - 1, column) + GAP,
            best(row, column - 1) + GAP,
        )

    shorter, longer = sorted((len(first), len(second)))
    return best(len(first) - 1, len(second) - 1) / (MISMATCH * shorter + GAP * (longer - shorter))


PLAIN = {"aligned": plain_aligned, "dtw": plain_dtw, "edit": plain_edit}
steps = st.tuples(st.integers(0, 5), *[st.sampled_from([-1, 0, 7, 128, 255])] * 3)
sequences = st.lists(steps, min_size=1, max_size=9)


def array(rows: list) -> np.ndarray:
    return np.asarray(rows, dtype=np.float32)


@pytest.mark.parametrize("name", MEASURES)
@given(first=sequences, second=sequences)
@settings(max_examples=150, deadline=None)
def test_the_compiled_distance_is_the_plain_one(name: str, first: list, second: list) -> None:
    got = MEASURES[name](array(first), array(second))
    assert got == pytest.approx(PLAIN[name](first, second), abs=1e-6)
    assert got == pytest.approx(MEASURES[name](array(second), array(first)), abs=1e-6)
    assert 0.0 <= got <= 1.0


@pytest.mark.parametrize("name", MEASURES)
def test_a_part_is_at_no_distance_from_itself_and_nearest_to_its_family(name: str) -> None:
    generator = MacroGenerator(5)
    parts = [generator.part() for _ in range(300)]
    for part in parts[:20]:
        assert MEASURES[name](part.vec, part.vec) == 0.0
        found = similarities(part.vec, [other.vec for other in parts], name)
        nearest = np.argsort(-found, kind="stable")[:4]
        assert found[nearest[0]] == 1.0
    same = different = 0.0
    for part in parts[:60]:
        found = similarities(part.vec, [other.vec for other in parts], name)
        kin = np.array([other.label == part.label and other is not part for other in parts])
        same += float(found[kin].mean())
        different += float(found[[other.label != part.label for other in parts]].mean())
    assert same > different


def test_sequences_of_another_width_are_not_alike() -> None:
    query = array([[0, 1, 2], [3, -1, -1]])
    assert similarities(query, [query, query[:, :2]], "dtw").tolist() == [1.0, 0.0]
    with pytest.raises(ValueError, match="cosine"):
        similarities(query, [], "cosine")


def test_a_step_left_out_costs_a_gap_where_steps_may_move_and_everything_after_it_where_not() -> None:
    long = array([[command, 10 * row, -1] for row, command in enumerate([4, 0, 1, 2, 5, 3])])
    short = np.delete(long, 1, axis=0)
    assert edit_distance(long, short) == pytest.approx(GAP / (5 + GAP))
    assert aligned_distance(long, short) > 0.8
