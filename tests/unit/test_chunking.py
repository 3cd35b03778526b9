"""Chunks: of a size, at good places, and nothing lost."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cem_rag_app.chunking import sentences, split_text

SCRAPS = ["The cat sat. ", "它走了。", "“好！”", "a, b; c ", "\n", "\n\n", "Dr. Wu left. ", "word "]
SCRAPS += ["x" * 60, "很" * 40, "e\u0301", "👩\u200d🚀"]
PROSE = st.lists(
    st.sampled_from(SCRAPS),
    max_size=60,
).map("".join)


@given(st.one_of(st.text(), PROSE), st.integers(1, 300))
def test_the_chunks_put_together_are_the_text(text: str, target: int) -> None:
    assert "".join(split_text(text, target)) == text


@given(PROSE, st.integers(8, 300))
def test_a_chunk_is_never_empty_and_never_over_twice_the_target(text: str, target: int) -> None:
    # 8 bytes hold any one character of the sample with its marks, save the joined emoji of 11.
    assert all(0 < len(chunk.encode()) <= max(2 * target, 11 + target) for chunk in split_text(text, target))


@given(st.one_of(st.text(), PROSE))
def test_the_sentences_put_together_are_the_text(text: str) -> None:
    assert "".join(sentences(text)) == text


def test_english_is_cut_after_sentences() -> None:
    text = "The dome opens at dusk. Dr. Wu checks the seals, e.g. the north one. Then it rains! Nobody minds."
    assert split_text(text, 45) == [
        "The dome opens at dusk. ",
        "Dr. Wu checks the seals, e.g. the north one. ",
        "Then it rains! Nobody minds.",
    ]


def test_chinese_is_cut_after_sentences_and_quotes_stay_closed() -> None:
    text = "今天去吃火锅。她说：“好啊！”然后我们就出门了，外面下着雨。"
    assert split_text(text, 27) == ["今天去吃火锅。", "她说：“好啊！”", "然后我们就出门了，", "外面下着雨。"]


def test_a_paragraph_that_is_long_enough_ends_its_chunk() -> None:
    assert split_text("First things first. \n\nSecond things.", 20) == ["First things first. \n\n", "Second things."]


def test_a_long_sentence_without_marks_is_cut_at_spaces_then_between_characters() -> None:
    assert split_text("aaaa bbbb cccc", 5) == ["aaaa ", "bbbb ", "cccc"]
    assert split_text("火" * 5, 6) == ["火火", "火火", "火"]


def test_a_character_keeps_its_marks() -> None:
    assert split_text("e\u0301e\u0301", 3) == ["e\u0301", "e\u0301"]


def test_a_crumb_at_the_end_joins_the_chunk_before() -> None:
    assert split_text("x" * 40 + ". Ok.", 42) == ["x" * 40 + ". Ok."]


def test_decimal_points_and_initials_do_not_end_a_sentence() -> None:
    text = "J. Orr measured 3.14 m at 5 p.m. sharp. It held."
    assert sentences(text) == ["J. Orr measured 3.14 m at 5 p.m. sharp. ", "It held."]


def test_chunks_of_prose_are_near_the_target() -> None:
    text = "The observatory stands on the ridge above the lake. " * 400
    sizes = [len(chunk) for chunk in split_text(text, 440)[:-1]]
    assert min(sizes) >= 400
    assert max(sizes) <= 480


def test_an_empty_text_has_no_chunk_and_a_target_must_be_positive() -> None:
    assert split_text("") == []
    with pytest.raises(ValueError, match="positive"):
        split_text("x", 0)
