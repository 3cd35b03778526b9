"""Qdrant Edge: Qdrant's engine in this process, one shard in a folder."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cem_rag_app.schema import FloatArray
from stores.peers.base import Build, Embedded, Only, Row, Setting, require

_EF = (16, 32, 64, 128, 256)
_SETTINGS = tuple({"hnsw_ef": ef} for ef in _EF)


class QdrantEdge(Embedded):
    """Vectors stored as eight-bit codes alone (Turbo8) or in half precision; payload indexes made before the graph.

    Without its write-ahead log a store is a third smaller, and a point is stored once ``flush()`` has returned; with
    it, the default, a point is taken for stored at once. Its planner takes the payload index where few points are
    allowed.
    """

    packages = ("qdrant-edge-py",)
    modules = ("qdrant_edge",)
    builds = (
        Build("Turbo8", {"datatype": "Turbo8", "log": False}, _SETTINGS, {"hnsw_ef": 64}, {"hnsw_ef": 256}),
        Build("float16, log", {"datatype": "Float16", "log": True}, _SETTINGS, {"hnsw_ef": 64}, {"hnsw_ef": 256}),
    )

    def __init__(self) -> None:
        self._shard: Any = None
        self._log = True

    def create(self, folder: Path, build: Build, rows: Sequence[Row], vectors: FloatArray) -> None:
        """Load, index the filtered fields, then let the optimizer build the graph."""
        qdrant = require("qdrant-edge", "qdrant_edge")
        config = qdrant.EdgeConfig(
            vectors=qdrant.EdgeVectorParams(
                size=vectors.shape[1],
                distance=qdrant.Distance.Cosine,
                datatype=getattr(qdrant.VectorStorageDatatype, build.parameters["datatype"]),
            ),
            wal_enabled=build.parameters["log"],
            optimizers=qdrant.EdgeOptimizersConfig(default_segment_number=1, indexing_threshold=100),
        )
        self._shard = qdrant.EdgeShard.create(str(folder), config)
        equality = qdrant.IntegerIndexParams(lookup=True, range=False)
        for field in ("percent", "permille"):
            self._shard.update(qdrant.UpdateOperation.create_field_index(field, equality))
        for start in range(0, len(rows), 1000):
            points = [_point(qdrant, row, vectors[row.number]) for row in rows[start : start + 1000]]
            self._shard.update(qdrant.UpdateOperation.upsert_points(points))
        while self._shard.optimize():
            pass
        self.close()

    def open(self, folder: Path, build: Build) -> None:
        """Load the shard."""
        self._shard = require("qdrant-edge", "qdrant_edge").EdgeShard.load(str(folder))
        self._log = build.parameters["log"]

    def search(self, vector: FloatArray, k: int, setting: Setting, only: Only | None = None) -> list[str]:
        """Only the text of the payload is asked for."""
        qdrant = require("qdrant-edge", "qdrant_edge")
        condition = None
        if only is not None:
            match = qdrant.FieldCondition(key=only.field, match=qdrant.MatchValue(only.value))
            condition = qdrant.Filter(must=[match])
        found = self._shard.search(
            qdrant.SearchRequest(
                query=qdrant.Query.Nearest(vector),
                limit=k,
                filter=condition,
                params=qdrant.SearchParams(hnsw_ef=setting["hnsw_ef"]),
                with_payload=["text"],
            )
        )
        return [point.payload["text"] for point in found]

    def add(self, row: Row, vector: FloatArray) -> None:
        """One point; without a log, flushed."""
        qdrant = require("qdrant-edge", "qdrant_edge")
        self._shard.update(qdrant.UpdateOperation.upsert_points([_point(qdrant, row, vector)]))
        if not self._log:
            self._shard.flush()

    def close(self) -> None:
        """Flush and close."""
        if self._shard is not None:
            self._shard.flush()
            self._shard.close()
            self._shard = None


def _point(qdrant: Any, row: Row, vector: FloatArray) -> Any:
    payload = {"text": row.text, "item": row.item, "percent": row.percent, "permille": row.permille}
    return qdrant.Point(id=row.number, vector=vector, payload=payload)
