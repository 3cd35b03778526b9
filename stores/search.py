"""Recall up to the tail: which chunks, with which scores. Nothing here opens a frame (I1)."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, select

from cem_rag_app.cem.pair import QueryEncoder
from cem_rag_app.schema import FloatArray, HitKind, Query, Scores
from cem_rag_app.settings import RecallSettings
from stores.catalog.chunks import AT_ONCE
from stores.catalog.database import Database
from stores.catalog.tables import KIND_NAMES, chunks
from stores.filters import allowed_chunks
from stores.fusion import min_max, recency, weighted
from stores.lexical.index import LexicalIndex
from stores.live_index import LiveIndex

CONTEXT_WEIGHT = 0.3
"""Share of the earlier turns in a query's vector: enough for a follow-up to find its subject."""


@dataclass(frozen=True, slots=True)
class Found:
    """A candidate, scored and not yet opened."""

    chunk_id: int
    kind: HitKind
    timestamp: float
    scores: Scores


@dataclass(frozen=True, slots=True)
class Weights:
    """What each part of the score counts."""

    semantic: float
    lexical: float
    recency: float

    @classmethod
    def of(cls, kind: Literal["chat", "documents"], settings: RecallSettings) -> Weights:
        """For a chat the blueprint's (section 5.2); for documents, whose age says nothing, the vector seed's."""
        if kind == "chat":
            return cls(settings.semantic_weight, settings.lexical_weight, settings.recency_weight)
        return cls(settings.document_semantic_weight, settings.document_lexical_weight, 0.0)


def search(
    query: Query,
    database: Database,
    index: LiveIndex,
    lexical: LexicalIndex,
    encoder: QueryEncoder,
    settings: RecallSettings,
    *,
    kind: Literal["chat", "documents"] = "chat",
) -> list[Found]:
    """All candidates of a query, best first.

    Candidates are the nearest by vector and the best by terms; each of them gets every part of the score, whichever
    way it was found.

    Raises:
        FilterError: a filter that cannot be understood.
        DimensionError: the query encoder is of another space than the index.
    """
    allowed = allowed_chunks(database, query.filters)
    index.sync()
    vector = query_vector(query, encoder)
    count = max(settings.candidates, query.k)
    near, _ = index.search(vector, count, allowed)
    with database.read() as connection:
        by_terms = lexical.search(connection, query.text, count, allowed)
        rows = _present(connection, list(dict.fromkeys([*near, *by_terms])))
    if not rows:
        return []
    known = index.similarities(vector, [row[0] for row in rows])
    similarities = np.array([known.get(row[0], 0.0) for row in rows], dtype=np.float32)
    now = time.time() if query.now is None else query.now
    parts = np.zeros((len(rows), 3), dtype=np.float32)
    parts[:, 1] = min_max(np.array([by_terms.get(row[0], 0.0) for row in rows], dtype=np.float32))
    parts[:, 2] = recency(np.array([row[2] for row in rows], dtype=np.float64), now, settings.recency_half_life_days)
    weights = Weights.of(kind, settings)
    newest_first = np.array([-row[0] for row in rows])

    def ranked() -> tuple[FloatArray, NDArray[np.intp]]:
        parts[:, 0] = min_max(similarities)
        totals = weighted(parts, (weights.semantic, weights.lexical, weights.recency))
        return totals, np.lexsort((newest_first, -totals))

    totals, order = ranked()
    best = order[: index.refine]
    if len(best):
        exact = index.exact(vector, [rows[i][0] for i in best])
        similarities[best] = [exact.get(rows[i][0], similarities[i]) for i in best]
        totals, order = ranked()
    return [
        Found(
            rows[i][0],
            rows[i][1],
            rows[i][2],
            Scores(float(parts[i, 0]), float(parts[i, 1]), float(parts[i, 2]), float(totals[i])),
        )
        for i in order
    ]


def query_vector(query: Query, encoder: QueryEncoder) -> FloatArray:
    """The unit vector (d,) of a question, drawn a little towards the turns before it."""
    texts = [query.text, query.context] if query.context else [query.text]
    rows = encoder.encode_queries(texts)
    own: FloatArray = rows[0]
    if len(rows) == 1:
        return own
    mixed = (1.0 - CONTEXT_WEIGHT) * own + CONTEXT_WEIGHT * rows[1]
    length = float(np.linalg.norm(mixed))
    return own if length < 1e-6 else np.asarray(mixed / length, dtype=np.float32)


def _present(connection: Connection, chunk_ids: Sequence[int]) -> list[tuple[int, HitKind, float]]:
    """Kind and time of the chunks that still exist; the index may be a moment behind or ahead of this snapshot."""
    rows: list[tuple[int, HitKind, float]] = []
    for start in range(0, len(chunk_ids), AT_ONCE):
        statement = select(chunks.c.chunk_id, chunks.c.kind, chunks.c.timestamp).where(
            chunks.c.chunk_id.in_(chunk_ids[start : start + AT_ONCE])
        )
        rows += [(row.chunk_id, KIND_NAMES[row.kind], row.timestamp) for row in connection.execute(statement)]
    return rows
