"""The features of the Chinese encoder are what their definition says, in one pass over bytes."""

from __future__ import annotations

import unicodedata

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cem_rag_app.cem.teachers.ngrams import (
    WORD_BASE,
    WORD_BUCKETS,
    build_fold,
    build_slots,
    find_row,
    ngram_keys,
    rows_of,
)

FOLD = build_fold({"貓": "猫", "愛": "爱"})
NO_BUCKETS = np.zeros(2, dtype=np.int32)


def as_bytes(text: str) -> np.ndarray:
    return np.frombuffer(text.encode("utf-8"), dtype=np.uint8)


def word(text: str) -> int:
    value = 0x811C9DC5
    for byte in text.encode():
        value = ((value ^ byte) * 0x01000193) & 0xFFFFFFFF
    return WORD_BASE + value % WORD_BUCKETS


def key(*tokens: int | str) -> int:
    value = 0
    for token in tokens:
        value = value << 21 | (ord(token) if isinstance(token, str) else token)
    return value


def plainly(text: str) -> list[int]:
    """The definition in ``docs/teachers.md``, written as slowly as it reads."""
    tokens: list[int] = []
    run = ""
    for character in text + " ":
        folded = unicodedata.normalize("NFKC", character).lower()
        folded = {"貓": "猫", "愛": "爱"}.get(folded, folded)
        if ord(character) >= 0x10000:
            folded = character
        elif len(folded) != 1 or unicodedata.category(folded)[0] not in "LN" or ord(folded) >= 0x10000:
            folded = ""
        if folded and folded.isascii():
            run += folded
            continue
        if run:
            tokens.append(word(run))
            run = ""
        tokens.append(ord(folded) if folded else 0)
    keys = []
    for place, token in enumerate(tokens):
        if token:
            for length in (1, 2, 3):
                gram = tokens[place - length + 1 : place + 1] if place >= length - 1 else [0]
                if 0 not in gram:
                    keys.append(key(*gram))
    return keys


def test_han_characters_make_grams_of_one_two_and_three() -> None:
    assert ngram_keys(as_bytes("吃火锅"), FOLD).tolist() == [
        key("吃"), key("火"), key("吃", "火"), key("锅"), key("火", "锅"), key("吃", "火", "锅"),
    ]  # fmt: skip


def test_punctuation_breaks_grams() -> None:
    assert ngram_keys(as_bytes("好，吧"), FOLD).tolist() == [key("好"), key("吧")]


def test_a_run_of_latin_letters_and_digits_is_one_token() -> None:
    phone = word("iphone15")
    assert ngram_keys(as_bytes("买iPhone15"), FOLD).tolist() == [key("买"), phone, key("买", phone)]


@pytest.mark.parametrize(("written", "read"), [("ＡＢ１", "ab1"), ("我愛貓", "我爱猫"), ("ABC", "abc"), ("①", "1")])
def test_forms_of_the_same_character_are_one_feature(written: str, read: str) -> None:
    assert ngram_keys(as_bytes(written), FOLD).tolist() == ngram_keys(as_bytes(read), FOLD).tolist()


def test_an_empty_text_has_no_features() -> None:
    assert ngram_keys(as_bytes(""), FOLD).size == 0


ALPHABET = st.one_of(st.sampled_from("我你好愛貓aZ9，。 \n😀éｆ"), st.characters(codec="utf-8"))


@given(st.text(alphabet=ALPHABET, max_size=40))
def test_the_compiled_reader_agrees_with_the_definition(text: str) -> None:
    assert ngram_keys(as_bytes(text), FOLD).tolist() == plainly(text)


@given(st.binary(max_size=60))
def test_bytes_that_are_no_text_raise_nothing(data: bytes) -> None:
    keys = ngram_keys(np.frombuffer(data, dtype=np.uint8), FOLD)
    assert (keys > 0).all()


@given(st.text(max_size=20), st.binary(min_size=1, max_size=3).filter(lambda data: data[0] in range(0x80, 0xC0)))
def test_a_stray_byte_is_a_separator(text: str, stray: bytes) -> None:
    text = text.encode("utf-8", "ignore").decode()
    data = np.frombuffer(text.encode() + stray[:1] + text.encode(), dtype=np.uint8)
    assert ngram_keys(data, FOLD).tolist() == plainly(text) * 2


def test_every_key_is_found_in_its_row_and_no_other_is_found() -> None:
    keys = np.unique(np.random.default_rng(0).integers(1, 1 << 62, 5000))
    slots = np.full(1 << 14, -1, dtype=np.int32)
    build_slots(keys, slots)
    assert [find_row(value, keys, slots) for value in keys] == list(range(keys.size))
    assert find_row(np.int64(0), keys, slots) == -1


def test_unknown_tokens_and_pairs_share_rows_and_unknown_triples_count_for_nothing() -> None:
    keys = np.array([key("好")], dtype=np.int64)
    slots = np.full(4, -1, dtype=np.int32)
    build_slots(keys, slots)
    buckets = np.array([10, 20], dtype=np.int32)
    rows = rows_of(as_bytes("好吃吗"), FOLD, keys, slots, buckets)
    known, token, pair, other_token, other_pair = rows.tolist()
    assert known == 0
    assert 1 <= token <= 10 and 1 <= other_token <= 10
    assert 11 <= pair <= 30 and 11 <= other_pair <= 30
    assert rows_of(as_bytes("好吃吗"), FOLD, keys, slots, NO_BUCKETS).tolist() == [0]
