"""CemVectorStore beyond the standard suite: the road in (I5), scores, filters, the real student."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest
from langchain_core.documents import Document
from langchain_core.embeddings import DeterministicFakeEmbedding
from langchain_core.vectorstores import VectorStore

import stores
from cem_rag_app.errors import DictionaryError, FrameError, InputError
from cem_rag_app.schema import MemoryItem, Query
from cem_rag_app.zpkg.compress import Compressor
from cem_rag_app.zpkg.dictionary import Dictionary, general_dictionary
from stores.memory import Memory
from stores.vectorstore import CemVectorStore
from tests.unit.stores.conftest import MakeMemory, history


@pytest.fixture
def store(make_memory: MakeMemory) -> CemVectorStore:
    return CemVectorStore(make_memory(kind="documents"))


@pytest.fixture
def text_store(tmp_path: Path) -> Iterator[CemVectorStore]:
    made = CemVectorStore.over(DeterministicFakeEmbedding(size=16), tmp_path / "memory")
    yield made
    made.close()


def test_add_compressed_is_the_only_road_into_the_index(store: CemVectorStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """I5: whatever adds a document goes through ``add_compressed``; nothing calls ``add_texts``."""
    roads: list[int] = []
    real = CemVectorStore.add_compressed

    def watched(self: CemVectorStore, frames: list[bytes], *rest: object, **more: object) -> list[str]:
        roads.append(len(frames))
        return real(self, frames, *rest, **more)  # type: ignore[arg-type]

    def refuse(*_: object, **__: object) -> list[str]:
        raise AssertionError("an indexing path called add_texts")

    monkeypatch.setattr(CemVectorStore, "add_compressed", watched)
    monkeypatch.setattr(VectorStore, "add_texts", refuse)
    store.add_documents([Document(page_content="one wing"), Document(page_content="two wings")])
    made = CemVectorStore.from_documents([Document(page_content="three")], DeterministicFakeEmbedding(size=4))
    made.close()
    made = CemVectorStore.from_texts(["four", "five"], DeterministicFakeEmbedding(size=4), ids=["4", "5"])
    made.close()
    assert roads == [2, 1, 2]


def test_no_module_of_the_stores_calls_add_texts() -> None:
    for file in Path(str(stores.__path__[0])).rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            called = node.func if isinstance(node, ast.Call) else None
            assert not (isinstance(called, ast.Attribute) and called.attr in ("add_texts", "aadd_texts")), file


def test_frames_of_another_dictionary_are_indexed_as_they_are(store: CemVectorStore) -> None:
    dictionary = general_dictionary("zh")
    compress = Compressor(dictionary).compress
    frames = [compress(text.encode()) for text in ("今天吃火锅", "明天去看电影")]
    assert store.add_compressed(frames, dictionary, ["a", "b"], [{"n": 1}, {"n": 2}]) == ["a", "b"]
    assert store.similarity_search("看电影", k=1) == [Document(id="b", page_content="明天去看电影", metadata={"n": 2})]
    store.memory.build()
    assert store.get_by_ids(["b", "a"])[1].page_content == "今天吃火锅"
    store.add_compressed(frames[:1], dictionary, ["b"], [{"n": 3}])
    assert store.get_by_ids(["b"]) == [Document(id="b", page_content="今天吃火锅", metadata={"n": 3})]
    assert store.memory.check().ok


def test_what_is_no_frame_is_refused_and_nothing_is_stored(store: CemVectorStore) -> None:
    dictionary = general_dictionary("en")
    sound = Compressor(dictionary).compress(b"one wing")
    with pytest.raises(FrameError):
        store.add_compressed([sound, b"plain text is no frame"], dictionary, ["a", "b"])
    with pytest.raises(DictionaryError):
        store.add_compressed([sound], Dictionary(b"no dictionary"), ["a"])
    with pytest.raises(InputError, match="do not match"):
        store.add_compressed([sound], dictionary, ["a", "b"])
    assert store.similarity_search("wing") == []
    assert store.memory.status()["counts"]["chunks"] == 0


def test_scores_are_cosines_and_relevance_lies_between_zero_and_one(text_store: CemVectorStore) -> None:
    text_store.add_documents([Document(page_content=text) for text in ("foo", "bar", "baz")])
    scored = text_store.similarity_search_with_score("bar", k=3)
    assert scored[0][0].page_content == "bar"
    assert scored[0][1] == pytest.approx(1.0, abs=1e-5)
    assert [score for _, score in scored] == sorted((score for _, score in scored), reverse=True)
    relevance = [score for _, score in text_store.similarity_search_with_relevance_scores("bar", k=3)]
    assert relevance == pytest.approx([(1 + score) / 2 for _, score in scored])


def test_filters_apply_before_the_search(text_store: CemVectorStore) -> None:
    text_store.add_documents([Document(page_content=f"t{n}", metadata={"n": n}) for n in range(50)])
    found = text_store.similarity_search("t3", k=2, filter={"n": [40, 41]})
    assert sorted(document.page_content for document in found) == ["t40", "t41"]


def test_marginal_relevance_avoids_repeating_itself(store: CemVectorStore) -> None:
    texts = ["the wing of a plane", "the wing of a planes", "the wing of a plane!", "a zebra on the plain"]
    store.add_documents([Document(page_content=text) for text in texts])
    near = [document.page_content for document in store.similarity_search("the wing of a plane", k=2)]
    assert "a zebra on the plain" not in near
    diverse = store.max_marginal_relevance_search("the wing of a plane", k=2, fetch_k=4, lambda_mult=0.1)
    assert [document.page_content for document in diverse] == ["the wing of a plane", "a zebra on the plain"]


def test_searching_by_vector_gives_the_same(text_store: CemVectorStore) -> None:
    text_store.add_documents([Document(page_content=text) for text in ("foo", "bar")])
    vector = DeterministicFakeEmbedding(size=16).embed_query("foo")
    assert [d.page_content for d in text_store.similarity_search_by_vector(vector, k=2)] == ["foo", "bar"]


def test_deleting_without_ids_empties_the_store(text_store: CemVectorStore) -> None:
    text_store.add_documents([Document(page_content="foo"), Document(page_content="bar")])
    assert text_store.delete() is True
    assert text_store.similarity_search("foo") == []
    assert text_store.memory.check().ok


def test_a_store_and_a_memory_are_one_thing(make_memory: MakeMemory) -> None:
    memory: Memory = make_memory()
    memory.import_messages(history(3))
    memory.import_items([MemoryItem("long", "One wing is here. " * 60)])
    store = CemVectorStore(memory)
    store.add_documents([Document(id="short", page_content="a zebra on the plain")])
    assert memory.recall(Query("zebra", k=1))[0].item_id == "short"
    assert store.get_by_ids(["long"])[0].page_content == "One wing is here. " * 60
    assert {d.id for d in store.similarity_search("吃什么", k=50)} == {"long", "short"}  # messages are no documents


def test_a_store_is_opened_again_where_it_was(tmp_path: Path) -> None:
    embeddings = DeterministicFakeEmbedding(size=16)
    CemVectorStore.from_texts(["foo", "bar"], embeddings, [{"n": 1}, {"n": 2}], path=tmp_path / "m").close()
    again = CemVectorStore.over(embeddings, tmp_path / "m")
    assert again.similarity_search("bar", k=1)[0].metadata == {"n": 2}
    again.close()
