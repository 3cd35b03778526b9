"""Comparing every row of a catalog with its checksum, and what is derived from rows with what they give again."""

from __future__ import annotations

import itertools
import sqlite3
from collections.abc import Iterator
from operator import itemgetter
from typing import Any

import numpy as np
from sqlalchemy import Connection, create_engine

from stores.catalog.checksums import SUMMED_TABLES, row_checksum
from stores.catalog.conversation import exchange_checksum, stored_exchanges
from stores.catalog.facets import Facet, document_facets, message_facets
from stores.catalog.items import item_checksum
from stores.catalog.ranges import Ranges
from stores.catalog.raw import raw_cursor
from stores.catalog.tables import KIND_NAMES

Problem = tuple[str, Any, str]
"""Table, key of the row, and what is wrong with it."""

_WRONG_SUM = "The row does not match its checksum."


def verify_rows(connection: Connection) -> Iterator[Problem]:
    """What is wrong with the rows of a catalog, apart from frames, which whoever reads them compares.

    Reads everything but frames once, in one snapshot; what it holds in memory grows with the runs of facets alone.
    """
    listed: dict[Facet, list[tuple[int, int]]] = {}
    for table, found in (
        ("memory_state", _small_tables(connection)),
        ("sqlite_sequence", _counts(connection)),
        ("items", _documents(connection, listed)),
        ("messages", _exchanges(connection, listed)),
        ("facets", _facets(connection, listed)),
    ):
        try:
            yield from found
        except (ValueError, TypeError, KeyError, AttributeError, OverflowError, sqlite3.Error) as error:
            # A value of another type than its column's, text that is no UTF-8: whatever a damaged row may hold.
            yield table, None, f"A row is damaged ({error})."


def verify_schema(connection: Connection, make: Any) -> Iterator[Problem]:
    """Where the shape of a catalog differs from a new one's.

    Args:
        connection: a snapshot.
        make: brings an empty database to the present schema: the migrations.
    """
    fresh = create_engine("sqlite://")
    try:
        with fresh.connect() as new, new.begin():
            make(new)
            expected = _shape(new)
    finally:
        fresh.dispose()
    present = _shape(connection)
    for name in sorted(expected.keys() | present.keys()):
        if expected.get(name) != present.get(name):
            yield "sqlite_schema", name, "It is not what this release would have made."


def _small_tables(connection: Connection) -> Iterator[Problem]:
    cursor = raw_cursor(connection)
    for table, columns in SUMMED_TABLES.items():
        for row in cursor.execute(f"SELECT {', '.join(columns)}, checksum FROM {table}"):  # noqa: S608 - our own names
            if row_checksum(*row[:-1]) != row[-1]:
                yield table, row[0], _WRONG_SUM


def _counts(connection: Connection) -> Iterator[Problem]:
    """The numbers that stand for counting: ids that were given, and deletions, one row each."""
    cursor = raw_cursor(connection)
    given = dict(cursor.execute("SELECT name, seq FROM sqlite_sequence").fetchall())
    for table, key in (
        ("chunks", "chunk_id"),
        ("messages", "message_id"),
        ("deletions", "sequence"),
        ("packs", "pack_number"),
        ("dictionaries", "dictionary_key"),
    ):
        highest = cursor.execute(f"SELECT coalesce(max({key}), 0) FROM {table}").fetchone()[0]  # noqa: S608
        if highest > given.get(table, 0):
            yield "sqlite_sequence", table, f"The last id is {given.get(table, 0)}, but there is a row {highest}."
    chunks = cursor.execute("SELECT count(*) FROM chunks").fetchone()[0]
    if chunks != given.get("chunks", 0) - given.get("deletions", 0):
        yield "sqlite_sequence", "chunks", f"There are {chunks} chunks, which the ids given and deleted contradict."
    for (chunk_id,) in cursor.execute("SELECT chunk_id FROM deletions WHERE chunk_id IN (SELECT chunk_id FROM chunks)"):
        yield "deletions", chunk_id, "The chunk was deleted, and is there."


