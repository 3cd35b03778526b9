"""What goes into a vector collection and what comes out of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from cem_rag_app.schema import FloatArray
from stores.fusion import FusionMethod

Metric = Literal["cosine", "l2"]
SecondStage = Literal["aligned", "dtw", "edit"]

COLUMNS = ("file_path", "subset", "label", "source")
"""Metadata with a column of its own; the rest is kept as one JSON object."""


@dataclass(frozen=True, slots=True)
class VectorItem:
    """Something to store.

    Attributes:
        id: 1 to 255 characters, unique in the collection.
        z: (d,) latent vector; unit length is made where the collection's metric is cosine.
        metadata: JSON values; ``file_path``, ``subset``, ``label`` and ``source`` are strings and have columns.
        vec: (seq_len, 1 + n_args) macro sequence: a command and its arguments a row, -1 where unused.
    """

    id: str
    z: FloatArray
    metadata: Mapping[str, Any] = field(default_factory=dict)
    vec: FloatArray | None = None


@dataclass(frozen=True, slots=True)
class StoredVector:
    """An item as it is stored; ``z`` has unit length in a cosine collection."""

    id: str
    z: FloatArray
    metadata: dict[str, Any]
    vec: FloatArray | None


@dataclass(frozen=True, slots=True)
class FusionSettings:
    """How the two stages become one score.

    Attributes:
        method: ``weighted`` (min-max, then a weighted sum), ``rrf`` or ``borda``.
        alpha: weight of the similarity of ``z``; of ``weighted`` alone.
        beta: weight of the similarity of ``vec``; of ``weighted`` alone.
        k0: added to every rank; of ``rrf`` alone.
    """

    method: FusionMethod = "weighted"
    alpha: float = 0.6
    beta: float = 0.4
    k0: int = 60


@dataclass(frozen=True, slots=True)
class SearchRequest:
    """One question.

    Attributes:
        vector: (d,) latent vector.
        k: hits wanted.
        metric: ``l2`` ranks unit vectors as ``cosine`` does; a collection of metric ``l2`` answers ``l2`` alone.
        filters: see :mod:`stores.vectors.filters`.
        stage_n: candidates that the second stage looks at.
        fusion: how both stages are put together.
        vec: (seq_len, 1 + n_args) macro sequence; without it there is no second stage.
        second_stage: how macro sequences are compared.
    """

    vector: FloatArray
    k: int = 20
    metric: Metric = "cosine"
    filters: Mapping[str, Any] = field(default_factory=dict)
    stage_n: int = 100
    fusion: FusionSettings = FusionSettings()
    vec: FloatArray | None = None
    second_stage: SecondStage = "dtw"


@dataclass(frozen=True, slots=True)
class VectorHit:
    """One answer.

    Attributes:
        id: of the item.
        score: what hits are ordered by: the fusion of both stages, or ``sim_z`` where there is no second one.
        sim_z: cosine, or 1 / (1 + distance) for ``l2``.
        sim_orig: 1 / (1 + distance) of the macro sequences; None without a second stage or a sequence.
        metadata: of the item.
    """

    id: str
    score: float
    sim_z: float
    sim_orig: float | None
    metadata: dict[str, Any]


@dataclass(frozen=True, slots=True)
class AddReport:
    """What an addition did: ``duplicates`` were there already and were left as they are."""

    inserted: int = 0
    duplicates: int = 0
