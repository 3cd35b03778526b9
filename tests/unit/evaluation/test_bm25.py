"""BM25 equals the textbook formula."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cem_rag_app.evaluation.bm25 import Bm25

WORDS = ["wind", "dome", "sheep", "plate", "night"]
TEXTS = st.lists(st.lists(st.sampled_from(WORDS), max_size=8), min_size=1, max_size=6)


def textbook(texts: list[list[str]], query: list[str], number: int, k1: float = 1.2, b: float = 0.75) -> float:
    average = sum(map(len, texts)) / len(texts) or 1.0
    total = 0.0
    for word in query:
        df = sum(word in text for text in texts)
        tf = texts[number].count(word)
        if tf:
            idf = math.log(1 + (len(texts) - df + 0.5) / (df + 0.5))
            total += idf * tf * (k1 + 1) / (tf + k1 * (1 - b + b * len(texts[number]) / average))
    return total


@given(TEXTS, st.lists(st.sampled_from(WORDS), max_size=5))
def test_scores_equal_the_formula(texts: list[list[str]], query: list[str]) -> None:
    scores = Bm25([" ".join(text) for text in texts]).scores(" ".join(query))
    assert [float(score) for score in scores] == pytest.approx(
        [textbook(texts, query, number) for number in range(len(texts))], abs=1e-5
    )


def test_inflections_and_chinese_words_are_found() -> None:
    index = Bm25(["The shutters were closing", "我们吃火锅", "nothing"])
    assert index.scores("close the shutter").argmax() == 0
    assert list(index.scores("火锅") > 0) == [False, True, False]


def test_nothing_matches_nothing() -> None:
    assert Bm25([]).scores("wind").shape == (0,)
    assert Bm25(["", ""]).scores("wind").tolist() == [0.0, 0.0]
