"""Removing chunks from the catalog, their search terms included."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection

from stores.catalog.chunks import locations, remove_chunks
from stores.catalog.lexical import stored_terms
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
