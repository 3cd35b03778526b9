"""Questions in flight are answered together, each with its own answer, and none waits for company."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from ui.api.batching import Batcher


class Slow:
    """Doubles numbers; the first batch waits at a gate, so that others gather behind it."""

    def __init__(self):
        self.gate = threading.Event()
        self.entered = threading.Event()
        self.batches = []

    def __call__(self, numbers):
        self.batches.append(list(numbers))
        if len(self.batches) == 1:
            self.entered.set()
            assert self.gate.wait(10)
        if any(number < 0 for number in numbers):
            raise ValueError(f"{min(numbers)} cannot be doubled")
        return [2 * number for number in numbers]


def waiting(batcher, count):
    while len(batcher._waiting) < count:
        threading.Event().wait(0.001)


def gathered(numbers, most=64):
    """Ask 0, and while that is answered ask ``numbers``, one thread each."""
    slow = Slow()
    batcher = Batcher(slow, most=most, turns=1)
    with ThreadPoolExecutor(len(numbers) + 1) as pool:
        first = pool.submit(batcher.ask, 0)
        assert slow.entered.wait(10)
        others = [pool.submit(batcher.ask, number) for number in numbers]
        waiting(batcher, len(numbers))
        slow.gate.set()
        assert first.result(10) == 0
        return slow, others


def test_a_question_alone_is_answered_at_once():
    assert Batcher(lambda numbers: [2 * n for n in numbers], most=4).ask(21) == 42


def test_what_gathers_while_one_is_answered_goes_together_and_everyone_gets_its_own():
    slow, others = gathered(range(1, 11))
    assert [other.result() for other in others] == [2 * n for n in range(1, 11)]
    assert [len(batch) for batch in slow.batches] == [1, 10]


def test_a_batch_has_a_largest_size_and_nobody_is_left_behind():
    slow, others = gathered(range(1, 11), most=4)
    assert [other.result() for other in others] == [2 * n for n in range(1, 11)]
    assert sorted(len(batch) for batch in slow.batches) == [1, 2, 4, 4]


def test_a_question_that_cannot_be_answered_spoils_no_other():
    _, others = gathered([3, -1, 5])
    assert [other.result() for other in others if other.exception() is None] == [6, 10]
    (failed,) = [other.exception() for other in others if other.exception() is not None]
    assert str(failed) == "-1 cannot be doubled"


def test_the_next_question_after_a_failure_is_answered():
    batcher = Batcher(_open_slow(), most=4)
    with pytest.raises(ValueError, match="-1 cannot be doubled"):
        batcher.ask(-1)
    assert batcher.ask(2) == 4


def test_one_long_question_does_not_hold_up_another():
    slow = Slow()
    batcher = Batcher(slow, most=4, turns=2)
    with ThreadPoolExecutor(1) as pool:
        long = pool.submit(batcher.ask, 1)
        assert slow.entered.wait(10)
        assert batcher.ask(2) == 4
        assert not long.done()
        slow.gate.set()
        assert long.result(10) == 2


def _open_slow():
    slow = Slow()
    slow.gate.set()
    return slow
