"""Chroma in this process: a catalog in SQLite, an HNSW index of its own."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cem_rag_app.schema import FloatArray
from stores.peers.base import Build, Embedded, Only, Row, Setting, require

_EF = (16, 32, 64, 100, 200, 400)


class Chroma(Embedded):
    """A persistent client with a cosine collection; vacuumed after loading, as its documentation advises."""

    packages = ("chromadb",)
    modules = ("chromadb",)
    builds = (
        Build(
            "HNSW",
            {"max_neighbors": 16, "ef_construction": 100},
            tuple({"ef_search": ef} for ef in _EF),
            {"ef_search": 100},
            {"ef_search": 400},
        ),
    )

    def __init__(self) -> None:
        self._client: Any = None
        self._collection: Any = None
        self._folder = Path()
        self._ef = 0

    def create(self, folder: Path, build: Build, rows: Sequence[Row], vectors: FloatArray) -> None:
        """Add in the largest batches it takes, close, vacuum."""
        self._connect(folder)
        self._collection = self._client.create_collection(
            "chunks",
            configuration={"hnsw": {"space": "cosine", **build.parameters}},
            embedding_function=None,
        )
        size = min(5000, self._client.get_max_batch_size())
        for start in range(0, len(rows), size):
            some = rows[start : start + size]
            self._collection.add(
                ids=[str(row.number) for row in some],
                embeddings=vectors[start : start + len(some)],
                documents=[row.text for row in some],
                metadatas=[_metadata(row) for row in some],
            )
        self.close()
        program = Path(sys.executable).with_name("chroma")
        if program.exists() or shutil.which("chroma"):
            command = [str(program) if program.exists() else "chroma", "vacuum", "--path", str(folder), "--force"]
            subprocess.run(command, check=True, capture_output=True)

    def open(self, folder: Path, build: Build) -> None:
        """Open the collection."""
        self._connect(folder)
        self._collection = self._client.get_collection("chunks", embedding_function=None)
        self._ef = 0

    def search(self, vector: FloatArray, k: int, setting: Setting, only: Only | None = None) -> list[str]:
        """Its filter is applied before the graph is walked."""
        if setting["ef_search"] != self._ef:
            self._turn(setting["ef_search"])
        found = self._collection.query(
            query_embeddings=[vector],
            n_results=k,
            where=None if only is None else {only.field: only.value},
            include=["documents"],
        )
        texts: list[str] = found["documents"][0]
        return texts

    def add(self, row: Row, vector: FloatArray) -> None:
        """One row."""
        self._collection.add(
            ids=[str(row.number)], embeddings=[vector], documents=[row.text], metadatas=[_metadata(row)]
        )

    def close(self) -> None:
        """Stop its system, which would be kept for the process otherwise."""
        if self._client is not None:
            self._client.close()
        require("chroma", "chromadb.api.client").SharedSystemClient.clear_system_cache()
        self._client = self._collection = None

    def _connect(self, folder: Path) -> None:
        chromadb = require("chroma", "chromadb")
        settings = chromadb.config.Settings(anonymized_telemetry=False)
        self._client = chromadb.PersistentClient(path=str(folder), settings=settings)
        self._folder = folder

    def _turn(self, ef: int) -> None:
        """A graph that is loaded keeps its breadth: change it, then open again."""
        self._collection.modify(configuration={"hnsw": {"ef_search": ef}})
        self.close()
        self._connect(self._folder)
        self._collection = self._client.get_collection("chunks", embedding_function=None)
        self._ef = ef


def _metadata(row: Row) -> dict[str, Any]:
    return {"item": row.item, "percent": row.percent, "permille": row.permille}
