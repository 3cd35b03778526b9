"""The tables of a catalog, as queries see them. Their DDL, with triggers and indexes, is in :mod:`.migrations`."""

from __future__ import annotations

from sqlalchemy import Column, Float, Integer, LargeBinary, MetaData, String, Table

from cem_rag_app.schema import HitKind

metadata = MetaData()

memory_state = Table("memory_state", metadata, Column("key", String, primary_key=True), Column("value", String))
"""What the memory knows of itself: profile, current dictionary, generation. JSON values."""

preferences = Table("preferences", metadata, Column("key", String, primary_key=True), Column("value", String))
"""What learning may change: style profile, preferences. JSON values."""

persona = Table("persona", metadata, Column("id", Integer, primary_key=True), Column("rules", String))
"""One row, guarded by triggers: the hard rules (I8)."""

dictionaries = Table(
    "dictionaries",
    metadata,
    Column("dictionary_key", Integer, primary_key=True),
    Column("digest", String),
    Column("data", LargeBinary),  # NULL while a pack holds it: no dictionary is stored twice
)

packs = Table(
    "packs",
    metadata,
    Column("pack_number", Integer, primary_key=True),
    Column("sha256", String),
    Column("chunks", Integer),
    Column("bytes", Integer),
    Column("dictionary_key", Integer),
)

items = Table(
    "items",
    metadata,
    Column("item_key", Integer, primary_key=True),
    Column("item_id", String),
    Column("source", String),
    Column("created_at", Float),
    Column("metadata", String),  # JSON object, NULL when empty
    Column("fingerprint", LargeBinary),
)

chunks = Table(
    "chunks",
    metadata,
    Column("chunk_id", Integer, primary_key=True),
    Column("kind", Integer),
    Column("item_key", Integer),
    Column("part", Integer),
    Column("pack_number", Integer),
    Column("pack_index", Integer),
    Column("frame", LargeBinary),  # the frame itself while no pack holds it
    Column("dictionary_key", Integer),
    Column("crc32", Integer),  # of the frame
    Column("raw_size", Integer),  # bytes of its text
    Column("timestamp", Float),
)

messages = Table(
    "messages",
    metadata,
    Column("message_id", Integer, primary_key=True),
    Column("chunk_id", Integer),
    Column("start", Integer),  # characters into the chunk's text
    Column("length", Integer),
    Column("role", String),
    Column("speaker", String),
    Column("conversation", String),
    Column("timestamp", Float),
    Column("source", String),
    Column("source_id", String),
    Column("turn_id", String),
    Column("position", Integer),
)

deletions = Table("deletions", metadata, Column("sequence", Integer, primary_key=True), Column("chunk_id", Integer))
"""Chunks that are gone, for indexes that still hold them. New chunks need no log: their ids only grow."""

feedback = Table(
    "feedback",
    metadata,
    Column("message_id", Integer, primary_key=True),
    Column("good", Integer),
    Column("marked_at", Float),
)

turn_records = Table(
    "turn_records", metadata, Column("turn_id", String, primary_key=True), Column("frame", LargeBinary)
)
"""What happened in a turn, as JSON in a frame without dictionary."""

KIND_CODES: dict[HitKind, int] = {"segment": 0, "online": 1, "document": 2}
KIND_NAMES = {code: name for name, code in KIND_CODES.items()}
