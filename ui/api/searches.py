"""Searches over HTTP: from the cache where the collection stands still, else several in flight together."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from ui.api.batching import Batcher
from ui.api.cache import AnswerCache
from ui.wire_vectors import Found, SearchResults

if TYPE_CHECKING:
    from cem_rag_app.settings import VectorSettings
    from stores.vectors.items import SearchRequest, VectorHit
    from stores.vectors.service import VectorCollection
    from ui.api.metrics import Metrics


class Searches:
    """Answers searches as the bytes of a `SearchResults`; thread-safe.

    Args:
        collection: Gives the open collection; raises where none is served.
        settings: How many answers are kept, how many searches go together.
        metrics: Where times and sizes are counted.
    """

    def __init__(self, collection: Callable[[], VectorCollection], settings: VectorSettings, metrics: Metrics) -> None:
        self._collection = collection
        self._metrics = metrics
        self._batcher = Batcher(self._search_many, most=settings.batch, on_batch=metrics.batch_size.observe)
        self.cache = AnswerCache(settings.cache_entries)

    def answer(self, request: SearchRequest) -> bytes:
        """Answer one request.

        Raises:
            InputError: A vector that cannot be compared.
            DimensionError: A vector of another dimension.
            FilterError: A filter that cannot be understood.
        """
        began = time.perf_counter()
        question = _digest(request)
        state = self._collection().position()
        answer = self.cache.get(question, state)
        if answer is None:
            answer = self._batcher.ask(request)
            self.cache.put(question, state, answer)
            self._metrics.searched.inc()
        else:
            self._metrics.cached.inc()
        self._metrics.search_took(time.perf_counter() - began)
        return answer

    def _search_many(self, requests: Sequence[SearchRequest]) -> list[bytes]:
        began = time.perf_counter()
        found = self._collection().search_many(requests)
        self._metrics.batch_seconds.observe(time.perf_counter() - began)
        return [_encoded(hits) for hits in found]


def _encoded(hits: Sequence[VectorHit]) -> bytes:
    found = [
        Found(id=hit.id, score=hit.score, sim_z=hit.sim_z, sim_orig=hit.sim_orig, metadata=hit.metadata) for hit in hits
    ]
    return SearchResults(results=found).model_dump_json().encode()


def _digest(request: SearchRequest) -> bytes:
    """128 bits that name a question: the same question always, another one never."""
    vec = request.vec
    rest = [
        request.k,
        request.metric,
        request.filters,
        request.stage_n,
        *(request.fusion.method, request.fusion.alpha, request.fusion.beta, request.fusion.k0),
        request.second_stage,
        None if vec is None else vec.shape,
    ]
    digest = hashlib.blake2b(json.dumps(rest, sort_keys=True).encode(), digest_size=16)
    digest.update(request.vector.tobytes())
    if vec is not None:
        digest.update(vec.tobytes())
    return digest.digest()
