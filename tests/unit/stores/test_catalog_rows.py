"""Rows of the catalog: identifiers come back letter by letter, and nothing in a row changes unseen."""

from __future__ import annotations

import random
import sqlite3
import struct
from contextlib import closing

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cem_rag_app.schema import MemoryItem, Query
from stores.catalog.checksums import SUMMED_TABLES
from stores.catalog.chunks import count_chunks, position
from stores.catalog.conversation import keep_messages, known_source_ids, messages_of_chunk
from stores.catalog.identifiers import packed, unpacked
from stores.catalog.migrations import migrate
from stores.catalog.tables import metadata
from stores.catalog.verifying import verify_rows, verify_schema
from stores.memory import Memory
from tests.unit.stores.conftest import START, MakeMemory, history, said

HEXADECIMAL = st.integers(0, 2**128 - 1).map(lambda number: f"{number:032x}")
IDENTIFIERS = st.one_of(
    st.text(max_size=20),
    st.integers(-10, 2**70).map(str),
    st.integers(0, 99).map("{:03d}".format),
    HEXADECIMAL,
    HEXADECIMAL.map(str.upper),
    HEXADECIMAL.map(lambda digits: digits[:-1]),
    st.uuids().map(str),
    st.uuids().map(lambda one: str(one).upper()),
    st.tuples(HEXADECIMAL, st.integers(0, 300)).map(lambda pair: f"{pair[0][:24]}.{pair[1]}"),
    st.tuples(HEXADECIMAL, st.integers(0, 300)).map(lambda pair: f"{pair[0]}:{pair[1]}"),
)


@given(IDENTIFIERS, IDENTIFIERS)
def test_identifiers_come_back_letter_by_letter(one: str, other: str) -> None:
    assert unpacked(packed(one)) == one
    assert (packed(one) == packed(other)) == (one == other)


def test_identifiers_as_they_are_made_take_few_bytes() -> None:
    assert packed("1057") == 1057
    for identifier, size in (
        (f"{7:032x}", 17),
        (f"{7:024x}.12", 14),
        (f"{7:032x}:0", 17),
        ("0" * 8 + "-0000" * 3 + "-" + "0" * 12, 17),
    ):
        form = packed(identifier)
        assert isinstance(form, bytes)
        assert len(form) == size
    with pytest.raises(ValueError, match="no stored identifier"):
        unpacked(b"")


@pytest.fixture
def full(make_memory: MakeMemory) -> Memory:
    """A memory with something in every table."""
    memory = make_memory()
    memory.import_messages(history(6))
    memory.import_items(
        MemoryItem(f"d{n}", "Wing text. " * 80, START + n, "papers", {"label": f"l{n}", "year": 1950 + n})
        for n in range(3)
    )
    memory.build()
    kept = memory.remember(said("user", "猫", 1e6, source="chat", source_id="t:0"), turn_id="t", position=0)
    memory.remember(said("assistant", "狗", 1e6 + 1, source="chat", source_id="t:1"), turn_id="t", position=1)
    memory.mark(kept.message_id, True)
    memory.save_record("t", {"chosen": "狗"})
    memory.set_state("style", {"particles": ["呀"]})
    memory.delete_items(["d1"])
    return memory


def test_a_sound_catalog_has_no_problem(full: Memory) -> None:
    with full.database.read() as connection:
        assert list(verify_rows(connection)) == []
        assert list(verify_schema(connection, lambda new: migrate(new, full.database.path))) == []


ROWS = [
    ("messages", "timestamp", "message_id = 1"),
    ("messages", "length", "message_id = 2"),
    ("messages", "chunk_id", "message_id = 2"),
    ("messages", "position", "position = 1"),
    ("voices", "speaker", "voice_key = 1"),
    ("voices", "source", "voice_key = 1"),
    ("conversations", "conversation", "conversation_key = 1"),
    ("turns", "turn_id", "turn_key = 1"),
    ("items", "item_id", "item_id = 'd0'"),
    ("items", "metadata", "item_id = 'd0'"),
    ("items", "fingerprint", "item_id = 'd0'"),
    ("items", "chunk_count", "item_id = 'd0'"),
    ("sources", "source", "source_key = 1"),
    ("facet_names", "name", "name = 'source'"),
    ("facets", "value", "value = 'papers'"),
    ("facet_runs", "first_chunk", "facet_key = 2"),
    ("facet_runs", "chunk_count", "facet_key = 2"),
    ("feedback", "marked_at", "1"),
    ("turn_records", "turn_id", "1"),
    ("memory_state", "value", "key = 'generation'"),
    ("preferences", "value", "1"),
    ("packs", "chunks", "1"),
    ("sqlite_sequence", "seq", "name = 'chunks'"),
    ("deletions", "chunk_id", "sequence = 1"),
]


