"""Chunks: where each frame lies, how it is checked, and what changed since an index last looked."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, func, select

from cem_rag_app.schema import HitKind
from stores.catalog.checksums import chunk_checksum
from stores.catalog.raw import raw_cursor
from stores.catalog.tables import KIND_CODES, chunks, deletions
from stores.lexical.rows import forget_terms

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


@dataclass(frozen=True, slots=True)
class Location:
    """Where a chunk's frame lies: here (``frame``), or in a pack."""

    chunk_id: int
    frame: bytes | None
    pack_number: int | None
    pack_index: int | None
    dictionary_key: int
    checksum: int
    raw_size: int
    kind: int
    timestamp: float

    def checksum_of(self, frame: bytes) -> int:
        """The checksum that this row must have if ``frame`` is the chunk's."""
        key = None if self.frame is None else self.dictionary_key
        return chunk_checksum(self.chunk_id, self.kind, zlib.crc32(frame), self.raw_size, self.timestamp, key)

    def packed_checksum_of(self, frame: bytes) -> int:
        """The checksum that the row will have once ``frame`` is the chunk's and lies in a pack."""
        return chunk_checksum(self.chunk_id, self.kind, zlib.crc32(frame), self.raw_size, self.timestamp, None)


@dataclass(frozen=True, slots=True)
class Position:
    """How far the catalog has come, or an index has followed it."""

    chunk_id: int = 0
    deletion: int = 0


_LOCATIONS = (
    "SELECT c.chunk_id, c.frame, c.pack_number, c.pack_index, coalesce(c.dictionary_key, p.dictionary_key, 0),"
    " c.checksum, c.raw_size, c.kind, c.timestamp FROM chunks c LEFT JOIN packs p ON p.pack_number = c.pack_number"
)


def add_chunks(connection: Connection, new: Sequence[NewChunk]) -> int:
    """Store chunks with their search terms, without facets.

    Returns:
        The id of the first; the others follow it.
    """
    first = position(connection).chunk_id + 1
    numbered = list(enumerate(new, first))
    cursor = raw_cursor(connection)
    cursor.executemany(
        "INSERT INTO chunks (chunk_id, kind, frame, dictionary_key, checksum, raw_size, timestamp)"
        " VALUES (?, ?, ?, ?, ?, ?, ?)",
        (
            (
                chunk_id,
                KIND_CODES[chunk.kind],
                chunk.frame,
                chunk.dictionary_key,
                chunk_checksum(
                    chunk_id,
                    KIND_CODES[chunk.kind],
                    zlib.crc32(chunk.frame),
                    chunk.raw_size,
                    chunk.timestamp,
                    chunk.dictionary_key,
                ),
                chunk.raw_size,
                chunk.timestamp,
            )
            for chunk_id, chunk in numbered
        ),
    )
    cursor.executemany(
        "INSERT INTO lexical (rowid, terms) VALUES (?, ?)",
        ((chunk_id, chunk.terms) for chunk_id, chunk in numbered if chunk.terms is not None),
    )
    return first


def remove_chunks(connection: Connection, terms: dict[int, str | None]) -> None:
    """Remove chunks and log it for the indexes; their facets, messages and documents are the caller's business.

    Args:
        connection: a transaction.
        terms: chunk id -> what :func:`forget_terms` needs of it.
    """
    forget_terms(connection, terms)
    cursor = raw_cursor(connection)
    for chunk_id in terms:
        cursor.execute("INSERT INTO deletions (chunk_id) VALUES (?)", (chunk_id,))
        cursor.execute("DELETE FROM chunks WHERE chunk_id = ?", (chunk_id,))


def locations(connection: Connection, chunk_ids: Iterable[int]) -> dict[int, Location]:
    """Where these chunks lie; an id that does not exist is left out."""
    wanted = list(chunk_ids)
    found: dict[int, Location] = {}
    for start in range(0, len(wanted), AT_ONCE):
        some = wanted[start : start + AT_ONCE]
        marks = ",".join("?" * len(some))
        rows = connection.exec_driver_sql(f"{_LOCATIONS} WHERE c.chunk_id IN ({marks})", tuple(some))
        found.update((row[0], Location(*row)) for row in rows)
    return found


def locations_after(connection: Connection, chunk_id: int, limit: int) -> list[Location]:
    """The next chunks in order of their ids."""
    rows = connection.exec_driver_sql(
        f"{_LOCATIONS} WHERE c.chunk_id > ? ORDER BY c.chunk_id LIMIT ?", (chunk_id, limit)
    )
    return [Location(*row) for row in rows]


def position(connection: Connection) -> Position:
    """How far the catalog has come: the last ids ever given, which a deletion does not take back."""
    rows = connection.exec_driver_sql("SELECT name, seq FROM sqlite_sequence WHERE name IN ('chunks', 'deletions')")
    last = {name: int(number) for name, number in rows}
    return Position(last.get("chunks", 0), last.get("deletions", 0))


def deleted_after(connection: Connection, sequence: int) -> list[int]:
    """Ids of chunks deleted after a point of the log."""
    rows = connection.execute(select(deletions.c.chunk_id).where(deletions.c.sequence > sequence))
    return list(rows.scalars())


def count_chunks(connection: Connection, *, after: int = 0) -> int:
    """Chunks with an id above ``after``."""
    if after == 0:  # ids are given one by one and each deletion is logged once, so nothing needs to be counted
        now = position(connection)
        return now.chunk_id - now.deletion
    return int(
        connection.execute(select(func.count()).select_from(chunks).where(chunks.c.chunk_id > after)).scalar_one()
    )
