"""Scores, by exact value on cases small enough to reckon by hand."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cem_rag_app.persona.scoring import (
    Candidate,
    Evidence,
    ScoreWeights,
    character_similarity,
    consistency,
    continuity,
    copying,
    longest_copied_run,
    score_candidates,
)
from cem_rag_app.persona.style import Spread, StyleProfile
from cem_rag_app.schema import Message


class Table:
    """A similarity read from a table; what is not in it is unrelated."""

    def __init__(self, **pairs):
        self.pairs = {tuple(key.split("_")): value for key, value in pairs.items()}

    def __call__(self, left, right):
        return np.array([[self.pairs.get((a, b), 0.0) for b in right] for a in left], dtype=np.float32).reshape(
            len(left), len(right)
        )


def said(role, text):
    return Message(role=role, speaker=role, text=text, timestamp=0.0)


def test_a_reply_once_given_to_such_a_line_answers_it():
    assert continuity(Candidate(("x",), "own", (7, 8)), 0.4, {7: 0.8, 8: 0.2}, {}) == pytest.approx(
        0.65 * 0.8 + 0.35 * 0.4
    )


def test_a_reply_without_a_source_borrows_the_anchors_of_those_it_resembles():
    assert continuity(Candidate(("x",), "model"), 0.0, {7: 0.8, 8: 0.6}, {7: 0.5, 8: 1.0}) == pytest.approx(0.1 * 0.6)


def test_a_source_that_was_not_recalled_answers_nothing():
    assert continuity(Candidate(("x",), "own", (9,)), 0.0, {7: 1.0}, {}) == 0.0


def test_repeating_what_was_just_said_is_inconsistent():
    candidate = Candidate(("你吃饭了没？", "我在画图"), "own")
    assert consistency(candidate, ["你吃饭了没"], []) == 0.5
    assert consistency(candidate, [], ["我在画图！"]) == 0.5
    assert consistency(candidate, [], []) == 1.0


def test_a_reply_that_repeats_itself_is_inconsistent_but_fillers_may_come_again():
    assert consistency(Candidate(("好累呀", "好累呀"), "own"), [], []) == 0.5
    assert consistency(Candidate(("嗯嗯", "嗯嗯"), "own"), ["嗯嗯"], []) == 1.0
    assert consistency(Candidate((), "own"), [], []) == 0.0


def test_a_borrowed_expression_is_free_and_a_long_copy_costs():
    eight, sixteen, long = "一二三四五六七八", "一二三四五六七八九十甲乙丙丁戊己", "一二三四五六七八九十" * 3
    assert copying(Candidate((eight,), "own"), [eight]) == 0.0
    assert copying(Candidate((sixteen,), "own"), [sixteen]) == 0.5
    assert copying(Candidate((long,), "own"), [long]) == 1.0
    assert copying(Candidate((long,), "own"), []) == 0.0


def test_the_longest_run_is_found_anywhere():
    assert longest_copied_run("我今天去吃火锅啦", "昨天去吃火锅了") == 5
    assert longest_copied_run("", "x") == 0


@given(st.text("ab\n", max_size=12), st.text("ab\n", max_size=12))
def test_the_longest_run_is_what_trying_every_run_finds(text, source):
    runs = {text[i:j] for i in range(len(text)) for j in range(i + 1, len(text) + 1)}
    assert longest_copied_run(text, source) == max((len(run) for run in runs if run in source), default=0)


def test_character_similarity_is_a_cosine_of_counts():
    scores = character_similarity(["ab", ""], ["ab", "ba", "cd"])
    assert scores == pytest.approx(np.array([[1.0, 2 / 3, 0.0], [0.0, 0.0, 0.0]]))
    assert scores.dtype == np.float32


def test_the_total_is_the_weighted_sum_of_its_parts():
    evidence = Evidence(
        query="q",
        anchors={1: "a", 2: "b"},
        replies={1: "r", 2: "s"},
        recent=[said("user", "u"), said("assistant", "老样子啦")],
    )
    table = Table(q_a=0.9, q_b=0.3, x_q=0.2, x_r=0.6, x_s=0.1, 老样子啦_s=1.0)
    profile = StyleProfile(messages=1, length=Spread(p10=1, p50=1, p90=1), ends_bare=1.0)
    weights = ScoreWeights(continuity=1.0, style=10.0, closeness=100.0, consistency=1000.0, copying=10000.0)
    first, second = score_candidates(
        [Candidate(("x",), "own", (1,)), Candidate(("老样子啦",), "own", (2,))],
        evidence,
        similarity=table,
        profile=profile,
        weights=weights,
    )
    assert first.continuity == pytest.approx(0.65 * 0.9 + 0.35 * 0.2)
    assert first.style == pytest.approx(0.15 + 0.125 + 0.125)
    assert first.closeness == pytest.approx(0.6)
    assert (first.consistency, first.copying) == (1.0, 0.0)
    assert first.total == pytest.approx(first.continuity + 10 * first.style + 100 * first.closeness + 1000)
    assert second.continuity == pytest.approx(0.65 * 0.3)
    assert second.style == pytest.approx(0.15 / 4 + 0.125 + 0.125)
    assert (second.closeness, second.consistency) == (1.0, 0.0)


def test_scores_do_not_depend_on_who_else_is_scored():
    evidence = Evidence(query="在干嘛", anchors={1: "在干嘛呢"}, replies={1: "在画图"})
    one, other = Candidate(("在画图呀",), "own", (1,)), Candidate(("吃了",), "own")
    alone = score_candidates([one], evidence, similarity=character_similarity)
    together = score_candidates([other, one], evidence, similarity=character_similarity)
    assert together[1] == alone[0]
    assert alone[0].style == 0.5


def test_no_candidates_and_no_hits_are_no_error():
    assert score_candidates([], Evidence(query="在吗"), similarity=character_similarity) == []
    (parts,) = score_candidates([Candidate(("在",), "own")], Evidence(query="在吗"), similarity=character_similarity)
    assert parts.closeness == 0.0
    assert parts.continuity == pytest.approx(0.9 / 3**0.5)