@pytest.mark.parametrize(("table", "column", "row"), ROWS)
def test_a_value_that_changes_by_itself_is_found(full: Memory, table: str, column: str, row: str) -> None:
    full.close()
    with closing(sqlite3.connect(full.path / "catalog.sqlite")) as raw, raw:
        (old,) = raw.execute(f"SELECT {column} FROM {table} WHERE {row} LIMIT 1").fetchone()
        raw.execute(f"UPDATE OR IGNORE {table} SET {column} = ? WHERE {row}", (_changed(old),))
        changed = raw.execute(f"SELECT count(*) FROM {table} WHERE {column} IS NOT ? AND {row}", (old,)).fetchone()
    with full.database.read() as connection:
        problems = list(verify_rows(connection))
    assert problems, (table, column, old, changed)


def _changed(value: object) -> object:
    """The value with one bit flipped."""
    if isinstance(value, int):
        return value ^ 4
    if isinstance(value, float):
        return struct.unpack("<d", struct.pack("<Q", struct.unpack("<Q", struct.pack("<d", value))[0] ^ 1))[0]
    assert isinstance(value, str)
    return value[:-1] + chr(ord(value[-1]) ^ 1)


def test_every_table_with_a_checksum_is_compared(full: Memory) -> None:
    summed = {name for name, table in metadata.tables.items() if "checksum" in table.c}
    assert summed == {*SUMMED_TABLES, "items", "chunks", "messages"}


def test_a_chunk_whose_row_changed_by_itself_is_not_read(full: Memory) -> None:
    full.close()
    with closing(sqlite3.connect(full.path / "catalog.sqlite")) as raw, raw:
        raw.execute("UPDATE chunks SET timestamp = timestamp + 1 WHERE chunk_id = 1")
    assert not full.check().ok


def test_a_table_that_is_not_as_it_was_made_is_named(full: Memory) -> None:
    with full.database.write() as connection:
        connection.exec_driver_sql("DROP INDEX messages_chunk")
    with full.database.read() as connection:
        (problem,) = verify_schema(connection, lambda new: migrate(new, full.database.path))
    assert problem[1] == "messages_chunk"


def test_counting_reads_two_numbers_and_is_right(full: Memory) -> None:
    with full.database.read() as connection:
        assert count_chunks(connection) == connection.exec_driver_sql("SELECT count(*) FROM chunks").scalar()
        assert position(connection).deletion > 0


def test_messages_that_stay_keep_their_ids_in_another_chunk(memory: Memory) -> None:
    memory.import_messages(history(3))
    with memory.database.read() as connection:
        rows = messages_of_chunk(connection, 2)
    key, compressor = memory.frames.compressor()
    chunk = memory._ingest.prepare("segment", "吃饺子", key, compressor, START)
    with memory.database.write() as connection:
        new_id = keep_messages(connection, 2, chunk, rows[1:2])
        connection.exec_driver_sql("INSERT INTO deletions (chunk_id) VALUES (2)")
        connection.exec_driver_sql("DELETE FROM chunks WHERE chunk_id = 2")
        assert list(verify_rows(connection)) == []
        assert messages_of_chunk(connection, 2) == []
        assert [row.message.message_id for row in messages_of_chunk(connection, new_id)] == [5]
        assert [row.message.message_id for row in messages_of_chunk(connection, 3)] == [7, 8, 9]
    assert [message.text for message in memory.recent(4)] == ["吃饺子", "第2天吃什么", "吃凉皮", "凉皮店第2家\n好不好"]
    assert memory.recall(Query("饺子", k=1))[0].chunk_id == new_id


def test_a_source_id_made_of_its_turn_is_known(memory: Memory) -> None:
    memory.remember(said("user", "猫", source="chat", source_id="t:0"), turn_id="t", position=0)
    wanted = [("chat", "t:0"), ("chat", "t:1"), ("other", "t:0"), ("chat", ":"), ("chat", "t:²")]
    with memory.database.read() as connection:
        assert known_source_ids(connection, wanted) == {("chat", "t:0")}


def test_many_documents_are_found_by_key_id_and_chunk(make_memory: MakeMemory) -> None:
    chance = random.Random(3)
    memory = make_memory(kind="documents")
    texts = {f"{chance.getrandbits(64):016x}": "Wing text here. " * chance.randint(1, 90) for _ in range(40)}
    memory.import_items(MemoryItem(item_id, text) for item_id, text in texts.items())
    for hit in memory.recall(Query("wing text", k=50)):
        assert texts[hit.item_id].find(hit.text) >= 0
