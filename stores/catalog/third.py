"""The third schema: the same content in a third of the bytes, with facets and checksums. Never edit what was released.

Speakers, sources, conversations and turns are named once; identifiers are stored in their short form; a document's
key is the id of its first chunk, whose parts have followed one another since the first release, so neither chunks nor
an index say what belongs to what; and each chunk, exchange and document has a checksum over its row.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sqlalchemy import Connection

from cem_rag_app.errors import MemoryCorruptError
from stores.catalog.checksums import SUMMED_TABLES, chunk_checksum, row_checksum
from stores.catalog.conversation import MessageRow, exchange_checksum, stored_exchanges
from stores.catalog.facets import Facet, add_facets, document_facets, message_facets
from stores.catalog.identifiers import TAIL, packed
from stores.catalog.items import item_checksum
from stores.catalog.raw import raw_cursor
from stores.catalog.tables import KIND_NAMES

_TABLES = (
    "ALTER TABLE items RENAME TO old_items",
    "ALTER TABLE chunks RENAME TO old_chunks",
    "ALTER TABLE messages RENAME TO old_messages",
    "ALTER TABLE feedback RENAME TO old_feedback",
    *(f"DROP INDEX {name}" for name in ("chunks_item", "chunks_fresh", "messages_conversation", "messages_chunk")),
    "CREATE TABLE sources (source_key INTEGER PRIMARY KEY, source TEXT NOT NULL UNIQUE)",
    """CREATE TABLE items (
         item_key INTEGER PRIMARY KEY, item_id NOT NULL UNIQUE, source_key INTEGER NOT NULL REFERENCES sources,
         chunk_count INTEGER NOT NULL CHECK (chunk_count > 0), metadata TEXT, fingerprint INTEGER NOT NULL,
         checksum INTEGER NOT NULL)""",
    # AUTOINCREMENT: ids only grow, so an index that covers chunk n misses exactly the chunks above n.
    """CREATE TABLE chunks (
         chunk_id INTEGER PRIMARY KEY AUTOINCREMENT, kind INTEGER NOT NULL, pack_number INTEGER REFERENCES packs,
         pack_index INTEGER, frame BLOB, dictionary_key INTEGER REFERENCES dictionaries, checksum INTEGER NOT NULL,
         raw_size INTEGER NOT NULL, timestamp REAL NOT NULL,
         CHECK ((frame IS NULL) = (pack_number IS NOT NULL)), CHECK ((frame IS NULL) = (pack_index IS NOT NULL)),
         CHECK ((frame IS NULL) = (dictionary_key IS NULL)))""",
    "CREATE INDEX chunks_fresh ON chunks (chunk_id) WHERE pack_number IS NULL",
    "CREATE TABLE conversations (conversation_key INTEGER PRIMARY KEY, conversation TEXT NOT NULL UNIQUE)",
    """CREATE TABLE voices (
         voice_key INTEGER PRIMARY KEY, role TEXT NOT NULL CHECK (role IN ('user', 'assistant')),
         speaker TEXT NOT NULL, source TEXT NOT NULL, UNIQUE (speaker, source, role))""",
    "CREATE TABLE turns (turn_key INTEGER PRIMARY KEY, turn_id NOT NULL)",
    f"CREATE INDEX turns_id ON turns (substr(turn_id, -{TAIL}))",
    # No reference to chunks: looking for what a deleted chunk leaves behind would need a second index of them.
    """CREATE TABLE messages (
         message_id INTEGER PRIMARY KEY AUTOINCREMENT, chunk_id INTEGER NOT NULL, start INTEGER NOT NULL,
         length INTEGER NOT NULL, voice_key INTEGER NOT NULL REFERENCES voices,
         conversation_key INTEGER NOT NULL REFERENCES conversations, timestamp REAL NOT NULL, source_id,
         turn_key INTEGER REFERENCES turns, position INTEGER, checksum INTEGER)""",
    """CREATE TABLE feedback (
         message_id INTEGER PRIMARY KEY REFERENCES messages ON DELETE CASCADE, good INTEGER NOT NULL,
         marked_at REAL NOT NULL, checksum INTEGER NOT NULL)""",
    "CREATE TABLE facet_names (name_key INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE)",
    """CREATE TABLE facets (
         name_key INTEGER NOT NULL REFERENCES facet_names, value NOT NULL, facet_key INTEGER NOT NULL,
         PRIMARY KEY (name_key, value)) WITHOUT ROWID""",
    """CREATE TABLE facet_runs (
         facet_key INTEGER NOT NULL, first_chunk INTEGER NOT NULL, chunk_count INTEGER NOT NULL,
         PRIMARY KEY (facet_key, first_chunk)) WITHOUT ROWID""",
    # Rules are guarded against every change, this one included.
    "DROP TRIGGER persona_update",
    *(
        f"ALTER TABLE {table} ADD COLUMN checksum INTEGER NOT NULL DEFAULT 0"
        for table in ("memory_state", "preferences", "persona", "packs", "turn_records")
    ),
)

_ROWS = (
    "INSERT INTO sources (source) SELECT source FROM old_items GROUP BY 1 ORDER BY min(item_key)",
    """INSERT INTO conversations (conversation)
         SELECT conversation FROM old_messages GROUP BY 1 ORDER BY min(message_id)""",
    """INSERT INTO voices (role, speaker, source)
         SELECT role, speaker, source FROM old_messages GROUP BY 1, 2, 3 ORDER BY min(message_id)""",
    # Ids that were deleted are never given again.
    "DELETE FROM sqlite_sequence WHERE name IN ('chunks', 'messages')",
    "UPDATE sqlite_sequence SET name = substr(name, 5) WHERE name IN ('old_chunks', 'old_messages')",
)

_END = (
    *(f"DROP TABLE old_{name}" for name in ("feedback", "messages", "chunks", "items")),
    # Made when the rows are there, which is quicker and denser.
    "CREATE INDEX messages_chunk ON messages (chunk_id) WHERE start = 0",
    "CREATE INDEX messages_conversation ON messages (conversation_key)",
    f"CREATE INDEX messages_source_id ON messages (substr(source_id, -{TAIL})) WHERE length(source_id) > 0",
    "CREATE UNIQUE INDEX messages_turn ON messages (turn_key, position) WHERE turn_key IS NOT NULL",
    """CREATE TRIGGER persona_update BEFORE UPDATE ON persona
       BEGIN SELECT RAISE(ABORT, 'the rules of a persona are immutable'); END""",
)


def migrate_rows(connection: Connection) -> None:
    """Move every row of the second schema into the tables of the third."""
    for statement in _ROWS[:3]:
        connection.exec_driver_sql(statement)
    _move_chunks(connection)
    _move_items(connection)
    _move_messages(connection)
    for statement in _ROWS[3:]:
        connection.exec_driver_sql(statement)
    _sum_small_tables(connection)


def _move_chunks(connection: Connection) -> None:
    cursor, writer = raw_cursor(connection), raw_cursor(connection)
    rows = cursor.execute(
        "SELECT chunk_id, CASE kind WHEN 2 THEN 0 ELSE kind + 1 END, pack_number, pack_index, frame,"
        " CASE WHEN frame IS NULL THEN NULL ELSE dictionary_key END, crc32, raw_size, timestamp FROM old_chunks"
    )
    writer.executemany(
        "INSERT INTO chunks VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            (chunk_id, kind, pack, index, frame, key, chunk_checksum(chunk_id, kind, crc, size, at, key), size, at)
            for chunk_id, kind, pack, index, frame, key, crc, size, at in rows
        ),
    )


def _move_items(connection: Connection) -> None:
    cursor, writer = raw_cursor(connection), raw_cursor(connection)
    rows = cursor.execute(
        "SELECT min(c.chunk_id), count(*), max(c.chunk_id), i.item_id, i.source, s.source_key, i.metadata,"
        " i.fingerprint, i.created_at FROM old_chunks c JOIN old_items i ON i.item_key = c.item_key"
        " JOIN sources s ON s.source = i.source GROUP BY i.item_key ORDER BY 1"
    ).fetchall()
    listed: list[tuple[int, int, set[Facet]]] = []
    for key, count, last, item_id, source, source_key, metadata, digest, created_at in rows:
        if last - key + 1 != count:
            raise MemoryCorruptError(
                f"The chunks of document {item_id!r} do not follow one another.",
                remedy="Import it again with the release that made this memory, and try again.",
            )
        stored, fingerprint = packed(item_id), int.from_bytes(digest[:8], "little", signed=True)
        checksum = item_checksum(key, stored, source, count, metadata, fingerprint)
        writer.execute(
            "INSERT INTO items VALUES (?, ?, ?, ?, ?, ?, ?)",
            (key, stored, source_key, count, metadata, fingerprint, checksum),
        )
        listed.append((key, count, document_facets(source, created_at, metadata)))
    add_facets(connection, listed)


def _move_messages(connection: Connection) -> None:
    cursor, writer = raw_cursor(connection), raw_cursor(connection)
    writer.executemany(
        "INSERT INTO turns (turn_id) VALUES (?)",
        (
            (packed(turn_id),)
            for (turn_id,) in cursor.execute(
                "SELECT turn_id FROM old_messages WHERE turn_id IS NOT NULL GROUP BY 1 ORDER BY min(message_id)"
            ).fetchall()
        ),
    )
    turns = dict(cursor.execute("SELECT turn_id, turn_key FROM turns").fetchall())
    rows = cursor.execute(
        "SELECT m.message_id, m.chunk_id, m.start, m.length, v.voice_key, c.conversation_key, m.timestamp,"
        " m.source_id, m.turn_id, m.position FROM old_messages m"
        " JOIN voices v ON (v.role, v.speaker, v.source) = (m.role, m.speaker, m.source)"
        " JOIN conversations c ON c.conversation = m.conversation"
    )
    writer.executemany(
        "INSERT INTO messages VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, NULL)",
        (_message(row, turns) for row in rows),
    )
    kinds = dict(cursor.execute("SELECT chunk_id, kind FROM chunks WHERE kind > 0").fetchall())
    times = dict(cursor.execute("SELECT chunk_id, timestamp FROM chunks WHERE kind > 0").fetchall())
    listed: list[tuple[int, int, set[Facet]]] = []
    sums: list[tuple[int, int]] = []
    for exchange, _ in stored_exchanges(connection):
        first: MessageRow = exchange[0][0]
        chunk_id = first.chunk_id
        sums.append((exchange_checksum(exchange), first.message.message_id))
        spoken = [(row.message.source, row.message.conversation) for row, _, _ in exchange]
        listed.append((chunk_id, 1, message_facets(KIND_NAMES[kinds[chunk_id]], times[chunk_id], spoken)))
    writer.executemany("UPDATE messages SET checksum = ? WHERE message_id = ?", sums)
    add_facets(connection, listed)


def _message(row: tuple[Any, ...], turns: dict[Any, int]) -> tuple[Any, ...]:
    *kept, source_id, turn_id, position = row
    form: Any = packed(source_id) if source_id else None
    if turn_id is not None and source_id == f"{turn_id}:{position}":
        form = b""
    return (*kept, form, None if turn_id is None else turns[packed(turn_id)], position)


def _sum_small_tables(connection: Connection) -> None:
    cursor, writer = raw_cursor(connection), raw_cursor(connection)
    writer.executemany(
        "INSERT INTO feedback VALUES (?, ?, ?, ?)",
        (
            (*row, row_checksum(*row))
            for row in cursor.execute("SELECT message_id, good, marked_at FROM old_feedback").fetchall()
        ),
    )
    for table, columns in SUMMED_TABLES.items():
        key, listed = columns[0], ", ".join(columns)
        rows = cursor.execute(f"SELECT {listed} FROM {table}").fetchall()  # noqa: S608 - names written in this project
        update = f"UPDATE {table} SET checksum = ? WHERE {key} = ?"  # noqa: S608
        writer.executemany(update, [(row_checksum(*row), row[0]) for row in rows])


STEPS: tuple[str | Callable[[Connection], None], ...] = (*_TABLES, migrate_rows, *_END)
