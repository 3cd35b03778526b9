"""The tables of a vector collection, the same on SQLite, PostgreSQL and OceanBase (which speaks MySQL)."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Column,
    DateTime,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    func,
)
from sqlalchemy.dialects import mysql

SCHEMA_VERSION = 1
ID_CHARACTERS = 255
"""Characters of an id at most: what MySQL can index whole."""

metadata = MetaData()

# Without a collation MySQL takes "A" for "a", and two items for one.
_NAME = String(ID_CHARACTERS).with_variant(mysql.VARCHAR(ID_CHARACTERS, collation="utf8mb4_bin"), "mysql")
_PATH = String(1024).with_variant(mysql.VARCHAR(1024, collation="utf8mb4_bin"), "mysql")
_BYTES = LargeBinary().with_variant(mysql.MEDIUMBLOB(), "mysql")
_JSON = Text().with_variant(mysql.MEDIUMTEXT(), "mysql")

collection = Table(
    "collection",
    metadata,
    Column("name", _NAME, primary_key=True),
    Column("schema_version", Integer, nullable=False),
    Column("metric", String(16), nullable=False),
    Column("dimension", Integer),  # NULL until the first vector
    Column("next_key", BigInteger, nullable=False),
    Column("next_deletion", BigInteger, nullable=False),
    Column("identity", String(32)),  # random: two collections of one size are told apart by it
)
"""One row. Whoever writes locks it first: it is the writers' queue, on every engine and from every machine."""

items = Table(
    "items",
    metadata,
    Column("id", _NAME, primary_key=True),
    Column("item_key", BigInteger, nullable=False, unique=True, autoincrement=False),
    Column("file_path", _PATH, nullable=False),
    Column("subset", _NAME),
    Column("label", _NAME),
    Column("source", _NAME),
    Column("created_at", DateTime, nullable=False, server_default=func.now()),
    Column("seq_len", Integer),
    Column("args_dim", Integer),
    Column("metadata", _JSON),  # JSON object of what has no column; NULL when empty
)
"""What an item is. ``item_key`` only grows and names one content: a replaced item takes a new one."""

# The key rides along, so that a filter is answered from the index alone.
Index("idx_items_subset", items.c.subset, items.c.item_key)
Index("idx_items_label", items.c.label, items.c.item_key)
Index("idx_items_source", items.c.source, items.c.item_key)

vectors = Table(
    "vectors",
    metadata,
    Column("item_key", BigInteger, primary_key=True, autoincrement=False),
    Column("z", _BYTES, nullable=False),  # float32, little-endian
    Column("frame", _BYTES),  # the macro sequence, see stores.vectors.frames
    Column("fingerprint", BigInteger, nullable=False),  # of z and the sequence
)
Index("idx_vectors_fingerprint", vectors.c.fingerprint)

deletions = Table(
    "deletions",
    metadata,
    Column("sequence", BigInteger, primary_key=True, autoincrement=False),
    Column("item_key", BigInteger, nullable=False),
)
"""Keys that are gone, for indexes that still hold them."""
