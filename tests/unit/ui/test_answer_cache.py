"""The cache of popular searches: bounded, oldest first, never older than the last write."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from ui.api.cache import AnswerCache


def filled(*questions, entries=3, size=1_000):
    cache = AnswerCache(entries, size)
    for question in questions:
        cache.get(question, 1)
        cache.put(question, 1, question.encode())
    return cache


def kept(cache, questions, state=1):
    return "".join(question for question in questions if cache.get(question, state))


def test_what_was_asked_least_recently_goes_first():
    cache = filled("a", "b", "c")
    cache.get("a", 1)
    cache.put("d", 1, b"d")
    assert kept(cache, "abcd") == "acd"


def test_answers_are_bounded_in_bytes_too():
    cache = filled("aaaa", "bbbb", size=10)
    cache.put("cccc", 1, b"cccc")
    assert [cache.get(question, 1) for question in ("aaaa", "bbbb", "cccc")] == [None, b"bbbb", b"cccc"]
    cache.put("long", 1, b"x" * 11)
    assert len(cache) == 0


def test_a_cache_of_no_entries_keeps_nothing():
    assert len(filled("a", entries=0)) == 0


def test_a_write_drops_everything():
    cache = filled("a", "b")
    assert cache.get("a", 2) is None
    assert len(cache) == 0


def test_an_answer_found_while_somebody_wrote_is_not_given_to_who_asks_after_the_write():
    cache = AnswerCache(3)
    cache.get("a", 1)  # asks, and searches for a while ...
    cache.get("b", 2)  # ... in which somebody writes, and another asks
    cache.put("a", 1, b"old")
    assert cache.get("a", 2) is None


@given(st.lists(st.tuples(st.sampled_from("gpw"), st.sampled_from("abcd"))))
def test_whatever_happens_an_answer_is_of_the_state_that_it_is_asked_in(steps):
    cache, state = AnswerCache(2), 0
    for step, question in steps:
        if step == "w":
            state += 1
        elif step == "p":
            cache.put(question, state, f"{question}{state}".encode())
        else:
            assert cache.get(question, state) in (None, f"{question}{state}".encode())
        assert len(cache) <= 2
