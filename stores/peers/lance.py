"""LanceDB: columns in Lance files, an IVF index of HNSW graphs or of quantised vectors."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

from cem_rag_app.schema import FloatArray
from stores.peers.base import Build, Embedded, Only, Row, Setting, require

_HNSW = tuple({"ef": ef, "refine": refine} for refine in (0, 2) for ef in (20, 32, 64, 128, 256))
_PROBES = tuple({"nprobes": probes, "refine": refine} for refine in (5, 10, 20) for probes in (10, 20, 40))


class Lance(Embedded):
    """Vectors as float16, text compressed by Zstandard, bitmaps over the filtered columns, old versions removed."""

    packages = ("lancedb",)
    modules = ("lancedb", "pyarrow")
    builds = (
        Build(
            "float16, HNSW_SQ",
            {"index": "HnswSq", "num_partitions": 1, "m": 20, "ef_construction": 300},
            _HNSW,
            {"ef": 64, "refine": 0},
            {"ef": 256, "refine": 5},
        ),
        Build(
            "float16, IVF_RQ",
            {"index": "IvfRq", "num_partitions": 256},
            _PROBES,
            {"nprobes": 20, "refine": 0},
            {"nprobes": 256, "refine": 10},
        ),
    )

    def __init__(self) -> None:
        self._table: Any = None

    def create(self, folder: Path, build: Build, rows: Sequence[Row], vectors: FloatArray) -> None:
        """Write one table, index it, optimise it, and remove every version but the last."""
        table = require("lancedb", "lancedb").connect(str(folder)).create_table("chunks", _arrow(rows, vectors))
        kinds = require("lancedb", "lancedb.index")
        given = {key: value for key, value in build.parameters.items() if key != "index"}
        given["num_partitions"] = min(given["num_partitions"], max(1, len(rows) // 256))  # cells enough to learn from
        index = getattr(kinds, build.parameters["index"])(distance_type="cosine", **given)
        table.create_index("vector", config=index)
        for field in ("percent", "permille"):
            table.create_index(field, config=kinds.Bitmap())
        table.optimize(cleanup_older_than=timedelta(0))

    def open(self, folder: Path, build: Build) -> None:
        """Open the table."""
        self._table = require("lancedb", "lancedb").connect(str(folder)).open_table("chunks")

    def search(self, vector: FloatArray, k: int, setting: Setting, only: Only | None = None) -> list[str]:
        """Filters are applied first, by the bitmap."""
        query = self._table.search(vector, vector_column_name="vector").distance_type("cosine").limit(k)
        query = query.select(["text", "_distance"])
        if "ef" in setting:
            query = query.ef(setting["ef"])
        if "nprobes" in setting:
            query = query.nprobes(setting["nprobes"])
        if setting["refine"]:
            query = query.refine_factor(setting["refine"])
        if only is not None:
            query = query.where(f"{only.field} = {only.value}", prefilter=True)
        texts: list[str] = query.to_arrow()["text"].to_pylist()
        return texts

    def add(self, row: Row, vector: FloatArray) -> None:
        """One row, one version."""
        self._table.add(_arrow([row], vector[None]))

    def close(self) -> None:
        """Let go of it."""
        self._table = None


def _arrow(rows: Sequence[Row], vectors: FloatArray) -> Any:
    arrow = require("lancedb", "pyarrow")
    width = vectors.shape[1]
    flat = arrow.array(vectors.astype("float16").reshape(-1), type=arrow.float16())
    schema = arrow.schema(
        [
            arrow.field("item", arrow.string()),
            arrow.field("text", arrow.string(), metadata={"lance-encoding:compression": "zstd"}),
            arrow.field("percent", arrow.int16()),
            arrow.field("permille", arrow.int16()),
            arrow.field("vector", arrow.list_(arrow.float16(), width)),
        ]
    )
    columns = [
        arrow.array([row.item for row in rows]),
        arrow.array([row.text for row in rows]),
        arrow.array([row.percent for row in rows], type=arrow.int16()),
        arrow.array([row.permille for row in rows], type=arrow.int16()),
        arrow.FixedSizeListArray.from_arrays(flat, width),
    ]
    return arrow.Table.from_arrays(columns, schema=schema)
