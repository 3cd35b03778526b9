"""Terms: what a query and a document agree on."""

from __future__ import annotations

import unicodedata
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cem_rag_app.lexical import terms

HAN = st.text(st.characters(min_codepoint=0x4E00, max_codepoint=0x9FFF), min_size=2, max_size=12)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Running shoes, 吃火锅!", ["run", "shoe", "吃火", "火锅"]),
        ("火锅", ["火锅"]),
        ("猫", ["猫"]),
        ("我 想 你", ["我", "想", "你"]),
        ("John's plates; John’s PLATES", ["john", "plate", "john", "plate"]),
        ("iPhone15手机", ["iphone15", "手机"]),
        ("ＦＵＬＬ ﬁre", ["full", "fire"]),
        ("Straße café", ["strass", "café"]),
        ("snake_case kebab-case 3.14", ["snake", "case", "kebab", "case", "3", "14"]),
        ("東京タワー", ["東京", "京タ", "タワ", "ワー"]),
        ("…!? 😂 ___", []),
        ("", []),
    ],
)
def test_terms_of(text: str, expected: list[str]) -> None:
    assert terms(text) == expected


def test_a_word_and_its_inflections_meet() -> None:
    assert terms("retrieval") == terms("RETRIEVALS")
    assert terms("compressing") == terms("compressed") == terms("compress")


@given(st.text())
def test_terms_are_deterministic_and_are_folded_and_hold_no_space(text: str) -> None:
    found = terms(text)
    assert found == terms(text)
    assert all(term and term == term.casefold() and not any(map(str.isspace, term)) for term in found)


@given(st.text(), st.text())
def test_a_line_break_separates_texts(left: str, right: str) -> None:
    assert terms(f"{left}\n{right}") == terms(left) + terms(right)


@given(st.text())
def test_compatibility_forms_give_the_same_terms(text: str) -> None:
    assert terms(unicodedata.normalize("NFKC", text)) == terms(text)


@given(HAN, st.data())
def test_every_two_character_word_inside_a_chinese_run_is_found(run: str, data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(run) - 2))
    assert set(terms(run[at : at + 2])) <= set(terms(run))


def test_threads_agree() -> None:
    texts = [f"running {number} compressed retrievals" for number in range(200)] * 4
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(terms, texts)) == [terms(text) for text in texts]
