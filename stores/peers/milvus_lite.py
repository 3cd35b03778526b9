"""Milvus Lite through pymilvus: a small rewrite of Milvus over FAISS, and no measure of Milvus itself."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cem_rag_app.schema import FloatArray
from stores.peers.base import Build, Embedded, Only, Row, Setting, require

_SETTINGS = tuple({"ef": ef} for ef in (16, 32, 64, 128, 256))
_NAME = "chunks"


class MilvusLite(Embedded):
    """A collection with a full and a quantised HNSW index, and inverted indexes over the filtered fields."""

    packages = ("milvus-lite", "pymilvus", "faiss-cpu")
    modules = ("milvus_lite", "pymilvus", "faiss")
    builds = (
        Build(
            "HNSW_SQ", {"index_type": "HNSW_SQ", "M": 16, "efConstruction": 200}, _SETTINGS, {"ef": 64}, {"ef": 4096}
        ),
        Build("HNSW", {"index_type": "HNSW", "M": 16, "efConstruction": 200}, _SETTINGS, {"ef": 64}, {"ef": 4096}),
    )

    def __init__(self) -> None:
        self._client: Any = None

    def create(self, folder: Path, build: Build, rows: Sequence[Row], vectors: FloatArray) -> None:
        """Insert, flush, compact, index, load."""
        milvus = require("milvus-lite", "pymilvus")
        self._connect(folder)
        client = self._client
        schema = client.create_schema(auto_id=False)
        kinds = milvus.DataType
        schema.add_field("number", kinds.INT64, is_primary=True)
        schema.add_field("item", kinds.VARCHAR, max_length=256)
        schema.add_field("text", kinds.VARCHAR, max_length=65_535)
        schema.add_field("percent", kinds.INT64)
        schema.add_field("permille", kinds.INT64)
        schema.add_field("vector", kinds.FLOAT_VECTOR, dim=vectors.shape[1])
        client.create_collection(_NAME, schema=schema)
        for start in range(0, len(rows), 5000):
            client.insert(_NAME, [_entity(row, vectors[row.number]) for row in rows[start : start + 5000]])
        client.flush(_NAME)
        client.compact(_NAME)
        index = client.prepare_index_params()
        given = {key: value for key, value in build.parameters.items() if key != "index_type"}
        index.add_index("vector", index_type=build.parameters["index_type"], metric_type="COSINE", params=given)
        for field in ("percent", "permille"):
            index.add_index(field, index_type="INVERTED")
        client.create_index(_NAME, index)
        client.load_collection(_NAME)
        client.search(_NAME, data=[vectors[0].tolist()], limit=1)
        self.close()

    def open(self, folder: Path, build: Build) -> None:
        """Open and load."""
        self._connect(folder)
        self._client.load_collection(_NAME)

    def search(self, vector: FloatArray, k: int, setting: Setting, only: Only | None = None) -> list[str]:
        """Its filter is a mask over the graph walk."""
        found = self._client.search(
            _NAME,
            data=[vector],
            limit=k,
            filter="" if only is None else f"{only.field} == {only.value}",
            search_params={"metric_type": "COSINE", "params": dict(setting)},
            output_fields=["text"],
        )
        return [hit["entity"]["text"] for hit in found[0]]

    def add(self, row: Row, vector: FloatArray) -> None:
        """One entity."""
        self._client.insert(_NAME, [_entity(row, vector)])

    def close(self) -> None:
        """Close the client and its server."""
        if self._client is not None:
            self._client.close()
            self._client = None

    def _connect(self, folder: Path) -> None:
        self._client = require("milvus-lite", "pymilvus").MilvusClient(str(folder / "milvus.db"))


def _entity(row: Row, vector: FloatArray) -> dict[str, Any]:
    return {
        "number": row.number,
        "item": row.item,
        "text": row.text,
        "percent": row.percent,
        "permille": row.permille,
        "vector": vector.tolist(),
    }
