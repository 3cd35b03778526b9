"""Filters say exactly which chunks may be found, however they are combined."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from operator import ge, gt, le, lt
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cem_rag_app.errors import FilterError
from cem_rag_app.schema import MemoryItem
from stores.catalog.chunks import NewChunk, remove_chunks
from stores.catalog.database import Database
from stores.catalog.items import NewItem, add_items, read_rows, remove_items
from stores.catalog.migrations import migrate
from stores.catalog.ranges import IntArray, Ranges
from stores.catalog.verifying import verify_rows
from stores.filters import allowed_chunks, chunks_in
from stores.memory import Memory
from tests.unit.stores.conftest import START, MakeMemory, history, said


@pytest.fixture
def library(make_memory: MakeMemory) -> Memory:
    """Ten documents of one chunk each: chunk n + 1 is document n."""
    memory = make_memory(kind="documents")
    memory.import_items(
        MemoryItem(f"d{n}", f"wing {n}", START + n, "a" if n < 4 else "b", {"year": 1950 + n, "label": f"l{n % 2}"})
        for n in range(10)
    )
    return memory


@pytest.mark.parametrize(
    "filters",
    [
        {"year": {"$about": 3}},
        {"year": {"$gt": None}},
        {"year": {"$gt": True}},
        {"year": {"$eq": [1]}},
        {"year": object()},
        {"kind": "video"},
        {"kind": {"$gt": "a"}},
        {"since": "today"},
        {"since": float("nan")},
        {"until": [1, 2]},
        {"$nor": []},
        {"$and": {"year": 1}},
        {"$or": ["year"]},
        {"$not": 7},
        {"half": "\ud800"},
        {"\ud800": 1},
        {3: 1},
    ],
)
def test_a_filter_that_cannot_be_understood_is_named(library: Memory, filters: dict[str, object]) -> None:
    with pytest.raises(FilterError):
        allowed_chunks(library.database, filters)


LONG = "a title that is far too long to be listed with the labels, and differs at its end: "
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 3),
    st.sampled_from([0.5, 1.0, -2.5, 2**70, 1e300]),
    st.sampled_from(["", "a", "b", "é", "1", LONG + "a", LONG + "b", "' OR 1=1 --", 'a"b']),
)
KEYS = st.sampled_from(["year", "label", "a.b", 'quo"ted', "$odd", "kind"])
METADATA = st.dictionaries(KEYS, SCALARS | st.lists(SCALARS, max_size=3) | st.just({"inner": 1}), max_size=3)
SOURCES = st.sampled_from(["a", "b", "c"])
TIMES = st.sampled_from([0.0, 1.0, 86_399.5, 86_400.0, 1.7e9, 1.7e9 + 0.25, -5.0])


@st.composite
def entries(draw: st.DrawFn) -> dict[str, Any]:
    """A filter of one entry."""
    key = draw(st.sampled_from(["year", "label", "a.b", 'quo"ted', "source", "item_id", "kind", "since", "until"]))
    if key in ("since", "until"):
        return {key: draw(TIMES)}
    if key == "kind":
        return {key: draw(st.sampled_from(["document", "segment", ["document", "online"]]))}
    if key == "source":
        values: st.SearchStrategy[Any] = SOURCES
    elif key == "item_id":
        values = st.integers(0, 11).map(lambda n: f"d{n}")
    else:
        values = SCALARS
    operators = ["$eq", "$ne", "$in", "$nin", "plain", "list"]
    if values is SCALARS:
        operators += ["$gt", "$gte", "$lt", "$lte", "$exists"]
    operator = draw(st.sampled_from(operators))
    if operator == "plain":
        return {key: draw(values)}
    if operator == "list":
        return {key: draw(st.lists(values, max_size=3))}
    if operator == "$exists":
        return {key: {operator: draw(st.booleans())}}
    if operator in ("$in", "$nin"):
        return {key: {operator: draw(st.lists(values, max_size=3))}}
    if operator in ("$eq", "$ne"):
        return {key: {operator: draw(values)}}
    operands = values.filter(lambda value: value is not None and not isinstance(value, bool))
    return {key: {operator: draw(operands)}}


FILTERS = st.recursive(
    entries(),
    lambda inner: st.one_of(
        st.builds(lambda one, other: {**one, **other}, inner, inner),
        st.lists(inner, max_size=3).map(lambda some: {"$and": some}),
        st.lists(inner, max_size=3).map(lambda some: {"$or": some}),
        inner.map(lambda one: {"$not": one}),
    ),
    max_leaves=5,
)


def holds(filters: dict[str, Any], item: MemoryItem) -> bool:
    """The definition of a filter, for one document."""
    return all(_entry_holds(key, value, item) for key, value in filters.items())


def _entry_holds(key: str, value: Any, item: MemoryItem) -> bool:
    if key == "$and":
        return all(holds(one, item) for one in value)
    if key == "$or":
        return any(holds(one, item) for one in value)
    if key == "$not":
        return not holds(value, item)
    if key in ("since", "until"):
        return item.created_at >= value if key == "since" else item.created_at <= value
    stored = {"source": item.source, "item_id": item.mem_id, "kind": "document"}.get(key, item.meta.get(key))
    operators = value if isinstance(value, dict) else {"$in": value if isinstance(value, list) else [value]}
    return all(_operator_holds(operator, operand, stored) for operator, operand in operators.items())


def _operator_holds(operator: str, operand: Any, stored: Any) -> bool:
    elements = stored if isinstance(stored, list) else [stored]
    if operator in ("$ne", "$nin"):
        return not _operator_holds("$in", operand if operator == "$nin" else [operand], stored)
    if operator == "$eq":
        return _operator_holds("$in", [operand], stored)
    if operator == "$in":
        return any(
            stored is None if wanted is None else any(one is not None and _same(one, wanted) for one in elements)
            for wanted in operand
        )
    if operator == "$exists":
        return (stored is not None) == operand
    comparable = [one for one in elements if isinstance(one, str) == isinstance(operand, str) and one is not None]
    compare = {"$gt": gt, "$gte": ge, "$lt": lt, "$lte": le}[operator]
    return any(compare(one, operand) for one in comparable if not isinstance(one, dict))


def _same(one: Any, other: Any) -> bool:
    return isinstance(one, str) == isinstance(other, str) and one == other


@pytest.fixture
def catalog(tmp_path: Path) -> Iterator[Database]:
    """An empty catalog."""
    database = Database(tmp_path / "catalog.sqlite")
    with database.write() as connection:
        migrate(connection, database.path)
        connection.exec_driver_sql("INSERT INTO dictionaries (digest, data) VALUES ('', x'')")
    yield database
    database.close()


def stored(item: MemoryItem, parts: int) -> NewItem:
    return NewItem(item, 0, [NewChunk("document", b"frame", 1, 0, item.created_at, None)] * parts)


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(st.tuples(METADATA, SOURCES, TIMES, st.integers(1, 3)), min_size=1, max_size=12),
    st.sets(st.integers(0, 11), max_size=4),
    st.sets(st.integers(0, 11), max_size=3),
    st.lists(FILTERS, min_size=1, max_size=6),
)
def test_filters_allow_exactly_the_chunks_of_documents_that_they_describe(
    catalog: Database,
    described: list[tuple[dict[str, Any], str, float, int]],
    deleted: set[int],
    replaced: set[int],
    asked: list[dict[str, Any]],
) -> None:
    held = [(MemoryItem(f"d{n}", "", at, source, meta), parts) for n, (meta, source, at, parts) in enumerate(described)]
    again = [(replace(item, source="c"), parts) for n, (item, parts) in enumerate(held) if n in replaced]
    live = {item.mem_id: item for item, _ in [*held, *again] if int(item.mem_id[1:]) not in deleted}
    with pytest.raises(_UndoneError), catalog.write() as connection:
        add_items(connection, [stored(*one) for one in held])
        for gone in (replaced, deleted):
            rows = list(read_rows(connection, [f"d{n}" for n in gone]))
            remove_chunks(connection, {chunk_id: "" for row in rows for chunk_id in row.chunk_ids})
            remove_items(connection, rows)
            if gone is replaced:
                add_items(connection, [stored(*one) for one in again])
        assert list(verify_rows(connection)) == []
        rows_by_id = {row.item.mem_id: row for row in read_rows(connection, list(live))}
        for filters in asked:
            expected = [n for key, item in live.items() if holds(filters, item) for n in rows_by_id[key].chunk_ids]
            assert chunks_in(connection, filters).ids().tolist() == sorted(expected), filters
        raise _UndoneError


class _UndoneError(Exception):
    """Ends a transaction without keeping it."""


def test_what_was_allowed_is_looked_up_again_when_the_memory_has_changed(library: Memory) -> None:
    def years() -> list[int]:
        found = allowed_chunks(library.database, {"year": {"$gte": 1958}})
        return [] if found is None else found.tolist()

    assert years() == [9, 10]
    library.import_items([MemoryItem("new", "wing", meta={"year": 1960})])
    assert years() == [9, 10, 11]
    library.delete_items(["d8"])
    assert years() == [10, 11]


def test_nothing_is_listed_of_a_document_that_was_deleted(library: Memory) -> None:
    library.import_items([MemoryItem("secret", "wing", START, "drawer", {"colour": "crimson"})])
    library.delete_items(["secret"])
    with library.database.read() as connection:
        for table, column in (("facets", "value"), ("facet_names", "name"), ("sources", "source")):
            held = connection.exec_driver_sql(f"SELECT {column} FROM {table}").scalars().all()
            assert not {"crimson", ".colour", "drawer"} & set(held)


def test_documents_of_one_import_share_their_runs(library: Memory) -> None:
    with library.database.read() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM facet_runs").scalar() == 1 + 1 + 2 + 10 + 10


def test_every_kind_of_chunk_is_filtered_by_source_conversation_and_time(make_memory: MakeMemory) -> None:
    memory = make_memory()
    memory.import_messages(history(4))
    memory.import_items([MemoryItem("d", "a wing", START, "papers")])
    first = memory.remember(said("user", "猫", 1e6, source="chat", conversation="two"), turn_id="a", position=0)
    memory.remember(said("assistant", "狗", 1e6 + 9, source="chat"), turn_id="a", position=1)

    def allowed(**filters: Any) -> list[int]:
        found = allowed_chunks(memory.database, filters)
        return [] if found is None else found.tolist()

    assert allowed(kind="segment") == [1, 2, 3, 4]
    assert allowed(kind=["document", "online"]) == [5, 6, 7]
    assert allowed(source="chat") == [6, 7]
    assert allowed(source={"$ne": "chat"}) == [1, 2, 3, 4, 5]
    assert allowed(conversation="two") == [6]
    assert allowed(since=START + 1e6) == [6, 7]
    assert allowed(until=START + 3602) == [1, 2, 5]
    assert allowed(before_message_id=first.message_id) == [1, 2, 3, 4, 5]
    assert allowed(before_message_id=5) == [1, 5]
    assert allowed(before_message_id=0) == [5]
    assert allowed(before_message_id=float("inf")) == [1, 2, 3, 4, 5, 6, 7]
    assert allowed(since=float("-inf"), until=float("inf")) == [1, 2, 3, 4, 5, 6, 7]


IDS = st.sets(st.integers(1, 40)).map(lambda ids: np.array(sorted(ids), dtype=np.int64))


@given(IDS, IDS)
def test_ranges_are_sets(one: IntArray, other: IntArray) -> None:
    left, right = Ranges.of(one[::-1].copy(), np.ones_like(one)), Ranges.of(other, np.ones_like(other))
    for found, expected in (
        (left | right, set(one) | set(other)),
        (left & right, set(one) & set(other)),
        (left - right, set(one) - set(other)),
    ):
        assert found.ids().tolist() == sorted(expected)
        assert len(found) == len(expected)
        assert (found.first[1:] > found.stop[:-1]).all()
