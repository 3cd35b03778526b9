"""Removing chunks from the catalog, with everything that is said of them there."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection

from stores.catalog.chunks import locations, remove_chunks
from stores.catalog.conversation import remove_messages
from stores.catalog.items import ItemRow, all_item_keys, read_rows, read_rows_by_key, remove_items
from stores.frames import FrameStore
from stores.lexical.rows import sealed_through
from stores.lexical.tokens import stored_terms
from stores.tail import open_bytes


def delete_chunks(connection: Connection, frames: FrameStore, chunk_ids: Sequence[int], *, limit: int) -> None:
    """Delete chunks and the messages in them inside the caller's transaction; documents keep their rows.

    A contentless full-text table forgets a row only when it is told the row's terms again, so a chunk whose terms are
    not sealed yet is opened one last time.

    Raises:
        MemoryCorruptError: a frame that has to be opened is damaged.
    """
    through = sealed_through(connection)
    terms: dict[int, str | None] = {}
    for place in locations(connection, chunk_ids).values():
        terms[place.chunk_id] = None
        if place.chunk_id > through:
            (stored,) = frames.read_here([place])
            terms[place.chunk_id] = stored_terms(open_bytes(frames, stored, limit=limit).decode())
    for chunk_id in terms:
        remove_messages(connection, chunk_id)
    remove_chunks(connection, terms)


def delete_items(connection: Connection, frames: FrameStore, item_ids: Sequence[str] | None, *, limit: int) -> int:
    """Delete documents and their chunks; all documents with None. Returns how many there were.

    Raises:
        MemoryCorruptError: a frame is damaged.
    """
    if item_ids is None:
        rows = list(read_rows_by_key(connection, all_item_keys(connection)))
    else:
        rows = list(read_rows(connection, list(dict.fromkeys(item_ids))))
    delete_rows(connection, frames, rows, limit=limit)
    return len(rows)


def delete_rows(connection: Connection, frames: FrameStore, rows: Sequence[ItemRow], *, limit: int) -> None:
    """Delete documents whose rows were read in this transaction, and their chunks.

    Raises:
        MemoryCorruptError: a frame is damaged.
    """
    for row in rows:
        delete_chunks(connection, frames, row.chunk_ids, limit=limit)
    remove_items(connection, rows)
