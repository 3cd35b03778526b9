"""Deleting chunks: nothing of them stays in the full-text index, whatever terms they were stored with."""

from __future__ import annotations

import pytest

import stores.deletion
from cem_rag_app.schema import MemoryItem
from cem_rag_app.zpkg import late
from stores.lexical.fresh import holds_exactly, terms_after
from stores.memory import Memory
from tests.unit.stores.conftest import MakeMemory


@pytest.fixture
def documents(make_memory: MakeMemory) -> Memory:
    return make_memory(kind="documents")


@pytest.fixture(params=["from the table", "from the text"])
def few_or_many(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both ways to find the terms of a chunk."""
    monkeypatch.setattr(stores.deletion, "OCCURRENCES_A_TEXT", 10_000 if request.param == "from the table" else 0)


def add(memory: Memory, name: str, text: bytes, terms: str | None) -> None:
    _, compressor = memory.frames.compressor()
    memory.add_compressed([compressor.compress(text)], compressor.dictionary, [MemoryItem(name, "")], terms=[terms])


def instances(memory: Memory) -> list[tuple[int, str]]:
    with memory.database.read() as connection:
        rows = connection.exec_driver_sql('SELECT doc, term FROM lexical_instances ORDER BY doc, "offset"')
        return [(row[0], row[1]) for row in rows]


def found(memory: Memory, query: str) -> list[int]:
    with memory.database.read() as connection:
        return list(memory.lexical.search(connection, query, 10))


@pytest.mark.usefixtures("few_or_many")
@pytest.mark.parametrize(
    "terms", ["alpha beta", "beta gamma", "gamma beta beta", "gamma beta", "Gamma  BETA-x", "", None]
)
def test_the_terms_of_a_deleted_chunk_are_those_it_was_stored_with(documents: Memory, terms: str | None) -> None:
    add(documents, "a", b"gamma beta", terms)
    documents.import_items([MemoryItem("b", "beta gamma delta")])
    assert documents.delete_items(["a"]) == 1
    assert instances(documents) == [(2, "beta"), (2, "gamma"), (2, "delta")]
    assert documents.check().ok
    documents.lexical.seal(force=True)
    assert found(documents, "alpha") == []
    assert found(documents, "beta") == [2]


@pytest.mark.usefixtures("few_or_many")
@pytest.mark.parametrize("terms", ["alpha beta", None])
def test_a_document_that_is_no_text_can_be_replaced_and_deleted(documents: Memory, terms: str | None) -> None:
    add(documents, "a", b"\xff\xfe\x80", terms)
    add(documents, "a", b"\xff\xfe\x80\x81", terms)
    assert documents.delete_items(["a"]) == 1
    assert instances(documents) == []
    assert documents.check().ok


def test_deleting_much_of_what_is_fresh_opens_nothing(documents: Memory, monkeypatch: pytest.MonkeyPatch) -> None:
    documents.import_items(MemoryItem(f"d{n}", f"word{n} again") for n in range(20))
    monkeypatch.setattr(late, "decompress", lambda *_, **__: pytest.fail("opened a frame"))
    assert documents.delete_items() == 20
    assert instances(documents) == []


def test_a_seal_gives_terms_that_a_row_left_behind_to_no_other_chunk(documents: Memory) -> None:
    documents.import_items(MemoryItem(name, f"{name} text") for name in ("first", "second", "third"))
    with documents.database.write() as connection:
        for chunk_id in (1, 3):
            connection.exec_driver_sql("DELETE FROM lexical_docsize WHERE id = ?", (chunk_id,))
    documents.lexical.seal(force=True)
    assert [found(documents, query) for query in ("first", "second", "third", "text")] == [[], [2], [], [2]]


def test_a_chunk_that_came_during_a_seal_keeps_the_order_of_its_terms(documents: Memory) -> None:
    documents.import_items(MemoryItem(name, f"{name} zebra ant zebra") for name in ("first", "second"))
    with documents.database.read() as connection:
        assert terms_after(connection, 1) == [(2, "second zebra ant zebra")]
        assert holds_exactly(connection, 2, "second zebra ant zebra")
        assert not holds_exactly(connection, 2, "second zebra ant ant")
        assert not holds_exactly(connection, 2, "second zebra ant")
