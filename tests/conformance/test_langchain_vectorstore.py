"""CemVectorStore is a LangChain vector store: the whole standard suite, no expected failure."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from langchain_core.vectorstores import VectorStore
from langchain_tests.integration_tests import VectorStoreIntegrationTests

from stores.vectorstore import CemVectorStore


class TestCemVectorStore(VectorStoreIntegrationTests):
    @pytest.fixture
    def vectorstore(self, tmp_path: Path) -> Iterator[VectorStore]:
        store = CemVectorStore.over(self.get_embeddings(), tmp_path / "memory")
        try:
            yield store
        finally:
            store.close()
