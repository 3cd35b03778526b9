"""The evaluator: exact, and blind to what a document is made of."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cem_rag_app.evaluation import retrieval
from cem_rag_app.evaluation.fusion import weighted_sum
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


def test_a_weighted_sum_brings_each_run_to_one_scale() -> None:
    runs = [{"q": {"a": 30.0, "b": 10.0, "c": 20.0}}, {"q": {"b": 0.5}, "r": {"d": 1.0}}]
    assert weighted_sum(runs, [0.75, 0.25]) == {"q": {"a": 0.75, "b": 0.25, "c": 0.375}, "r": {"d": 0.25}}
    assert weighted_sum([{"q": {}}], [1.0]) == {"q": {}}


def test_there_is_a_weight_for_every_run() -> None:
    with pytest.raises(ValueError, match="zip"):
        weighted_sum([{}], [0.5, 0.5])
