"""The evaluator: exact, and blind to what a document is made of."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cem_rag_app.evaluation import retrieval
from cem_rag_app.evaluation.fusion import reciprocal_rank_fusion
from cem_rag_app.schema import FloatArray


class Table:
    """Vectors by id; there is no document anywhere (I7)."""

    def __init__(self, vectors: dict[str, list[float]]) -> None:
        self._vectors = vectors

    def encode_corpus_ids(self, corpus_ids: Sequence[str]) -> FloatArray:
        return np.array([self._vectors[document] for document in corpus_ids], dtype=np.float32)

    def encode_queries(self, texts: Sequence[str]) -> FloatArray:
        return np.array([[float(value) for value in text.split()] for text in texts], dtype=np.float32)


def test_the_nearest_documents_come_with_their_inner_products() -> None:
    table = Table({"a": [1.0, 0.0], "b": [0.0, 1.0], "c": [0.5, 0.5]})
    run = retrieval.search(table, ["a", "b", "c"], {"q": "1 0", "r": "0 2"}, depth=2)
    assert run == {"q": {"a": 1.0, "c": 0.5}, "r": {"b": 2.0, "c": 1.0}}


@given(st.integers(1, 40), st.integers(1, 50), st.integers(1, 9), st.integers(0, 10_000))
def test_search_in_blocks_equals_search_at_once(documents: int, depth: int, block: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    questions = rng.standard_normal((3, 4)).astype(np.float32)
    corpus = rng.standard_normal((documents, 4)).astype(np.float32)
    scores, places = retrieval.best(questions, corpus, depth, block=block)
    for row, question in enumerate(questions):
        naive = sorted(((float(question @ vector), number) for number, vector in enumerate(corpus)), reverse=True)
        assert list(places[row]) == [number for _, number in naive[:depth]]
        assert list(scores[row]) == pytest.approx([score for score, _ in naive[:depth]], abs=1e-5)


def test_reciprocal_rank_fusion_by_hand() -> None:
    first, second = {"q": {"a": 9.0, "b": 1.0}}, {"q": {"b": 0.2, "c": 0.1}}
    fused = reciprocal_rank_fusion([first, second])
    assert fused == {"q": {"a": 1 / 61, "b": pytest.approx(1 / 62 + 1 / 61), "c": 1 / 62}}


def test_a_query_in_one_run_only_is_kept() -> None:
    assert reciprocal_rank_fusion([{"q": {"a": 1.0}}, {"r": {"b": 1.0}}]) == {"q": {"a": 1 / 61}, "r": {"b": 1 / 61}}
