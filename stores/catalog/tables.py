"""The tables of a catalog, as queries see them. Their DDL, with triggers and indexes, is in :mod:`.migrations`."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Column, Float, Integer, LargeBinary, MetaData, String, Table
from sqlalchemy.types import UserDefinedType

from cem_rag_app.schema import HitKind

metadata = MetaData()


class Stored(UserDefinedType[Any]):
    """A column without a type: numbers, texts and bytes stay what they are, in one list too."""

    cache_ok = True


memory_state = Table(
    "memory_state",
    metadata,
    Column("key", String, primary_key=True),
    Column("value", String),
    Column("checksum", Integer),
)
"""What the memory knows of itself: profile, current dictionary, generation. JSON values."""

preferences = Table(
    "preferences",
    metadata,
    Column("key", String, primary_key=True),
    Column("value", String),
    Column("checksum", Integer),
)
"""What learning may change: style profile, preferences. JSON values."""

persona = Table(
    "persona",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("rules", String),
    Column("checksum", Integer),
)
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
    Column("checksum", Integer),
)

sources = Table("sources", metadata, Column("source_key", Integer, primary_key=True), Column("source", String))
"""Where documents came from."""

items = Table(
    "items",
    metadata,
    Column("item_key", Integer, primary_key=True),  # the id of its first chunk; the others follow it
    Column("item_id", Stored),
    Column("source_key", Integer),
    Column("chunk_count", Integer),
    Column("metadata", String),  # JSON object, NULL when empty
    Column("fingerprint", Integer),
    Column("checksum", Integer),
)

chunks = Table(
    "chunks",
    metadata,
    Column("chunk_id", Integer, primary_key=True),
    Column("kind", Integer),
    Column("pack_number", Integer),
    Column("pack_index", Integer),
    Column("frame", LargeBinary),  # the frame itself while no pack holds it
    Column("dictionary_key", Integer),  # of that frame; a pack's frames all have the pack's
    Column("checksum", Integer),  # of the frame and of what this row says of it
    Column("raw_size", Integer),  # bytes of its text
    Column("timestamp", Float),
)

facet_names = Table("facet_names", metadata, Column("name_key", Integer, primary_key=True), Column("name", String))
facets = Table(
    "facets",
    metadata,
    Column("name_key", Integer, primary_key=True),
    Column("value", Stored, primary_key=True),
    Column("facet_key", Integer),
)
facet_runs = Table(
    "facet_runs",
    metadata,
    Column("facet_key", Integer, primary_key=True),
    Column("first_chunk", Integer, primary_key=True),
    Column("chunk_count", Integer),
)
"""What chunks can be filtered by, and the runs of chunks that have it (:mod:`.facets`)."""

conversations = Table(
    "conversations", metadata, Column("conversation_key", Integer, primary_key=True), Column("conversation", String)
)

voices = Table(
    "voices",
    metadata,
    Column("voice_key", Integer, primary_key=True),
    Column("role", String),
    Column("speaker", String),
    Column("source", String),
)
"""Who speaks, on which side, and where it was written down."""

turns = Table("turns", metadata, Column("turn_key", Integer, primary_key=True), Column("turn_id", Stored))

messages = Table(
    "messages",
    metadata,
    Column("message_id", Integer, primary_key=True),
    Column("chunk_id", Integer),
    Column("start", Integer),  # characters into the chunk's text; 0 for the first message of a chunk and no other
    Column("length", Integer),
    Column("voice_key", Integer),
    Column("conversation_key", Integer),
    Column("timestamp", Float),
    Column("source_id", Stored),  # empty where it is the turn's id, a colon and the position
    Column("turn_key", Integer),
    Column("position", Integer),
    Column("checksum", Integer),  # with a chunk's first message: of all its messages
)

deletions = Table("deletions", metadata, Column("sequence", Integer, primary_key=True), Column("chunk_id", Integer))
"""Chunks that are gone, for indexes that still hold them. New chunks need no log: their ids only grow."""

feedback = Table(
    "feedback",
    metadata,
    Column("message_id", Integer, primary_key=True),
    Column("good", Integer),
    Column("marked_at", Float),
    Column("checksum", Integer),
)

turn_records = Table(
    "turn_records",
    metadata,
    Column("turn_id", String, primary_key=True),
    Column("frame", LargeBinary),
    Column("checksum", Integer),
)
"""What happened in a turn, as JSON in a frame without dictionary."""

KIND_CODES: dict[HitKind, int] = {"document": 0, "segment": 1, "online": 2}
KIND_NAMES = {code: name for name, code in KIND_CODES.items()}
