"""Steps, orders and rates are functions of the step alone."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cem_rag_app.cem.training.config import OptimizerConfig
from cem_rag_app.cem.training.schedule import Plan, rate


def test_the_rate_rises_as_a_line_and_falls_as_half_a_cosine():
    config = OptimizerConfig(learning_rate=1.0, warm_up=0.2, floor=0.1)
    rates = [rate(step, 20, config) for step in range(20)]
    assert rates[:5] == pytest.approx([0.25, 0.5, 0.75, 1.0, 1.0])
    assert rates[12] == pytest.approx(0.1 + 0.9 * 0.5)  # half way down
    assert rate(20, 20, config) == pytest.approx(0.1)
    assert all(earlier > later for earlier, later in pairwise(rates[4:]))


def test_without_warm_up_the_first_step_has_the_peak():
    assert rate(0, 10, OptimizerConfig(learning_rate=0.3, warm_up=0.0)) == 0.3
    assert rate(0, 1, OptimizerConfig(learning_rate=0.3, warm_up=1.0)) == 0.3


@given(passages=st.integers(1, 200), batch_size=st.integers(2, 64), epoch=st.integers(0, 2), seed=st.integers(0, 9))
def test_an_epoch_has_every_passage_once_in_batches_of_one_size(passages, batch_size, epoch, seed):
    plan = Plan(passages, batch_size, 3, seed)
    steps = range(epoch * plan.batches, (epoch + 1) * plan.batches)
    batches = [plan.rows(step) for step in steps]
    assert sorted(np.concatenate(batches).tolist()) == list(range(passages))
    assert max(map(len, batches)) - min(map(len, batches)) <= 1
    assert min(map(len, batches)) >= min(batch_size, passages)


def test_every_epoch_seed_step_and_part_is_another_draw_and_the_same_again():
    plan = Plan(50, 10, 2, 1)
    draws = {
        (seed, step, part): (Plan(50, 10, 2, seed).generator(step, part).integers(1 << 60), plan.torch_seed(step, part))
        for seed in (1, 2)
        for step in range(3)
        for part in range(2)
    }
    assert len({first for first, _ in draws.values()}) == 12
    assert len({second for _, second in draws.values()}) == 6
    assert plan.generator(2, 1).integers(1 << 60) == draws[1, 2, 1][0]
    assert plan.order(0).tolist() != plan.order(1).tolist() != Plan(50, 10, 2, 2).order(1).tolist()
    assert plan.order(1).tolist() == plan.order(1).tolist()
