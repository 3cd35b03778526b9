"""Frames and dictionaries while another process re-packs: each is of one state of the memory."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator

import numpy as np
import pytest
from sqlalchemy import Connection

from cem_rag_app.errors import MemoryCorruptError
from stores.catalog.database import Database
from stores.embedding import Embedder
from stores.frames import FrameStore, StoredFrame
from stores.memory import Memory
from stores.tail import open_texts
from tests.fakes.encoders import fake_encoders
from tests.unit.stores.conftest import MakeMemory, history

OWN = {"level": 3, "own_dictionary_from": 100, "dictionary_size": 4096}


class Meanwhile:
    """A catalog in which something happens once, while the first snapshot is open or right after it."""

    def __init__(self, database: Database, happens: Callable[[], object], *, inside: bool) -> None:
        self.path = database.path
        self._database = database
        self._happens: Callable[[], object] | None = happens
        self._inside = inside

    @contextlib.contextmanager
    def read(self) -> Iterator[Connection]:
        with self._database.read() as connection:
            connection.exec_driver_sql("SELECT count(*) FROM chunks").scalar()  # a snapshot begins with a first look
            if self._inside:
                self._happen()
            yield connection
        if not self._inside:
            self._happen()

    def _happen(self) -> None:
        happens, self._happens = self._happens, None
        if happens is not None:
            happens()


class ReleasedAtOnce(FrameStore):
    """Another thread re-packs and releases as soon as frames have been read."""

    happens: Callable[[], object]

    def frames(self, chunk_ids: Iterable[int]) -> dict[int, StoredFrame]:
        found = super().frames(chunk_ids)
        self.happens()
        self.release()
        return found


@pytest.fixture
def grown(make_memory: MakeMemory) -> Memory:
    """A memory packed with the shipped dictionary whose next build trains one of its own, and leaves no other."""
    memory = make_memory(pack=OWN)
    memory.import_messages(history(60))
    memory.build()
    memory.import_messages(history(200))
    return memory


def store_of(memory: Memory, happens: Callable[[], object], *, inside: bool) -> FrameStore:
    """A second view of a memory, as another process has it."""
    return FrameStore(memory.path, Meanwhile(memory.database, happens, inside=inside), 3)  # type: ignore[arg-type]


def keys_of(memory: Memory) -> list[int]:
    with memory.database.read() as connection:
        return list(connection.exec_driver_sql("SELECT dictionary_key FROM dictionaries").scalars())


def ids_of(memory: Memory) -> list[int]:
    with memory.database.read() as connection:
        return list(connection.exec_driver_sql("SELECT chunk_id FROM chunks ORDER BY chunk_id").scalars())


@pytest.mark.parametrize("inside", [False, True])
def test_a_compressor_is_of_one_state_although_a_build_trains_meanwhile(grown: Memory, inside: bool) -> None:
    (before,) = keys_of(grown)
    key, compressor = store_of(grown, grown.build, inside=inside).compressor()
    (after,) = keys_of(grown)
    assert before != after
    assert key == (after if inside else before)  # where the old pack was gone before it was opened, the new state
    if inside:
        assert compressor.dictionary.data == grown.frames.dictionary(after).data


def test_a_dictionary_is_looked_for_again_where_its_pack_was_replaced(make_memory: MakeMemory) -> None:
    memory = make_memory()
    memory.import_messages(history(60))
    memory.build()
    (key,) = keys_of(memory)
    expected = memory.frames.dictionary(key).data
    (pack,) = (memory.path / "packs").iterdir()
    found = store_of(memory, memory.compact, inside=True).dictionary(key)
    assert not pack.exists()
    assert found.data == expected


def test_a_pack_that_is_gone_for_good_is_told_as_missing(make_memory: MakeMemory) -> None:
    memory = make_memory()
    memory.import_messages(history(60))
    memory.build()
    (key,) = keys_of(memory)
    (pack,) = (memory.path / "packs").iterdir()
    pack.unlink()
    store = FrameStore(memory.path, memory.database, 3)
    for look in (store.compressor, lambda: store.dictionary(key), lambda: store.frames(ids_of(memory))):
        with pytest.raises(MemoryCorruptError, match="is missing"):
            look()


def released(memory: Memory) -> ReleasedAtOnce:
    store = ReleasedAtOnce(memory.path, memory.database, 3)
    store.happens = memory.build
    return store


def test_texts_are_opened_although_their_dictionary_is_released_meanwhile(grown: Memory) -> None:
    ids = ids_of(grown)
    before = open_texts(grown.frames, ids, limit=10_000)
    (key,) = keys_of(grown)
    assert open_texts(released(grown), ids, limit=10_000) == before
    assert key not in keys_of(grown)


def test_vectors_are_made_although_their_dictionary_is_released_meanwhile(grown: Memory) -> None:
    ids = ids_of(grown)
    encoders = fake_encoders()
    _, before = Embedder(grown.frames, lambda: encoders).of_chunks(ids)
    kept, vectors = Embedder(released(grown), lambda: encoders).of_chunks(ids)
    assert kept.tolist() == ids
    assert np.array_equal(vectors, before)