def _documents(connection: Connection, listed: dict[Facet, list[tuple[int, int]]]) -> Iterator[Problem]:
    rows = raw_cursor(connection).execute(
        "SELECT i.item_key, i.item_id, s.source, i.chunk_count, i.metadata, i.fingerprint, i.checksum, c.timestamp,"
        " (SELECT count(*) FROM chunks d WHERE d.kind = 0 AND d.chunk_id >= i.item_key"
        "  AND d.chunk_id < i.item_key + i.chunk_count)"
        " FROM items i LEFT JOIN sources s ON s.source_key = i.source_key LEFT JOIN chunks c ON c.chunk_id = i.item_key"
        " ORDER BY i.item_key"
    )
    end = 0
    for key, stored, source, count, metadata, fingerprint, checksum, timestamp, present in rows:
        if item_checksum(key, stored, source, count, metadata, fingerprint) != checksum:
            yield "items", key, _WRONG_SUM
        elif present != count or key < end:
            yield "items", key, f"{present} of its {count} chunks are there."
        else:
            for facet in document_facets(source, timestamp, metadata):
                listed.setdefault(facet, []).append((key, count))
        end = key + count
    cursor = raw_cursor(connection)
    (owned,) = cursor.execute("SELECT coalesce(sum(chunk_count), 0) FROM items").fetchone()
    (documents,) = cursor.execute("SELECT count(*) FROM chunks WHERE kind = 0").fetchone()
    if owned != documents:
        yield "chunks", None, f"{documents} chunks are of documents, which have {owned}."


def _exchanges(connection: Connection, listed: dict[Facet, list[tuple[int, int]]]) -> Iterator[Problem]:
    cursor = raw_cursor(connection)
    seen = 0
    for exchange, checksum in stored_exchanges(connection):
        first = exchange[0][0]
        chunk_id = first.chunk_id
        row = cursor.execute("SELECT kind, timestamp FROM chunks WHERE chunk_id = ?", (chunk_id,)).fetchone()
        seen += len(exchange)
        if row is None or not row[0]:
            yield "messages", first.message.message_id, f"Chunk {chunk_id}, in which it lies, holds no messages."
        elif exchange_checksum(exchange) != checksum:
            yield "messages", first.message.message_id, _WRONG_SUM
        else:
            spoken = [(line.message.source, line.message.conversation) for line, _, _ in exchange]
            for facet in message_facets(KIND_NAMES[row[0]], row[1], spoken):
                listed.setdefault(facet, []).append((chunk_id, 1))
    (messages,) = cursor.execute("SELECT count(*) FROM messages").fetchone()
    if messages != seen:
        yield "messages", None, f"{messages - seen} messages have no speaker or no conversation."
    for (chunk_id,) in cursor.execute(
        "SELECT chunk_id FROM chunks WHERE kind > 0 AND chunk_id NOT IN (SELECT chunk_id FROM messages WHERE start = 0)"
    ):
        yield "chunks", chunk_id, "It holds no message."


def _facets(connection: Connection, listed: dict[Facet, list[tuple[int, int]]]) -> Iterator[Problem]:
    cursor = raw_cursor(connection)
    rows = cursor.execute(
        "SELECT f.facet_key, n.name, f.value FROM facets f LEFT JOIN facet_names n ON n.name_key = f.name_key"
    ).fetchall()
    named = {key: (name, value) for key, name, value in rows}
    if len(named) != len(rows):
        yield "facets", None, "Two values share their runs."
    runs = cursor.execute("SELECT facet_key, first_chunk, chunk_count FROM facet_runs ORDER BY 1, 2")
    for key, group in itertools.groupby(runs, key=itemgetter(0)):
        facet = named.pop(key, None)
        present = Ranges.of_rows((first, count) for _, first, count in group)
        expected = Ranges.of_rows([] if facet is None else listed.pop(facet, []))
        if not (np.array_equal(present.first, expected.first) and np.array_equal(present.stop, expected.stop)):
            yield "facets", repr(facet), "It lists other chunks than those that have it."
    for facet in (*named.values(), *listed):
        yield "facets", repr(facet), "It lists no chunk."


def _shape(connection: Connection) -> dict[str, tuple[Any, ...]]:
    rows = connection.exec_driver_sql("SELECT name, type, tbl_name, sql FROM sqlite_schema")
    return {row[0]: tuple(row[1:]) for row in rows}
