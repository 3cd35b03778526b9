"""Removing chunks from the catalog, their search terms included."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, select

from stores.catalog.chunks import AT_ONCE, chunk_ids_of_items, locations, remove_chunks
from stores.catalog.lexical import stored_terms
from stores.catalog.tables import items
from stores.frames import FrameStore
from stores.tail import open_bytes


def delete_chunks(connection: Connection, frames: FrameStore, chunk_ids: Sequence[int], *, limit: int) -> None:
    """Delete chunks inside the caller's transaction.

    A contentless full-text index forgets a row only when it is told the row's terms again, so each chunk is opened
    one last time.

    Raises:
        MemoryCorruptError: a frame is damaged.
    """
    terms: dict[int, str] = {}
    for place in locations(connection, chunk_ids).values():
        (stored,) = frames.read_here([place])
        terms[place.chunk_id] = stored_terms(open_bytes(frames, stored, limit=limit).decode())
    remove_chunks(connection, terms)


def delete_items(connection: Connection, frames: FrameStore, item_ids: Sequence[str] | None, *, limit: int) -> int:
    """Delete documents and their chunks; all documents with None. Returns how many there were.

    Raises:
        MemoryCorruptError: a frame is damaged.
    """
    keys: list[int] = []
    if item_ids is None:
        keys = list(connection.execute(select(items.c.item_key)).scalars())
    else:
        for start in range(0, len(item_ids), AT_ONCE):
            some = item_ids[start : start + AT_ONCE]
            keys += connection.execute(select(items.c.item_key).where(items.c.item_id.in_(some))).scalars()
    delete_chunks(connection, frames, chunk_ids_of_items(connection, keys), limit=limit)
    for start in range(0, len(keys), AT_ONCE):
        connection.execute(items.delete().where(items.c.item_key.in_(keys[start : start + AT_ONCE])))
    return len(keys)
