"""A memory as a LangChain ``VectorStore``: the same catalog, packs and index, the same road in (I5)."""

from __future__ import annotations

import tempfile
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from langchain_core.documents import Document
from langchain_core.embeddings import Embeddings
from langchain_core.vectorstores import VectorStore
from langchain_core.vectorstores.utils import maximal_marginal_relevance

from cem_rag_app.cem.pair import Encoders
from cem_rag_app.cem.teachers.base import unit_rows
from cem_rag_app.errors import InputError
from cem_rag_app.schema import FloatArray, MemoryItem
from cem_rag_app.settings import Settings
from cem_rag_app.zpkg.dictionary import Dictionary
from stores.documents import read_chunks, read_items
from stores.filters import allowed_chunks
from stores.lexical.tokens import stored_terms
from stores.memory import Memory
from stores.profile import MemoryProfile
from stores.tail import TextBaseline


class CemVectorStore(VectorStore):
    """Documents of a memory: compressed on the way in, searched by the vectors of their frames, opened when found.

    :meth:`add_compressed` is the only road into the index; ``add_documents`` compresses and takes it. A document is
    one chunk, so that what comes back is what went in; documents that `cem-rag import` split come back in chunks.

    Args:
        memory: an open memory; closing it is the caller's business.
        embeddings: the LangChain embeddings behind the memory's encoders, where there are any.
    """

    def __init__(self, memory: Memory, embeddings: Embeddings | None = None) -> None:
        self.memory = memory
        self._embeddings = embeddings
        self._folder: tempfile.TemporaryDirectory[str] | None = None

    @classmethod
    def over(
        cls, embeddings: Embeddings, path: str | Path | None = None, *, settings: Settings | None = None
    ) -> CemVectorStore:
        """A store whose documents are embedded by a LangChain text model: the text baseline.

        Its chunks are opened to be embedded, which CEM does not need; use ``CemVectorStore(memory)`` for CEM.

        Args:
            embeddings: embeds queries and documents.
            path: folder of the memory, made when it is missing; None takes a temporary one.
            settings: all settings; the defaults when None.
        """
        chosen = settings or Settings()
        temporary = tempfile.TemporaryDirectory(prefix="cem-rag-") if path is None else None
        folder = Path(temporary.name if temporary is not None else str(path))

        def encoders(_name: str) -> Encoders:
            return text_encoders(embeddings, limit=chosen.pack.chunk_limit)

        if (folder / "catalog.sqlite").exists():
            memory = Memory.open(folder, encoders=encoders, settings=chosen)
        else:
            profile = MemoryProfile("documents", encoder="langchain", language="other")
            memory = Memory.create(folder, profile, encoders=encoders, settings=chosen)
        store = cls(memory, embeddings)
        store._folder = temporary
        return store

    @classmethod
    def from_texts(
        cls,
        texts: list[str],
        embedding: Embeddings,
        metadatas: list[dict[str, Any]] | None = None,
        *,
        ids: list[str] | None = None,
        **kwargs: Any,
    ) -> CemVectorStore:
        """A store with these texts; ``path=`` and ``settings=`` as for :meth:`over`."""
        store = cls.over(embedding, **kwargs)
        documents = [
            Document(page_content=text, metadata=metadata)
            for text, metadata in zip(texts, metadatas or [{} for _ in texts], strict=True)
        ]
        store.add_documents(documents, ids=ids)
        return store

    @property
    def embeddings(self) -> Embeddings | None:
        """The LangChain embeddings, None for a memory searched by CEM."""
        return self._embeddings

    def add_compressed(
        self,
        frames: Sequence[bytes],
        dictionary: Dictionary,
        ids: Sequence[str],
        metadatas: Sequence[Mapping[str, Any]] | None = None,
        *,
        terms: Sequence[str | None] | None = None,
        raw_sizes: Sequence[int] | None = None,
    ) -> list[str]:
        """Index compressed chunks (I5); durable when it returns. A known id is replaced.

        Args:
            frames: (n) zpkg frames.
            dictionary: what they were compressed with.
            ids: (n) the documents' ids.
            metadatas: (n) JSON objects.
            terms: (n) search terms, for the full-text index.
            raw_sizes: (n) bytes of the texts.

        Returns:
            The ids.

        Raises:
            InputError: the lengths differ, or metadata is no JSON.
            FrameError: something is no zpkg frame; nothing is stored.
            DiskFullError: no space is left; nothing is stored.
        """
        described = list(metadatas) if metadatas is not None else [{} for _ in ids]
        if not len(frames) == len(ids) == len(described):
            raise InputError(f"{len(frames)} frames, {len(ids)} ids and {len(described)} metadatas do not match.")
        items = [
            MemoryItem(id_, "", source="langchain", meta=dict(metadata))
            for id_, metadata in zip(ids, described, strict=True)
        ]
        self.memory.add_compressed(frames, dictionary, items, terms=terms, raw_sizes=raw_sizes)
        return list(ids)

    def add_documents(self, documents: list[Document], **kwargs: Any) -> list[str]:
        """Compress documents and index them; ``ids=`` names them, else their own ids, else new ones."""
        given = kwargs.get("ids") or [document.id for document in documents]
        if len(given) != len(documents):
            raise InputError(f"{len(given)} ids do not match {len(documents)} documents.")
        ids = [id_ if id_ is not None else str(uuid.uuid4()) for id_ in given]
        _, compressor = self.memory.frames.compressor()
        raw = [document.page_content.encode() for document in documents]
        return self.add_compressed(
            [compressor.compress(text) for text in raw],
            compressor.dictionary,
            ids,
            [document.metadata for document in documents],
            terms=[stored_terms(document.page_content) for document in documents],
            raw_sizes=[len(text) for text in raw],
        )

    def delete(self, ids: list[str] | None = None, **_kwargs: Any) -> bool:
        """Delete documents by id, all with None; unknown ids are no error."""
        self.memory.delete_items(ids)
        return True

    def get_by_ids(self, ids: Sequence[str], /) -> list[Document]:
        """Documents by id, whole, in the order asked for; unknown ids are left out."""
        found = read_items(self.memory.database, self.memory.frames, ids, limit=self.memory.settings.pack.chunk_limit)
        return [Document(id=item.mem_id, page_content=item.text, metadata=item.meta) for item in found]

    def similarity_search(self, query: str, k: int = 4, **kwargs: Any) -> list[Document]:
        """The k documents nearest to a text; ``filter=`` as in :mod:`stores.filters`."""
        return [document for document, _ in self.similarity_search_with_score(query, k, **kwargs)]

    def similarity_search_with_score(self, query: str, k: int = 4, **kwargs: Any) -> list[tuple[Document, float]]:
        """The k nearest documents and their cosines, best first."""
        vector = self.memory.encoders().query.encode_queries([query])[0]
        return self._nearest(vector, k, kwargs.get("filter"))

    def similarity_search_by_vector(self, embedding: list[float], k: int = 4, **kwargs: Any) -> list[Document]:
        """The k documents nearest to a vector."""
        return [document for document, _ in self._nearest(_unit(embedding), k, kwargs.get("filter"))]

    def max_marginal_relevance_search(
        self, query: str, k: int = 4, fetch_k: int = 20, lambda_mult: float = 0.5, **kwargs: Any
    ) -> list[Document]:
        """Near to a text and unlike one another (Carbonell and Goldstein 1998)."""
        vector = self.memory.encoders().query.encode_queries([query])[0]
        return self._diverse(vector, k, fetch_k, lambda_mult, kwargs.get("filter"))

    def max_marginal_relevance_search_by_vector(
        self, embedding: list[float], k: int = 4, fetch_k: int = 20, lambda_mult: float = 0.5, **kwargs: Any
    ) -> list[Document]:
        """Near to a vector and unlike one another."""
        return self._diverse(_unit(embedding), k, fetch_k, lambda_mult, kwargs.get("filter"))

    def close(self) -> None:
        """Close the memory and remove its folder when it was a temporary one."""
        self.memory.close()
        if self._folder is not None:
            self._folder.cleanup()

    def _select_relevance_score_fn(self) -> Callable[[float], float]:
        return lambda cosine: min(1.0, max(0.0, (1.0 + cosine) / 2.0))

    def _search(self, vector: FloatArray, k: int, filters: Mapping[str, Any] | None) -> list[tuple[int, float]]:
        memory = self.memory
        chosen = dict(filters or {})
        if memory.profile.kind == "chat":
            chosen["kind"] = "document"
        memory.index.sync()
        allowed = allowed_chunks(memory.database, chosen)
        chunk_ids, cosines = memory.index.nearest(vector, k, allowed)
        return list(zip(chunk_ids, cosines.tolist(), strict=True))

    def _nearest(self, vector: FloatArray, k: int, filters: Mapping[str, Any] | None) -> list[tuple[Document, float]]:
        found = self._search(vector, k, filters)
        opened = self._open([chunk_id for chunk_id, _ in found])
        return [(opened[chunk_id], cosine) for chunk_id, cosine in found if chunk_id in opened]

    def _diverse(
        self, vector: FloatArray, k: int, fetch_k: int, lambda_mult: float, filters: Mapping[str, Any] | None
    ) -> list[Document]:
        found = [chunk_id for chunk_id, _ in self._search(vector, fetch_k, filters)]
        if not found:
            return []
        vectors = self.memory.index.vectors(found)
        held = [chunk_id for chunk_id in found if chunk_id in vectors]
        rows = maximal_marginal_relevance(vector, [vectors[chunk_id].tolist() for chunk_id in held], lambda_mult, k)
        opened = self._open([held[row] for row in rows])
        return list(opened.values())

    def _open(self, chunk_ids: Iterable[int]) -> dict[int, Document]:
        memory = self.memory
        found = read_chunks(memory.database, memory.frames, chunk_ids, limit=memory.settings.pack.chunk_limit)
        return {
            chunk_id: Document(id=item.mem_id, page_content=item.text, metadata=item.meta)
            for chunk_id, item in found.items()
        }


class _LangChainQueries:
    """LangChain embeddings as a query encoder."""

    def __init__(self, embeddings: Embeddings) -> None:
        self._embeddings = embeddings
        model = getattr(embeddings, "model", None) or getattr(embeddings, "model_name", "")
        self.name = f"{type(embeddings).__name__}:{model}"
        self.dimension = len(embeddings.embed_query("dimension"))

    def encode_queries(self, texts: Sequence[str]) -> FloatArray:
        return unit_rows(np.array([self._embeddings.embed_query(text) for text in texts], dtype=np.float32))

    def encode_documents(self, texts: Sequence[str]) -> FloatArray:
        return unit_rows(np.array(self._embeddings.embed_documents(list(texts)), dtype=np.float32))


def text_encoders(embeddings: Embeddings, *, limit: int) -> Encoders:
    """Both encoders out of LangChain embeddings: queries as text, chunks through the text baseline."""
    queries = _LangChainQueries(embeddings)
    document = TextBaseline(queries.name, queries.dimension, queries.encode_documents, limit=limit)
    return Encoders(query=queries, document=document)


def _unit(vector: Sequence[float]) -> FloatArray:
    row: FloatArray = unit_rows(np.array([vector], dtype=np.float32))[0]
    return row
