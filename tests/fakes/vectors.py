"""A collection of vectors in a dictionary, searched by brute force."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any

import numpy as np

from cem_rag_app.errors import DimensionError
from stores.vectors.filters import filter_condition
from stores.vectors.items import AddReport, SearchRequest, StoredVector, VectorHit, VectorItem


class FakeCollection:
    """What :class:`stores.vectors.service.VectorCollection` promises its callers, without disk and index.

    ``batches`` records what was asked together; while ``gate`` is not set, searches wait.
    """

    def __init__(self, items: Sequence[VectorItem] = (), *, any_dimension: bool = False) -> None:
        self.any_dimension = any_dimension
        self.items: dict[str, VectorItem] = {}
        self.writes = 0
        self.batches: list[int] = []
        self.gate = threading.Event()
        self.gate.set()
        self.closed = False
        self.add(items)

    def add(self, items: Sequence[VectorItem], *, replace: bool = False) -> AddReport:
        widths = {len(item.z) for item in (*self.items.values(), *items)}
        if len(widths) > 1 and not self.any_dimension:
            raise DimensionError(f"The vectors have different dimensions: {sorted(widths)}.")
        inserted = 0
        for item in items:
            if replace or item.id not in self.items:
                self.items[item.id] = item
                inserted += 1
        self.writes += 1
        return AddReport(inserted, len(items) - inserted)

    def delete(self, item_id: str) -> bool:
        self.writes += 1
        return self.items.pop(item_id, None) is not None

    def get(self, item_id: str) -> StoredVector | None:
        item = self.items.get(item_id)
        return None if item is None else StoredVector(item.id, item.z, dict(item.metadata), item.vec)

    def search_many(self, requests: Sequence[SearchRequest]) -> list[list[VectorHit]]:
        self.gate.wait()
        self.batches.append(len(requests))
        return [self._search(request) for request in requests]

    def position(self) -> int:
        return self.writes

    def stats(self) -> dict[str, Any]:
        return {"count": len(self.items), "metric": "cosine", "bytes": {"catalog": 0, "index": 0}}

    def close(self) -> None:
        self.closed = True

    def _search(self, request: SearchRequest) -> list[VectorHit]:
        filter_condition(request.filters)
        comparable = [item for item in self.items.values() if len(item.z) == len(request.vector)]
        if len(comparable) < len(self.items) and not self.any_dimension:
            raise DimensionError(f"A query of dimension {len(request.vector)} does not fit.")
        wanted = request.filters.get("subset")
        found = [
            VectorHit(item.id, score, score, None if request.vec is None else 0.5, dict(item.metadata))
            for item in comparable
            if wanted is None or item.metadata.get("subset") == wanted
            for score in (cosine(item.z, request.vector),)
        ]
        return sorted(found, key=lambda hit: -hit.score)[: request.k]


def cosine(left: np.ndarray, right: np.ndarray) -> float:
    return float(left @ right / max(float(np.linalg.norm(left) * np.linalg.norm(right)), 1e-9))
