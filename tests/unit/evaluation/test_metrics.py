"""Measures agree with ir_measures, ties included."""

from __future__ import annotations

import ir_measures
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cem_rag_app.evaluation import metrics

DOCUMENTS = [f"d{number}" for number in range(14)]
QUERIES = ["q1", "q2", "q3"]
# Scores that a 32-bit float holds exactly, few enough that many are equal.
SCORES = st.sampled_from([0.0, 0.5, 1.0, 2.0, -3.0])
RUN = st.fixed_dictionaries(
    {query: st.dictionaries(st.sampled_from(DOCUMENTS), SCORES, min_size=1) for query in QUERIES}
)
QRELS = st.fixed_dictionaries(
    {query: st.dictionaries(st.sampled_from(DOCUMENTS), st.integers(0, 4), min_size=1) for query in QUERIES}
).filter(lambda qrels: all(any(grades.values()) for grades in qrels.values()))

ORACLES = {
    ir_measures.nDCG @ 10: (metrics.ndcg, 10),
    ir_measures.nDCG @ 3: (metrics.ndcg, 3),
    ir_measures.RR: (metrics.mrr, 100),
    ir_measures.R @ 5: (metrics.recall, 5),
    ir_measures.P @ 5: (metrics.precision, 5),
    ir_measures.AP: (metrics.average_precision, 100),
}


@settings(max_examples=40, deadline=None)
@given(run=RUN, qrels=QRELS)
def test_measures_equal_ir_measures_with_ties(
    run: dict[str, dict[str, float]], qrels: dict[str, dict[str, int]]
) -> None:
    expected = ir_measures.calc_aggregate(list(ORACLES), qrels, run)
    ours = {oracle: metrics.mean(measure, run, qrels, k) for oracle, (measure, k) in ORACLES.items()}
    assert ours == pytest.approx(expected, abs=1e-9)


@settings(max_examples=20, deadline=None)
@given(order=st.permutations(DOCUMENTS), qrels=QRELS)
def test_reciprocal_rank_at_k_equals_ir_measures(order: list[str], qrels: dict[str, dict[str, int]]) -> None:
    # Without ties: ir_measures takes a cut-off reciprocal rank from another provider, which breaks ties its own way.
    run = {query: {document: float(-rank) for rank, document in enumerate(order)} for query in QUERIES}
    expected = ir_measures.calc_aggregate([ir_measures.RR @ 3], qrels, run)[ir_measures.RR @ 3]
    assert metrics.mean(metrics.mrr, run, qrels, 3) == pytest.approx(expected, abs=1e-9)


def test_equal_scores_rank_by_descending_id_whatever_the_order_of_the_dictionary() -> None:
    assert metrics.ranking({"a": 1.0, "c": 1.0, "b": 1.0}) == ["c", "b", "a"]
    assert metrics.ranking({"b": 1.0, "a": 2.0}) == ["a", "b"]


def test_a_negative_judgement_is_irrelevant() -> None:
    assert metrics.ndcg(["bad", "good"], {"bad": -1, "good": 1}, 10) == pytest.approx(0.63093, abs=1e-5)
    assert metrics.mrr(["bad", "good"], {"bad": -1, "good": 1}, 10) == 0.5


def test_a_query_missing_from_the_run_counts_zero_and_one_without_relevant_documents_does_not_count() -> None:
    qrels = {"found": {"a": 1}, "missing": {"a": 1}, "hopeless": {"a": 0}}
    run = {"found": {"a": 1.0}}
    assert metrics.mean(metrics.recall, run, qrels, 10) == 0.5


def test_the_report_s_figures_by_hand() -> None:
    run = {"q": {"x": 3.0, "a": 2.0, "b": 1.0}}
    qrels = {"q": {"a": 1, "b": 1, "z": 1}}
    # dcg = 1/log2(3) + 1/log2(4), ideal = 1 + 1/log2(3) + 1/log2(4)
    assert metrics.retrieval_metrics(run, qrels) == {
        "ndcg@10": 0.53072,
        "mrr@10": 0.5,
        "recall@10": 0.66667,
        "recall@100": 0.66667,
    }
