"""One question over one snapshot: the sealed part and the fresh one, scored with the statistics of both."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from sqlalchemy import Connection

from stores.catalog.ranges import IntArray
from stores.lexical.bits import Bytes
from stores.lexical.fresh import fresh_counts, fresh_lengths, fresh_postings, fresh_size
from stores.lexical.lengths import length_codes
from stores.lexical.scoring import K1, Floats, inverse_frequency, length_norms
from stores.lexical.segment import Posting, Segment

MOST_OCCURRENCES = 10_000
"""Occurrences of its terms in fresh chunks that a query may visit: FTS5 has no way to pass over them. The rarer terms
are taken first, as many as fit, and the others count nothing anywhere. Sealing lifts the bound."""

_NOTHING = np.empty(0, dtype=np.int64)


@dataclass(frozen=True, slots=True)
class Gone:
    """Deleted chunks that the segment still holds: their numbers, and the mask without them."""

    segment: int
    deletion: int
    numbers: IntArray
    mask: Bytes


class Question:
    """See the module docstring.

    Args:
        connection: the snapshot.
        segment: its sealed part, if there is one.
        gone: what of that is deleted.
        limit: chunks at most.
        allowed: ascending ids of the only chunks that may be found; None allows all.
    """

    def __init__(
        self,
        connection: Connection,
        segment: Segment | None,
        gone: Gone | None,
        limit: int,
        allowed: IntArray | None,
    ) -> None:
        self._connection = connection
        self._segment = segment
        self._gone = gone
        self._limit = limit
        self._allowed = allowed
        self._fresh = fresh_size(connection)

    def ask(self, tokens: Sequence[str]) -> dict[int, float]:
        """Chunk id -> BM25, best first."""
        sealed = {token: posting for token in tokens if (posting := self._find(token)) is not None}
        taken = self._worth_visiting(tokens, sealed)
        fresh = fresh_postings(self._connection, taken) if self._fresh.chunks else {}
        holding = {
            token: (sealed[token].count if token in sealed else 0) + (len(fresh[token][0]) if token in fresh else 0)
            for token in taken
        }
        ordered = sorted((token for token in taken if holding[token]), key=lambda token: (holding[token], token))
        if not ordered:
            return {}
        chunks = self._fresh.chunks + (len(self._segment) if self._segment is not None else 0)
        length = self._fresh.length + (self._segment.header.total_length if self._segment is not None else 0)
        average = length / max(chunks, 1)
        norms = length_norms(average)
        weights = {token: (K1 + 1.0) * inverse_frequency(chunks, holding[token]) for token in ordered}
        old, new = [token for token in ordered if token in sealed], [token for token in ordered if token in fresh]
        ids, scores = self._sealed_best(old, sealed, weights, norms, average)
        fresh_ids, fresh_scores = self._fresh_best(new, fresh, weights, norms)
        ids, scores = np.concatenate((ids, fresh_ids)), np.concatenate((scores, fresh_scores))
        if len(scores) > self._limit:
            enough = np.partition(scores, len(scores) - self._limit)[len(scores) - self._limit]
            ids, scores = ids[scores >= enough], scores[scores >= enough]
        order = np.lexsort((ids, -scores))[: self._limit]
        return dict(zip(ids[order].tolist(), scores[order].tolist(), strict=True))

    def _find(self, token: str) -> Posting | None:
        return self._segment.find(token) if self._segment is not None else None

    def _worth_visiting(self, tokens: Sequence[str], sealed: Mapping[str, Posting]) -> list[str]:
        """The terms to score by: all where little is fresh, else the rarest, as long as their occurrences fit."""
        fresh, segment = self._fresh, self._segment
        if fresh.length <= MOST_OCCURRENCES:
            return list(tokens)
        if segment is not None and len(segment) >= fresh.chunks:
            # Counting costs FTS5 as much as visiting; the sealed part knows how common a word is.
            share = fresh.chunks / len(segment)
            counts = {token: round(posting.count * share) for token, posting in sealed.items()}
        else:
            counts = fresh_counts(self._connection, tokens)
        taken: list[str] = []
        visited = 0
        for token in sorted(tokens, key=lambda token: (counts.get(token, 0), token)):
            visited += counts.get(token, 0)
            if visited > MOST_OCCURRENCES and any(token in counts for token in taken):
                break
            taken.append(token)
        return taken

    def _sealed_best(
        self,
        tokens: Sequence[str],
        sealed: Mapping[str, Posting],
        weights: Mapping[str, float],
        norms: Floats,
        average: float,
    ) -> tuple[IntArray, Floats]:
        segment, gone = self._segment, self._gone
        if segment is None or gone is None or not tokens:
            return _NOTHING, np.empty(0, dtype=np.float64)
        given: IntArray | None = None
        mask = gone.mask
        if self._allowed is not None:
            numbers = segment.numbers(self._allowed)
            if segment.few(len(numbers)):
                given = np.setdiff1d(numbers, gone.numbers, assume_unique=True) if len(gone.numbers) else numbers
            else:
                mask = segment.mask(numbers, gone.numbers)
        postings = [sealed[token] for token in tokens]
        factors = np.array([weights[token] for token in tokens], dtype=np.float64)
        # An impact was measured at the segment's own average; a longer average raises it, by no more than its ratio.
        longer = max(1.0, average / max(segment.average_length, 1e-9))
        bounds = factors * np.minimum(1.0, longer * np.array([posting.impact for posting in postings]))
        numbers, scores = segment.best(postings, factors, bounds, norms, self._limit, mask, given)
        return segment.chunk_ids(numbers), scores

    def _fresh_best(
        self,
        tokens: Sequence[str],
        fresh: Mapping[str, tuple[IntArray, IntArray]],
        weights: Mapping[str, float],
        norms: Floats,
    ) -> tuple[IntArray, Floats]:
        if not tokens:
            return _NOTHING, np.empty(0, dtype=np.float64)
        ids = np.unique(np.concatenate([fresh[token][0] for token in tokens]))
        if self._allowed is not None:
            ids = np.intersect1d(ids, self._allowed)
        beside = norms[length_codes(fresh_lengths(self._connection, ids))]
        scores = np.zeros(len(ids), dtype=np.float64)
        for token in tokens:
            chunk_ids, counts = fresh[token]
            there = np.isin(chunk_ids, ids)
            rows = np.searchsorted(ids, chunk_ids[there])
            scores[rows] += weights[token] * counts[there] / (counts[there] + beside[rows])
        return ids, scores
