"""Documents: an id, a source, metadata, and the chunks that follow one another from the one that is its key."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, select

from cem_rag_app.errors import InputError
from cem_rag_app.schema import MemoryItem
from stores.catalog.checksums import row_checksum
from stores.catalog.chunks import AT_ONCE, NewChunk, add_chunks
from stores.catalog.facets import add_facets, document_facets, remove_facets
from stores.catalog.identifiers import packed, unpacked
from stores.catalog.raw import raw_cursor
from stores.catalog.tables import items

_ROWS = (
    "SELECT i.item_key, i.item_id, i.chunk_count, i.metadata, s.source, c.timestamp FROM items i"
    " JOIN sources s ON s.source_key = i.source_key JOIN chunks c ON c.chunk_id = i.item_key"
)


@dataclass(frozen=True, slots=True)
class ItemRow:
    """A document without its text."""

    item: MemoryItem
    item_key: int
    """The id of its first chunk."""
    chunk_count: int
    metadata: str | None
    """As JSON, None when there is none."""

    @property
    def chunk_ids(self) -> range:
        """Its chunks, in the order of the text."""
        return range(self.item_key, self.item_key + self.chunk_count)


@dataclass(frozen=True, slots=True)
class NewItem:
    """A document about to be stored."""

    item: MemoryItem
    fingerprint: int
    """A signed 64-bit number that differs when anything of the document differs."""
    chunks: Sequence[NewChunk]
    """At least one."""


def known_items(connection: Connection, item_ids: Sequence[str]) -> dict[str, tuple[int, int]]:
    """The keys and fingerprints of those of these documents that are stored."""
    known: dict[str, tuple[int, int]] = {}
    for start in range(0, len(item_ids), AT_ONCE):
        forms = [packed(item_id) for item_id in item_ids[start : start + AT_ONCE]]
        statement = select(items.c.item_id, items.c.item_key, items.c.fingerprint).where(items.c.item_id.in_(forms))
        known.update((unpacked(row.item_id), (row.item_key, row.fingerprint)) for row in connection.execute(statement))
    return known


def add_items(connection: Connection, new: Sequence[NewItem]) -> None:
    """Store documents that are not stored, with their chunks and facets.

    Raises:
        InputError: metadata that is no JSON.
    """
    if not new:
        return
    described = [_metadata_of(one.item) for one in new]
    first = add_chunks(connection, list(itertools.chain.from_iterable(one.chunks for one in new)))
    keys = itertools.accumulate((len(one.chunks) for one in new), initial=first)
    named = {source: _source_key(connection, source) for source in dict.fromkeys(one.item.source for one in new)}
    rows, listed = [], []
    for one, key, metadata in zip(new, keys, described, strict=False):
        stored, count = packed(one.item.mem_id), len(one.chunks)
        checksum = item_checksum(key, stored, one.item.source, count, metadata, one.fingerprint)
        rows.append((key, stored, named[one.item.source], count, metadata, one.fingerprint, checksum))
        listed.append((key, count, document_facets(one.item.source, one.chunks[0].timestamp, metadata)))
    raw_cursor(connection).executemany("INSERT INTO items VALUES (?, ?, ?, ?, ?, ?, ?)", rows)
    add_facets(connection, listed)


def item_checksum(key: int, stored: object, source: str, count: int, metadata: str | None, fingerprint: int) -> int:
    """Over a document's row and the source that it names."""
    return row_checksum(key, stored, source, count, metadata, fingerprint)


def read_rows(connection: Connection, item_ids: Sequence[str]) -> Iterator[ItemRow]:
    """Documents by id; unknown ids are left out."""
    for start in range(0, len(item_ids), AT_ONCE):
        some = [packed(item_id) for item_id in item_ids[start : start + AT_ONCE]]
        yield from _rows(connection, "item_id", some)


def read_rows_by_key(connection: Connection, item_keys: Sequence[int]) -> Iterator[ItemRow]:
    """Documents by key; unknown keys are left out."""
    for start in range(0, len(item_keys), AT_ONCE):
        yield from _rows(connection, "item_key", item_keys[start : start + AT_ONCE])


def items_of_chunks(connection: Connection, chunk_ids: Sequence[int]) -> dict[int, ItemRow]:
    """The documents that chunks belong to, by chunk id; messages are left out."""
    cursor = raw_cursor(connection)
    keys: dict[int, int] = {}
    for chunk_id in chunk_ids:
        row = cursor.execute(
            "SELECT item_key, chunk_count FROM items WHERE item_key <= ? ORDER BY item_key DESC LIMIT 1", (chunk_id,)
        ).fetchone()
        if row is not None and chunk_id < sum(row):
            keys[chunk_id] = row[0]
    found = {row.item_key: row for row in read_rows_by_key(connection, list(dict.fromkeys(keys.values())))}
    return {chunk_id: found[key] for chunk_id, key in keys.items() if key in found}


def all_item_keys(connection: Connection) -> list[int]:
    """The keys of all documents, ascending."""
    return list(connection.execute(select(items.c.item_key).order_by(items.c.item_key)).scalars())


def remove_items(connection: Connection, rows: Sequence[ItemRow]) -> None:
    """Remove documents' rows and facets; their chunks are the caller's business."""
    cursor = raw_cursor(connection)
    for row in rows:
        found = document_facets(row.item.source, row.item.created_at, row.metadata)
        remove_facets(connection, row.item_key, row.chunk_count, found)
        cursor.execute("DELETE FROM items WHERE item_key = ?", (row.item_key,))
    for source in dict.fromkeys(row.item.source for row in rows):
        cursor.execute(
            "DELETE FROM sources WHERE source = ? AND NOT EXISTS"
            " (SELECT 1 FROM items WHERE items.source_key = sources.source_key)",
            (source,),
        )


def _rows(connection: Connection, column: str, wanted: Sequence[object]) -> Iterator[ItemRow]:
    marks = ",".join("?" * len(wanted))
    rows = raw_cursor(connection).execute(f"{_ROWS} WHERE i.{column} IN ({marks}) ORDER BY i.item_key", wanted)
    for item_key, stored, chunk_count, metadata, source, timestamp in rows.fetchall():
        meta = json.loads(metadata) if metadata else {}
        yield ItemRow(MemoryItem(unpacked(stored), "", timestamp, source, meta), item_key, chunk_count, metadata)


def _source_key(connection: Connection, source: str) -> int:
    cursor = raw_cursor(connection)
    cursor.execute("INSERT OR IGNORE INTO sources (source) VALUES (?)", (source,))
    return int(cursor.execute("SELECT source_key FROM sources WHERE source = ?", (source,)).fetchone()[0])


def _metadata_of(item: MemoryItem) -> str | None:
    try:
        return json.dumps(item.meta, ensure_ascii=False, allow_nan=False) if item.meta else None
    except (TypeError, ValueError) as error:
        raise InputError(
            f"The metadata of {item.mem_id!r} cannot be stored ({error}).",
            remedy="Use strings, finite numbers, true, false, null, lists and objects.",
        ) from error
