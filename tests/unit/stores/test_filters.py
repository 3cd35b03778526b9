"""Filters say exactly which chunks may be found, however they are combined."""

from __future__ import annotations

import pytest

from cem_rag_app.errors import FilterError
from cem_rag_app.schema import MemoryItem
from stores.filters import allowed_chunks
from stores.memory import Memory
from tests.unit.stores.conftest import START, MakeMemory


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
