"""Removing chunks from the catalog, with everything that is said of them there."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection

from cem_rag_app.errors import MemoryCorruptError, ZpkgError
from stores.catalog.chunks import Location, locations, remove_chunks
from stores.catalog.conversation import remove_messages
from stores.catalog.items import ItemRow, all_item_keys, read_rows, read_rows_by_key, remove_items
from stores.frames import FrameStore
from stores.lexical.fresh import are_fresh, fresh_size, holds_exactly, terms_of
from stores.lexical.rows import sealed_through
from stores.lexical.tokens import stored_terms
from stores.tail import open_bytes

OCCURRENCES_A_TEXT = 20_000
"""Occurrences of terms that are read from the full-text table in the time that one text takes (docs/log/lexical.md)."""


def delete_chunks(connection: Connection, frames: FrameStore, chunk_ids: Sequence[int], *, limit: int) -> None:
    """Delete chunks and the messages in them inside the caller's transaction; documents keep their rows.

    Raises:
        MemoryCorruptError: a row that is needed is damaged.
    """
    places = locations(connection, chunk_ids)
    through = sealed_through(connection)
    terms: dict[int, str | None] = dict.fromkeys(places)
    terms.update(_terms(connection, frames, [place for place in places.values() if place.chunk_id > through], limit))
    for chunk_id in terms:
        remove_messages(connection, chunk_id)
    remove_chunks(connection, terms)


def _terms(connection: Connection, frames: FrameStore, places: Sequence[Location], limit: int) -> dict[int, str]:
    """The terms that chunks were stored with, as far as these are fresh.

    A contentless full-text table forgets a row only when it is told the very terms of it, and finds them only by
    reading all it has. Where few of many fresh chunks go, it is quicker to derive the terms again from the text; a
    caller may have given others, though, so what is derived is compared with the row.
    """
    fresh = set(are_fresh(connection, [place.chunk_id for place in places]))
    derived: dict[int, str] = {}
    if fresh_size(connection).length > OCCURRENCES_A_TEXT * len(fresh):
        for place in places:
            if place.chunk_id not in fresh:
                continue
            try:
                (stored,) = frames.read_here([place])
                terms = stored_terms(open_bytes(frames, stored, limit=limit).decode())
            except (MemoryCorruptError, ZpkgError, UnicodeDecodeError):
                continue  # whoever wants to be rid of a chunk need not be able to read it
            if holds_exactly(connection, place.chunk_id, terms):
                derived[place.chunk_id] = terms
    return derived | terms_of(connection, sorted(fresh - derived.keys()))


def delete_items(connection: Connection, frames: FrameStore, item_ids: Sequence[str] | None, *, limit: int) -> int:
    """Delete documents and their chunks; all documents with None. Returns how many there were.

    Raises:
        MemoryCorruptError: a row that is needed is damaged.
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
        MemoryCorruptError: a row that is needed is damaged.
    """
    delete_chunks(connection, frames, [chunk_id for row in rows for chunk_id in row.chunk_ids], limit=limit)
    remove_items(connection, rows)
