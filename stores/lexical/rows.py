"""What the catalog says of the sealed part: which file it is, and which of its chunks are gone."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from sqlalchemy import Connection

from stores.catalog.ranges import IntArray
from stores.catalog.raw import raw_cursor


@dataclass(frozen=True, slots=True)
class SegmentRow:
    """The segment in use."""

    number: int
    sha256: str
    size: int
    chunks: int
    last_chunk: int
    """Every chunk up to this id is in the segment, is deleted, or never had terms."""


def segment_row(connection: Connection) -> SegmentRow | None:
    """The segment in use, None before the first seal."""
    row = connection.exec_driver_sql(
        "SELECT segment_number, sha256, bytes, chunks, last_chunk FROM lexical_segments"
    ).one_or_none()
    return None if row is None else SegmentRow(*row)


def put_segment(connection: Connection, row: SegmentRow | None) -> None:
    """Let the catalog speak of this segment and of no other; nothing in it is gone yet."""
    connection.exec_driver_sql("DELETE FROM lexical_segments")
    connection.exec_driver_sql("DELETE FROM lexical_gone")
    if row is not None:
        raw_cursor(connection).execute(
            "INSERT INTO lexical_segments (segment_number, sha256, bytes, chunks, last_chunk) VALUES (?, ?, ?, ?, ?)",
            (row.number, row.sha256, row.size, row.chunks, row.last_chunk),
        )


def next_number(connection: Connection) -> int:
    """The number of the next segment; one that was ever used is not used again."""
    last = connection.exec_driver_sql("SELECT seq FROM sqlite_sequence WHERE name = 'lexical_segments'").scalar()
    return 1 + int(last or 0)


def gone_ids(connection: Connection) -> IntArray:
    """Ascending ids of chunks that were deleted since the segment was sealed."""
    rows = connection.exec_driver_sql("SELECT chunk_id FROM lexical_gone ORDER BY chunk_id").scalars()
    return np.array(list(rows), dtype=np.int64)


def add_gone(connection: Connection, chunk_ids: list[int]) -> None:
    """Note that chunks of the segment are deleted."""
    raw_cursor(connection).executemany(
        "INSERT OR IGNORE INTO lexical_gone (chunk_id) VALUES (?)", [(chunk_id,) for chunk_id in chunk_ids]
    )


def sealed_through(connection: Connection) -> int:
    """The highest chunk id that the segment covers: the terms of these need not be known to delete them."""
    row = segment_row(connection)
    return 0 if row is None else row.last_chunk


def forget_terms(connection: Connection, terms: dict[int, str | None]) -> None:
    """Let deleted chunks no longer be found, inside the transaction that deletes them.

    Args:
        connection: a transaction.
        terms: chunk id -> the terms it was stored with: FTS5's contentless table has no other way to forget a row.
            They are not used up to :func:`sealed_through`.
    """
    through = sealed_through(connection)
    add_gone(connection, [chunk_id for chunk_id in terms if chunk_id <= through])
    raw_cursor(connection).executemany(
        "INSERT INTO lexical (lexical, rowid, terms) SELECT 'delete', id, ? FROM lexical_docsize WHERE id = ?",
        [(stored, chunk_id) for chunk_id, stored in terms.items() if chunk_id > through],
    )
