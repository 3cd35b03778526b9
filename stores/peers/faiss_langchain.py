"""LangChain's FAISS store: an index file beside a pickled dictionary of documents."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cem_rag_app.schema import FloatArray
from stores.peers.base import Build, Embedded, Only, Row, Setting, require

_EF = (16, 32, 64, 128, 256)


class FaissLangChain(Embedded):
    """As its documentation has it, and with the one index of FAISS that is small and fast.

    Its filter looks at the ``fetch_k`` nearest (20 unless told) and drops the rest afterwards; tuned, so many are
    fetched that three times k of them are expected to pass.
    """

    packages = ("langchain-community", "faiss-cpu")
    modules = ("faiss", "langchain_community.vectorstores", "langchain_core.embeddings")
    builds = (
        Build("flat", {"factory": "Flat"}, ({},), {}, {"fetch_per_hit": 3}),
        Build(
            "HNSW32,SQ8",
            {"factory": "HNSW32,SQ8", "ef_construction": 200},
            tuple({"ef": ef} for ef in _EF),
            {"ef": 64},
            {"ef": 64, "fetch_per_hit": 3},
        ),
    )

    def __init__(self) -> None:
        self._store: Any = None
        self._folder = Path()

    def create(self, folder: Path, build: Build, rows: Sequence[Row], vectors: FloatArray) -> None:
        """Train and fill an index of FAISS, wrap it, save it."""
        faiss = require("faiss-langchain", "faiss")
        index = faiss.index_factory(vectors.shape[1], build.parameters["factory"], faiss.METRIC_INNER_PRODUCT)
        if "ef_construction" in build.parameters:
            index.hnsw.efConstruction = build.parameters["ef_construction"]
        if not index.is_trained:
            index.train(vectors)
        store = require("faiss-langchain", "langchain_community.vectorstores").FAISS(
            embedding_function=_no_embeddings(),
            index=index,
            docstore=require("faiss-langchain", "langchain_community.docstore").InMemoryDocstore(),
            index_to_docstore_id={},
        )
        for start in range(0, len(rows), 10_000):
            some = rows[start : start + 10_000]
            store.add_embeddings(
                [(row.text, vectors[row.number]) for row in some], [_metadata(row) for row in some], _ids(some)
            )
        store.save_local(str(folder))

    def open(self, folder: Path, build: Build) -> None:
        """Load index and pickle; the store is one we wrote ourselves."""
        self._store = require("faiss-langchain", "langchain_community.vectorstores").FAISS.load_local(
            str(folder), _no_embeddings(), allow_dangerous_deserialization=True
        )
        self._folder = folder

    def search(self, vector: FloatArray, k: int, setting: Setting, only: Only | None = None) -> list[str]:
        """By vector, with its own filter."""
        options: dict[str, Any] = {}
        if only is not None:
            options["filter"] = {only.field: only.value}
            if "fetch_per_hit" in setting:
                parts = 100 if only.field == "percent" else 1000
                options["fetch_k"] = min(setting["fetch_per_hit"] * k * parts, self._store.index.ntotal)
        if "ef" in setting:
            self._store.index.hnsw.efSearch = max(setting["ef"], options.get("fetch_k", 0))
        found = self._store.similarity_search_by_vector(vector, k=k, **options)
        return [document.page_content for document in found]

    def add(self, row: Row, vector: FloatArray) -> None:
        """Add and save: before the save nothing is on disk."""
        self._store.add_embeddings([(row.text, vector)], [_metadata(row)], _ids([row]))
        self._store.save_local(str(self._folder))

    def close(self) -> None:
        """Let go of it."""
        self._store = None


def _no_embeddings() -> Any:
    class _None(require("faiss-langchain", "langchain_core.embeddings").Embeddings):  # type: ignore[misc]
        """Vectors are given; asking for one is a fault."""

        def embed_documents(self, texts: list[str]) -> list[list[float]]:
            raise NotImplementedError

        def embed_query(self, text: str) -> list[float]:
            raise NotImplementedError

    return _None()


def _ids(rows: Sequence[Row]) -> list[str]:
    return [str(row.number) for row in rows]


def _metadata(row: Row) -> dict[str, Any]:
    return {"item": row.item, "percent": row.percent, "permille": row.permille}
