"""From candidates of the first stage to an order: the second stage and the fusion of both. Pure functions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from cem_rag_app.schema import FloatArray
from cem_rag_app.vectors.distances import similarities as sequence_similarities
from stores.fusion import borda, min_max_weighted, reciprocal_ranks
from stores.indexes.base import IntArray
from stores.vectors.items import FusionSettings, Metric, SearchRequest


@dataclass(frozen=True, slots=True)
class Candidates:
    """What the first stage found, best first: (n,) keys, and similarities as the index gives them."""

    keys: IntArray
    similarities: FloatArray
    metric: Metric


@dataclass(frozen=True, slots=True)
class Ranked:
    """A candidate with its scores; see :class:`stores.vectors.items.VectorHit`."""

    key: int
    score: float
    sim_z: float
    sim_orig: float | None


def rank(candidates: Candidates, request: SearchRequest, sequences: Mapping[int, FloatArray]) -> list[Ranked]:
    """Order candidates, and keep k.

    Args:
        candidates: of the first stage.
        request: what was asked.
        sequences: macro sequences of candidates by key, of those that have one.
    """
    first = shown_similarity(candidates, request.metric)
    if request.vec is None:
        return [
            Ranked(int(key), float(score), float(score), None)
            for key, score in zip(candidates.keys[: request.k], first[: request.k], strict=True)
        ]
    keys, first = candidates.keys[: request.stage_n], first[: request.stage_n]
    second = np.full(len(keys), np.nan, dtype=np.float32)
    held = [row for row, key in enumerate(keys.tolist()) if key in sequences]
    given = np.asarray(request.vec, dtype=np.float32)
    query = given[:, None] if given.ndim == 1 else given
    second[held] = sequence_similarities(query, [sequences[int(keys[row])] for row in held], request.second_stage)
    scores = fuse(np.stack((first, second), axis=1), request.fusion)
    order = np.argsort(-scores, kind="stable")[: request.k]  # equal scores stay in the order of the first stage
    return [
        Ranked(
            int(keys[row]),
            float(scores[row]),
            float(first[row]),
            None if np.isnan(second[row]) else float(second[row]),
        )
        for row in order.tolist()
    ]


def fuse(parts: FloatArray, settings: FusionSettings) -> FloatArray:
    """One score of (n, 2) similarities of ``z`` and ``vec``, NaN where there is no sequence."""
    if settings.method == "weighted":
        return min_max_weighted(parts, (settings.alpha, settings.beta))
    return reciprocal_ranks(parts, settings.k0) if settings.method == "rrf" else borda(parts)


def shown_similarity(candidates: Candidates, metric: Metric) -> FloatArray:
    """Similarity of ``z`` in (0, 1] for ``l2``, the cosine else."""
    if metric == "cosine":
        return candidates.similarities
    squared = -candidates.similarities if candidates.metric == "l2" else 2.0 - 2.0 * candidates.similarities
    return (1.0 / (1.0 + np.sqrt(np.maximum(squared, 0.0)))).astype(np.float32)
