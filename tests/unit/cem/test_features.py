"""The compiled readers against the plain ones: a frame of a text has the features of the text."""

from __future__ import annotations

from collections import Counter
from functools import cache
from math import log

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cem_rag_app.cem.features import FeatureConfig, FeatureCounts, FeatureReader
from cem_rag_app.cem.symbols.lookup import hash_all
from cem_rag_app.cem.symbols.tables import shared_tables
from cem_rag_app.cem.teachers.embedded_zh import EmbeddedZhEncoder
from cem_rag_app.cem.teachers.ngrams import ngram_keys
from cem_rag_app.cem.training.vocabulary import Feature, choose_tokens, text_features, token_text, vocabulary_hashes
from cem_rag_app.zpkg.compress import Compressor
from cem_rag_app.zpkg.dictionary import Dictionary, general_dictionary

ALPHABET = "aabbcde   ,.\n1É火锅好的😀Ａß"
NONE = Dictionary(b"")


@cache
def folding() -> np.ndarray:
    return EmbeddedZhEncoder().table.fold


def read(texts: list[str], reader: FeatureReader, dictionary: Dictionary = NONE, level: int = 19) -> FeatureCounts:
    compressor = Compressor(dictionary, level)
    return reader.read([compressor.compress(text.encode()) for text in texts], shared_tables(dictionary))


def counted(counts: FeatureCounts, row: int) -> dict[int, float]:
    chosen = slice(counts.bounds[row], counts.bounds[row + 1])
    return dict(zip(counts.indices[chosen].tolist(), counts.weights[chosen].tolist(), strict=True))


@given(
    text=st.text(alphabet=ALPHABET, max_size=200),
    level=st.sampled_from([1, 19]),
    language=st.sampled_from(["en", "zh"]),
)
def test_words_and_pairs_across_match_borders_are_those_of_the_text(text: str, level: int, language: str) -> None:
    dictionary = general_dictionary(language)  # type: ignore[arg-type]
    text = text * 3
    expected = Counter(text_features(text))
    vocabulary: list[Feature] = sorted(expected)
    reader = FeatureReader(vocabulary_hashes(vocabulary), FeatureConfig(buckets=0, count_weight="count"))
    found = counted(read([text], reader, dictionary, level), 0)
    assert {vocabulary[row]: count for row, count in found.items()} == expected


@given(text=st.text(max_size=120), level=st.sampled_from([1, 19]))
def test_tokens_across_match_borders_are_the_teachers(text: str, level: int) -> None:
    text = (text * 2).encode("utf-8", "ignore").decode()
    fold = folding()
    expected = Counter(ngram_keys(np.frombuffer(text.encode(), dtype=np.uint8), fold).tolist())
    keys = np.array(sorted(expected), dtype=np.int64)
    reader = FeatureReader(
        hash_all(keys), FeatureConfig(kind="tokens", pairs=False, buckets=0, count_weight="count"), fold
    )
    found = counted(read([text], reader, general_dictionary("zh"), level), 0)
    assert {int(keys[row]): count for row, count in found.items()} == expected


def test_without_edges_a_word_cut_by_a_match_is_lost() -> None:
    phrase = "incomprehensibilities"
    text = f"{phrase} and un{phrase}s"
    whole, cut = (
        FeatureReader(vocabulary_hashes([(f"un{phrase}s",)]), FeatureConfig(buckets=0, edges=edges))
        for edges in (True, False)
    )
    assert counted(read([text], whole), 0) == {0: 1.0}
    assert counted(read([text], cut), 0) == {}


def test_unknown_words_fall_into_buckets_and_alike_words_share_some() -> None:
    reader = FeatureReader(vocabulary_hashes([("known",)]), FeatureConfig(buckets=4096))
    counts = read(["known", "aerodynamics", "aerodynamical", "of"], reader)
    assert counted(counts, 0) == {0: 1.0}
    first, second, short = (set(counted(counts, row)) for row in (1, 2, 3))
    assert min(first | second | short) >= 1
    assert len(first & second) > len(first) // 2
    assert len(short) == 1


@pytest.mark.parametrize(("kind", "weight"), [("count", 4.0), ("log", 1 + log(4)), ("root", 2.0)])
def test_repeats_weigh_as_the_configuration_says(kind: str, weight: float) -> None:
    config = FeatureConfig(buckets=0, count_weight=kind)  # type: ignore[arg-type]
    counts = read(["wing wing, wing. wing"], FeatureReader(vocabulary_hashes([("wing",)]), config))
    assert counted(counts, 0) == {0: pytest.approx(weight)}


def test_a_break_parts_pairs_and_a_blank_does_not() -> None:
    reader = FeatureReader(vocabulary_hashes([("shock", "wave")]), FeatureConfig(buckets=0))
    found = [bool(counted(read([text], reader), 0)) for text in ("Shock  wave", "shock-wave", "shock, wave")]
    assert found == [True, False, False]


def test_the_vocabulary_of_tokens_is_the_most_frequent_and_can_be_read() -> None:
    fold = folding()
    keys, share = choose_tokens(["火锅好", "火锅", "好 ok"], fold, grams=3, least=2)
    assert sorted(map(token_text, keys.tolist())) == sorted(["火", "锅", "好"]) or "火锅" in map(
        token_text, keys.tolist()
    )
    assert share.tolist() == pytest.approx([2 / 3] * 3)
