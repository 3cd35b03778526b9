"""Two rankings made one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from cem_rag_app.evaluation.metrics import Run


def weighted_sum(runs: Sequence[Run], weights: Sequence[float]) -> dict[str, dict[str, float]]:
    """Fuse by a weighted sum of scores, each run's brought to [0, 1] by min-max within the query.

    Args:
        runs: rankings of the same queries; a document missing from one gets nothing from it.
        weights: one for each run.

    Returns:
        Query id -> document id -> fused score.
    """
    fused: dict[str, dict[str, float]] = {}
    for run, weight in zip(runs, weights, strict=True):
        for query, scores in run.items():
            into = fused.setdefault(query, {})
            for document, score in _min_max(scores).items():
                into[document] = into.get(document, 0.0) + weight * score
    return fused


def _min_max(scores: Mapping[str, float]) -> dict[str, float]:
    """Bring scores to [0, 1]; equal scores all become 1, since being found at all is what they say."""
    if not scores:
        return {}
    low, high = min(scores.values()), max(scores.values())
    if high == low:
        return dict.fromkeys(scores, 1.0)
    return {document: (score - low) / (high - low) for document, score in scores.items()}
