"""Bubbles are cut at punctuation, and Markdown comes off."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cem_rag_app.persona.bubbles import markdown_marks, split_long, strip_markdown


def test_a_short_line_stays_whole():
    assert split_long("你又坐反啦", 40) == ["你又坐反啦"]


def test_a_long_line_is_cut_after_its_last_sentence_that_fits():
    assert split_long("今天好累。下班去吃火锅吧！你请客", 14) == ["今天好累。下班去吃火锅吧！", "你请客"]
    assert split_long("一二三四五！六七八九十", 8) == ["一二三四五！", "六七八九十"]


def test_without_a_sentence_end_it_is_cut_at_a_comma_which_goes():
    assert split_long("一二三四五，六七八九十", 8) == ["一二三四五", "六七八九十"]


def test_without_any_mark_it_is_cut_at_the_limit():
    assert split_long("一二三四五六七", 3) == ["一二三", "四五六", "七"]


def test_a_number_is_not_cut_at_its_point():
    assert split_long("一共是三块3.14159元", 7) == ["一共是三块", "3.14159", "元"]


def test_a_word_is_not_cut_unless_it_is_longer_than_a_bubble():
    assert split_long("我在学python呢", 6) == ["我在学", "python", "呢"]
    assert split_long("pneumonia", 4) == ["pneu", "moni", "a"]


@given(st.text("啊哈你我，。！ ,.3", max_size=120), st.integers(1, 40))
def test_no_piece_is_longer_than_the_limit_and_no_letter_is_lost(text, limit):
    pieces = split_long(text, limit)
    assert all(0 < len(piece) <= limit for piece in pieces)
    letters = [c for c in "".join(pieces) if c not in "，,。 "]
    assert letters == [c for c in text if c not in "，,。 "]


@pytest.mark.parametrize(
    ("text", "mark", "plain"),
    [
        ("## 标题", "heading", "标题"),
        ("- 苹果\n- 梨", "bullet", "苹果\n梨"),
        ("• 苹果", "bullet", "苹果"),
        ("1. 先起床\n2. 再吃饭", "numbered list", "先起床\n再吃饭"),
        ("一、起床", "numbered list", "起床"),
        ("① 起床", "numbered list", "起床"),
        ("**真的**吗", "bold", "真的吗"),
        ("用 `make run`", "code", "用 make run"),
        ("看[这里](http://a.b)", "link", "看这里"),
        ("> 引用", "quote", "引用"),
        ("---", "rule", ""),
    ],
)
def test_markdown_is_named_and_taken_off(text, mark, plain):
    assert mark in markdown_marks(text)
    assert strip_markdown(text) == plain


def test_what_a_mark_covered_is_taken_off_too():
    assert strip_markdown("## **标题**") == "标题"


@pytest.mark.parametrize(
    "text", ["跑了3.5公里", "9:30见", "[捂脸]", "好耶~~~", "#累了", "-_-", "1块钱", "2个人", ">_<", "23号"]
)
def test_what_people_type_is_no_markdown(text):
    assert markdown_marks(text) == []
