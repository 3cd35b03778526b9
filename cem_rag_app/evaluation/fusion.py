"""Two rankings made one."""

from __future__ import annotations

from collections.abc import Sequence

from cem_rag_app.evaluation.metrics import Run, ranking

RRF_K = 60
"""Cormack, Clarke & Büttcher 2009; not tuned here."""


def reciprocal_rank_fusion(
    runs: Sequence[Run], weights: Sequence[float] | None = None, *, k: int = RRF_K
) -> dict[str, dict[str, float]]:
    """Fuse rankings by ``sum of weight / (k + rank)``; only ranks count, so scores need no common scale.

    Args:
        runs: rankings of the same queries; a document missing from one gets nothing from it.
        weights: one for each run; all 1 by default.
        k: how much the first places stand out.
    """
    weights = weights or [1.0] * len(runs)
    fused: dict[str, dict[str, float]] = {}
    for run, weight in zip(runs, weights, strict=True):
        for query, scores in run.items():
            into = fused.setdefault(query, {})
            for rank, document in enumerate(ranking(scores), 1):
                into[document] = into.get(document, 0.0) + weight / (k + rank)
    return fused
