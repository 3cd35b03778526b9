"""Ranking measures, defined as trec_eval defines them and checked against ``ir_measures``.

A *run* maps a query id to the scores of its retrieved documents; *qrels* map a query id to graded judgements.
Documents of equal score rank by descending document id, as in trec_eval, so a measure never depends on the
order of a dictionary. Gains are linear; a negative or missing judgement is a gain of 0. A mean is taken over
the queries with at least one relevant document; such a query that is missing from the run counts 0.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

Run = Mapping[str, Mapping[str, float]]
"""Query id -> document id -> score; higher is better."""

Qrels = Mapping[str, Mapping[str, int]]
"""Query id -> document id -> grade; above 0 is relevant."""

Measure = Callable[[Sequence[str], Mapping[str, int], int], float]


def ranking(scores: Mapping[str, float]) -> list[str]:
    """Return document ids, best first; ties by descending id (trec_eval's order)."""
    return sorted(scores, key=lambda document: (scores[document], document), reverse=True)


def ndcg(ranked: Sequence[str], grades: Mapping[str, int], k: int) -> float:
    """Normalised discounted cumulative gain at ``k`` with linear gains (Järvelin & Kekäläinen 2002).

    >>> round(ndcg(["b", "a"], {"a": 2, "c": 1}, k=10), 4)
    0.4796
    """
    ideal = sorted((grade for grade in grades.values() if grade > 0), reverse=True)
    best = _discounted(ideal[:k])
    return _discounted([max(grades.get(document, 0), 0) for document in ranked[:k]]) / best if best else 0.0


def mrr(ranked: Sequence[str], grades: Mapping[str, int], k: int) -> float:
    """Reciprocal rank of the first relevant document within the first ``k``."""
    return next((1 / rank for rank, document in enumerate(ranked[:k], 1) if grades.get(document, 0) > 0), 0.0)


def recall(ranked: Sequence[str], grades: Mapping[str, int], k: int) -> float:
    """Share of the relevant documents found within the first ``k``."""
    relevant = _relevant(grades)
    return len(relevant.intersection(ranked[:k])) / len(relevant) if relevant else 0.0


def precision(ranked: Sequence[str], grades: Mapping[str, int], k: int) -> float:
    """Share of the first ``k`` places taken by relevant documents; a short ranking has empty places."""
    return len(_relevant(grades).intersection(ranked[:k])) / k


def average_precision(ranked: Sequence[str], grades: Mapping[str, int], k: int) -> float:
    """Mean, over the relevant documents, of the precision where each is found; 0 where it is not."""
    relevant = _relevant(grades)
    found = 0
    total = 0.0
    for rank, document in enumerate(ranked[:k], 1):
        if document in relevant:
            found += 1
            total += found / rank
    return total / len(relevant) if relevant else 0.0


def mean(measure: Measure, run: Run, qrels: Qrels, k: int) -> float:
    """Mean of a measure over the queries that have a relevant document; 0.0 when none has."""
    values = [measure(ranking(run.get(query, {})), grades, k) for query, grades in qrels.items() if _relevant(grades)]
    return math.fsum(values) / len(values) if values else 0.0


def retrieval_metrics(run: Run, qrels: Qrels) -> dict[str, float]:
    """Return the figures every retrieval report holds, rounded to five places."""
    return {
        "ndcg@10": round(mean(ndcg, run, qrels, 10), 5),
        "mrr@10": round(mean(mrr, run, qrels, 10), 5),
        "recall@10": round(mean(recall, run, qrels, 10), 5),
        "recall@100": round(mean(recall, run, qrels, 100), 5),
    }


def _relevant(grades: Mapping[str, int]) -> set[str]:
    return {document for document, grade in grades.items() if grade > 0}


def _discounted(gains: Sequence[int]) -> float:
    return math.fsum(gain / math.log2(rank + 1) for rank, gain in enumerate(gains, 1))
