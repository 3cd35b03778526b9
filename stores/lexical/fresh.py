"""Chunks that are not sealed yet: rows of the FTS5 table ``lexical``, written with the chunk's own transaction.

FTS5 keeps and finds their terms; scores are ours, because ours count the sealed chunks as well.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from sqlalchemy import Connection

from stores.catalog.ranges import IntArray
from stores.catalog.raw import raw_cursor


@dataclass(frozen=True, slots=True)
class FreshSize:
    """How much is fresh."""

    chunks: int
    length: int
    """Terms of all of them, repeats included."""


def fresh_size(connection: Connection) -> FreshSize:
    """Rows and terms, from FTS5's own record of averages (https://www.sqlite.org/fts5.html): O(1)."""
    block = connection.exec_driver_sql("SELECT block FROM lexical_data WHERE id = 1").scalar()
    numbers = [*_varints(block or b""), 0, 0]
    return FreshSize(numbers[0], numbers[1])


def fresh_counts(connection: Connection, tokens: Sequence[str]) -> dict[str, int]:
    """How often each term stands in fresh chunks; a term that does not is left out."""
    rows = connection.exec_driver_sql(
        "SELECT term, cnt FROM lexical_terms WHERE term IN (SELECT value FROM json_each(?))", (_json(tokens),)
    )
    return {row[0]: int(row[1]) for row in rows}


def fresh_postings(connection: Connection, tokens: Sequence[str]) -> dict[str, tuple[IntArray, IntArray]]:
    """Ascending chunk ids and counts for each term; a term that no fresh chunk holds is left out."""
    rows = connection.exec_driver_sql(
        "SELECT value, (SELECT group_concat(doc) FROM lexical_instances WHERE term = value) FROM json_each(?)",
        (_json(tokens),),
    )
    return {row[0]: np.unique(parse_ids(row[1]), return_counts=True) for row in rows if row[1]}


def fresh_lengths(connection: Connection, chunk_ids: IntArray) -> IntArray:
    """(n,) lengths of fresh chunks, in terms."""
    rows = connection.exec_driver_sql(
        "SELECT id, sz FROM lexical_docsize WHERE id IN (SELECT value FROM json_each(?))", (_json(chunk_ids.tolist()),)
    )
    lengths = {row[0]: next(_varints(row[1]), 0) for row in rows}
    return np.array([lengths.get(chunk_id, 0) for chunk_id in chunk_ids.tolist()], dtype=np.int64)


def fresh_rows(connection: Connection) -> tuple[IntArray, IntArray]:
    """All fresh chunks: ascending ids (n,) and lengths (n,)."""
    rows = connection.exec_driver_sql("SELECT id, sz FROM lexical_docsize ORDER BY id").all()
    ids = np.array([row[0] for row in rows], dtype=np.int64)
    return ids, np.array([next(_varints(row[1]), 0) for row in rows], dtype=np.int64)


def fresh_terms(connection: Connection) -> Iterator[tuple[bytes, str]]:
    """All terms of fresh chunks, ascending by their bytes, with the ids of their chunks: one for each occurrence."""
    cursor = raw_cursor(connection)
    cursor.execute("SELECT CAST(term AS BLOB), group_concat(doc) FROM lexical_instances GROUP BY term")
    while rows := cursor.fetchmany(4096):
        yield from rows


def terms_after(connection: Connection, chunk_id: int) -> list[tuple[int, str]]:
    """Fresh chunks with a higher id, with their terms in order; reads the whole fresh part."""
    ids = connection.exec_driver_sql("SELECT id FROM lexical_docsize WHERE id > ? ORDER BY id", (chunk_id,)).scalars()
    return list(terms_of(connection, list(ids)).items())


def terms_of(connection: Connection, chunk_ids: Sequence[int]) -> dict[int, str]:
    """Terms of fresh chunks in order, separated by spaces; one that is not fresh has none.

    FTS5 keeps no chunk's terms together: the whole fresh part is read, once, which takes some 0.1 us an occurrence.
    """
    found: dict[int, list[bytes]] = {int(chunk_id): [] for chunk_id in chunk_ids}
    if found:
        cursor = raw_cursor(connection)
        cursor.execute(
            "SELECT doc, CAST(term AS BLOB) FROM lexical_instances"
            ' WHERE doc IN (SELECT value FROM json_each(?)) ORDER BY doc, "offset"',
            (_json(list(found)),),
        )
        for chunk_id, term in cursor:
            found[chunk_id].append(term)
    # FTS5 cuts a token of more than 32 KiB, also inside a character.
    return {chunk_id: b" ".join(terms).decode(errors="replace") for chunk_id, terms in found.items()}


def are_fresh(connection: Connection, chunk_ids: Sequence[int]) -> list[int]:
    """Those of these chunks that have a row, also one without terms."""
    return list(
        connection.exec_driver_sql(
            "SELECT id FROM lexical_docsize WHERE id IN (SELECT value FROM json_each(?)) ORDER BY id",
            (_json(chunk_ids),),
        ).scalars()
    )


def holds_exactly(connection: Connection, chunk_id: int, terms: str) -> bool:
    """Whether a fresh chunk has these terms in this order, and no others: a phrase as long as its row."""
    count = len(terms.split())
    if count != int(fresh_lengths(connection, np.array([chunk_id]))[0]):
        return False
    cursor = raw_cursor(connection)
    cursor.execute("SELECT 1 FROM lexical WHERE lexical MATCH ? AND rowid = ?", (f'"{terms}"', chunk_id))
    return count == 0 or cursor.fetchone() is not None


def add_fresh(connection: Connection, rows: Sequence[tuple[int, str]]) -> None:
    """Add chunks with their terms, separated by spaces."""
    cursor = raw_cursor(connection)
    cursor.executemany("INSERT INTO lexical (rowid, terms) VALUES (?, ?)", rows)


def clear_fresh(connection: Connection) -> None:
    """Remove all of them: the one thing that a contentless table does without being told the terms."""
    connection.exec_driver_sql("INSERT INTO lexical (lexical) VALUES ('delete-all')")


def parse_ids(text: str) -> IntArray:
    """Numbers separated by commas."""
    return np.fromstring(text, dtype=np.int64, sep=",")


def _varints(data: bytes) -> Iterator[int]:
    """SQLite's variable-length integers, up to eight bytes: seven bits each, the highest first."""
    value = 0
    for byte in data:
        value = value << 7 | byte & 127
        if byte < 128:
            yield value
            value = 0


def _json(values: Sequence[str] | Sequence[int]) -> str:
    return json.dumps(list(values), ensure_ascii=False)
