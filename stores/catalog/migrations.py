"""Numbered migrations: the only place where the shape of a catalog changes. Never edit one that was released."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from sqlalchemy import Connection

from cem_rag_app.errors import MemoryVersionError
from stores.catalog.fourth import STEPS as FOURTH
from stores.catalog.third import STEPS
from stores.points import reached

_FIRST = (
    "CREATE TABLE memory_state (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID",
    "CREATE TABLE preferences (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID",
    "CREATE TABLE persona (id INTEGER PRIMARY KEY CHECK (id = 1), rules TEXT NOT NULL)",
    # INSERT OR REPLACE deletes without firing delete triggers, so inserting is guarded as well (I8).
    """CREATE TRIGGER persona_insert BEFORE INSERT ON persona WHEN EXISTS (SELECT 1 FROM persona)
       BEGIN SELECT RAISE(ABORT, 'the rules of a persona are immutable'); END""",
    """CREATE TRIGGER persona_update BEFORE UPDATE ON persona
       BEGIN SELECT RAISE(ABORT, 'the rules of a persona are immutable'); END""",
    """CREATE TRIGGER persona_delete BEFORE DELETE ON persona
       BEGIN SELECT RAISE(ABORT, 'the rules of a persona are immutable'); END""",
    # AUTOINCREMENT: another process keeps dictionaries by key, so a key never means another one.
    """CREATE TABLE dictionaries (
         dictionary_key INTEGER PRIMARY KEY AUTOINCREMENT, digest TEXT NOT NULL UNIQUE, data BLOB)""",
    # AUTOINCREMENT: the number of a removed pack is never given to another one while a reader still holds it open.
    """CREATE TABLE packs (
         pack_number INTEGER PRIMARY KEY AUTOINCREMENT, sha256 TEXT NOT NULL, chunks INTEGER NOT NULL,
         bytes INTEGER NOT NULL, dictionary_key INTEGER NOT NULL REFERENCES dictionaries)""",
    """CREATE TABLE items (
         item_key INTEGER PRIMARY KEY, item_id TEXT NOT NULL UNIQUE, source TEXT NOT NULL,
         created_at REAL NOT NULL, metadata TEXT, fingerprint BLOB NOT NULL)""",
    # AUTOINCREMENT: ids only grow, so an index that covers chunk n misses exactly the chunks above n.
    """CREATE TABLE chunks (
         chunk_id INTEGER PRIMARY KEY AUTOINCREMENT, kind INTEGER NOT NULL,
         item_key INTEGER REFERENCES items ON DELETE CASCADE, part INTEGER NOT NULL,
         pack_number INTEGER REFERENCES packs, pack_index INTEGER, frame BLOB,
         dictionary_key INTEGER NOT NULL REFERENCES dictionaries, crc32 INTEGER NOT NULL,
         raw_size INTEGER NOT NULL, timestamp REAL NOT NULL,
         CHECK ((frame IS NULL) = (pack_number IS NOT NULL)), CHECK ((pack_number IS NULL) = (pack_index IS NULL)))""",
    "CREATE INDEX chunks_item ON chunks (item_key, part) WHERE item_key IS NOT NULL",
    "CREATE INDEX chunks_fresh ON chunks (chunk_id) WHERE pack_number IS NULL",
    """CREATE TABLE messages (
         message_id INTEGER PRIMARY KEY AUTOINCREMENT, chunk_id INTEGER NOT NULL REFERENCES chunks ON DELETE CASCADE,
         start INTEGER NOT NULL, length INTEGER NOT NULL,
         role TEXT NOT NULL CHECK (role IN ('user', 'assistant')), speaker TEXT NOT NULL, conversation TEXT NOT NULL,
         timestamp REAL NOT NULL, source TEXT NOT NULL, source_id TEXT, turn_id TEXT, position INTEGER,
         UNIQUE (source, source_id), UNIQUE (turn_id, position))""",
    "CREATE INDEX messages_conversation ON messages (conversation, message_id)",
    "CREATE INDEX messages_chunk ON messages (chunk_id)",
    "CREATE TABLE deletions (sequence INTEGER PRIMARY KEY AUTOINCREMENT, chunk_id INTEGER NOT NULL)",
    """CREATE TABLE feedback (
         message_id INTEGER PRIMARY KEY REFERENCES messages ON DELETE CASCADE, good INTEGER NOT NULL,
         marked_at REAL NOT NULL)""",
    "CREATE TABLE turn_records (turn_id TEXT PRIMARY KEY, frame BLOB NOT NULL)",
    # Contentless: the text is not kept a second time. The tokens arrive ready-made, so nothing may be folded again.
    """CREATE VIRTUAL TABLE lexical USING fts5 (
         terms, content='', tokenize="unicode61 remove_diacritics 0")""",
)

_SECOND = (
    # How many chunks hold a term, read straight from the full-text index.
    "CREATE VIRTUAL TABLE lexical_terms USING fts5vocab (lexical, row)",
)

Step = str | Callable[[Connection], None]
"""A statement, or what no statement can do."""

MIGRATIONS: tuple[tuple[Step, ...], ...] = (_FIRST, _SECOND, STEPS, FOURTH)
"""What leads from schema version n to n + 1."""

SCHEMA_VERSION = len(MIGRATIONS)


def schema_version(connection: Connection) -> int:
    """The version of a catalog; 0 for an empty file."""
    return int(connection.exec_driver_sql("PRAGMA user_version").scalar_one())


def check_version(version: int, path: Path) -> None:
    """Refuse a catalog that this release cannot know.

    Raises:
        MemoryVersionError: it was made by a newer release.
    """
    if version > SCHEMA_VERSION:
        raise MemoryVersionError(
            f"{path} has schema version {version}; this release knows versions up to {SCHEMA_VERSION}.",
            remedy="It was made by a newer release: upgrade cem-rag. Nothing was changed.",
        )


def migrate(connection: Connection, path: Path) -> bool:
    """Bring a catalog to the present version inside the caller's transaction: all steps, or none.

    Returns:
        Whether the catalog was empty before.

    Raises:
        MemoryVersionError: it was made by a newer release.
    """
    version = schema_version(connection)
    check_version(version, path)
    for steps in MIGRATIONS[version:]:
        for step in steps:
            if isinstance(step, str):
                connection.exec_driver_sql(step)
            else:
                step(connection)
            reached("migration: statement")
    if version < SCHEMA_VERSION:
        connection.exec_driver_sql(f"PRAGMA user_version = {SCHEMA_VERSION}")
    return version == 0
