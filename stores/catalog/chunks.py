"""Chunks: where each frame lies, how it is checked, and what changed since an index last looked."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, func, insert, select, text

from cem_rag_app.schema import HitKind
from stores.catalog.tables import KIND_CODES, chunks, deletions

AT_ONCE = 500  # SQLite binds at most 999 values in its oldest supported builds


@dataclass(frozen=True, slots=True)
class NewChunk:
    """A chunk about to be stored."""

    kind: HitKind
    frame: bytes
    dictionary_key: int
    raw_size: int
    """Bytes of its text; 0 where only its frame is known."""
    timestamp: float
    terms: str | None
    """Search terms of its text, separated by spaces; None where only its frame is known."""
    item_key: int | None = None
    part: int = 0


@dataclass(frozen=True, slots=True)
class Location:
    """Where a chunk's frame lies: here (``frame``), or in a pack."""

    chunk_id: int
    frame: bytes | None
    pack_number: int | None
    pack_index: int | None
    dictionary_key: int
    crc32: int
    raw_size: int


@dataclass(frozen=True, slots=True)
class Position:
    """How far the catalog has come, or an index has followed it."""

    chunk_id: int = 0
    deletion: int = 0


_LOCATION = (
    chunks.c.chunk_id,
    chunks.c.frame,
    chunks.c.pack_number,
    chunks.c.pack_index,
    chunks.c.dictionary_key,
    chunks.c.crc32,
    chunks.c.raw_size,
)


def add_chunk(connection: Connection, chunk: NewChunk) -> int:
    """Store a chunk with its search terms; returns its id."""
    result = connection.execute(
        insert(chunks).values(
            kind=KIND_CODES[chunk.kind],
            item_key=chunk.item_key,
            part=chunk.part,
            frame=chunk.frame,
            dictionary_key=chunk.dictionary_key,
            crc32=zlib.crc32(chunk.frame),
            raw_size=chunk.raw_size,
            timestamp=chunk.timestamp,
        )
    )
    chunk_id = int(result.lastrowid)
    if chunk.terms is not None:
        connection.execute(
            text("INSERT INTO lexical (rowid, terms) VALUES (:chunk_id, :terms)"),
            {"chunk_id": chunk_id, "terms": chunk.terms},
        )
    return chunk_id


def remove_chunks(connection: Connection, terms: dict[int, str]) -> None:
    """Remove chunks and log it for the indexes.

    Args:
        connection: a transaction.
        terms: chunk id -> the search terms it was stored with: a contentless full-text index has no other way to
            forget a row.
    """
    for chunk_id, stored in terms.items():
        connection.execute(
            text(
                "INSERT INTO lexical (lexical, rowid, terms)"
                " SELECT 'delete', id, :terms FROM lexical_docsize WHERE id = :chunk_id"
            ),
            {"chunk_id": chunk_id, "terms": stored},
        )
        connection.execute(insert(deletions).values(chunk_id=chunk_id))
        connection.execute(chunks.delete().where(chunks.c.chunk_id == chunk_id))


def locations(connection: Connection, chunk_ids: Iterable[int]) -> dict[int, Location]:
    """Where these chunks lie; an id that does not exist is left out."""
    wanted = list(chunk_ids)
    found: dict[int, Location] = {}
    for start in range(0, len(wanted), AT_ONCE):
        some = wanted[start : start + AT_ONCE]
        for row in connection.execute(select(*_LOCATION).where(chunks.c.chunk_id.in_(some))):
            found[row.chunk_id] = Location(*row)
    return found


def locations_after(connection: Connection, chunk_id: int, limit: int) -> list[Location]:
    """The next chunks in order of their ids."""
    rows = connection.execute(
        select(*_LOCATION).where(chunks.c.chunk_id > chunk_id).order_by(chunks.c.chunk_id).limit(limit)
    )
    return [Location(*row) for row in rows]


def position(connection: Connection) -> Position:
    """How far the catalog has come: the last ids ever given, which a deletion does not take back."""
    rows = connection.execute(text("SELECT name, seq FROM sqlite_sequence WHERE name IN ('chunks', 'deletions')"))
    last = {row.name: int(row.seq) for row in rows}
    return Position(last.get("chunks", 0), last.get("deletions", 0))


def deleted_after(connection: Connection, sequence: int) -> list[int]:
    """Ids of chunks deleted after a point of the log."""
    rows = connection.execute(select(deletions.c.chunk_id).where(deletions.c.sequence > sequence))
    return list(rows.scalars())


def count_chunks(connection: Connection, *, after: int = 0) -> int:
    """Chunks with an id above ``after``."""
    return int(
        connection.execute(select(func.count()).select_from(chunks).where(chunks.c.chunk_id > after)).scalar_one()
    )


def chunk_ids_of_items(connection: Connection, item_keys: Sequence[int]) -> list[int]:
    """Chunks of documents, in the order of their parts."""
    found: list[int] = []
    for start in range(0, len(item_keys), AT_ONCE):
        some = item_keys[start : start + AT_ONCE]
        rows = connection.execute(
            select(chunks.c.chunk_id).where(chunks.c.item_key.in_(some)).order_by(chunks.c.item_key, chunks.c.part)
        )
        found.extend(rows.scalars())
    return found
