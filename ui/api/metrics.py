"""What the service counts, in a registry of its own, told at `/metrics` in Prometheus' text format."""

from __future__ import annotations

import time
from collections import deque
from typing import TYPE_CHECKING

import numpy as np
from prometheus_client import CollectorRegistry, Counter, Histogram, ProcessCollector, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4 as CONTENT_TYPE

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

__all__ = ["CONTENT_TYPE", "Measured", "Metrics"]

SECONDS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0)
BATCHES = (1, 2, 4, 8, 16, 32, 64)
WINDOW = 1_000
"""Searches that percentiles in `/stats` are taken over."""
_METHODS = frozenset({"GET", "POST", "DELETE", "HEAD", "OPTIONS", "PUT", "PATCH"})


class Metrics:
    """Counters and histograms of one application; thread-safe."""

    def __init__(self) -> None:
        registry = CollectorRegistry()
        self._registry = registry
        ProcessCollector(registry=registry)  # processor time and memory of this process, where the system tells
        self.requests = Counter(
            "cem_rag_http_requests", "Requests answered.", ("method", "route", "status"), registry=registry
        )
        self.request_seconds = Histogram(
            "cem_rag_http_request_seconds", "Time to an answer.", ("route",), buckets=SECONDS, registry=registry
        )
        self.batch_seconds = Histogram(
            "cem_rag_search_batch_seconds",
            "Time the collection took for one batch of searches.",
            buckets=SECONDS,
            registry=registry,
        )
        self.batch_size = Histogram(
            "cem_rag_search_batch_size", "Searches answered together.", buckets=BATCHES, registry=registry
        )
        self.cached = Counter("cem_rag_search_cache_hits", "Searches answered from the cache.", registry=registry)
        self.searched = Counter("cem_rag_search_cache_misses", "Searches that had to be made.", registry=registry)
        self.inserted = Counter("cem_rag_vectors_inserted", "Vectors taken in.", registry=registry)
        self.duplicates = Counter("cem_rag_vectors_duplicate", "Vectors that were there already.", registry=registry)
        self.deleted = Counter("cem_rag_vectors_deleted", "Vectors deleted.", registry=registry)
        self._latest: deque[float] = deque(maxlen=WINDOW)

    def search_took(self, seconds: float) -> None:
        """Count one search, waiting included."""
        self._latest.append(seconds)

    def percentiles(self) -> tuple[int, float, float, float]:
        """How many searches were looked at, and their p50, p95 and p99 in milliseconds; 0 without any."""
        latest = np.asarray(list(self._latest), dtype=np.float64) * 1e3
        if not len(latest):
            return 0, 0.0, 0.0, 0.0
        p50, p95, p99 = np.percentile(latest, (50, 95, 99))
        return len(latest), float(p50), float(p95), float(p99)

    def value(self, name: str) -> int:
        """What a counter without labels stands at; ``name`` as Prometheus is told it."""
        return int(self._registry.get_sample_value(name) or 0)

    def text(self) -> bytes:
        """Everything counted, in Prometheus' text format."""
        return generate_latest(self._registry)


class Measured:
    """ASGI middleware: counts requests and their time by route, never by address, so that names stay few."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self.app = app
        self.metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on and look at the clock."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        status = 500

        async def told(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        began = time.perf_counter()
        try:
            await self.app(scope, receive, told)
        finally:
            route = getattr(scope.get("route"), "path_format", "none")
            method = scope["method"] if scope["method"] in _METHODS else "other"
            self.metrics.requests.labels(method, route, status).inc()
            self.metrics.request_seconds.labels(route).observe(time.perf_counter() - began)
