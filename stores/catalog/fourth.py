"""The fourth migration: where the sealed part of the full-text index lies, and which of its chunks are gone."""

from __future__ import annotations

STEPS = (
    # One row, or none before the first seal. AUTOINCREMENT: the number of a removed file is never given to another one.
    """CREATE TABLE lexical_segments (
         segment_number INTEGER PRIMARY KEY AUTOINCREMENT, sha256 TEXT NOT NULL, bytes INTEGER NOT NULL,
         chunks INTEGER NOT NULL, last_chunk INTEGER NOT NULL)""",
    # Deleted since the segment was sealed. A table of its own: whoever follows the log of deletions may cut it.
    "CREATE TABLE lexical_gone (chunk_id INTEGER PRIMARY KEY)",
    # Which fresh chunks hold a term, and how often, read straight from the full-text table.
    "CREATE VIRTUAL TABLE lexical_instances USING fts5vocab (lexical, instance)",
)
"""What leads from schema version 3 to 4."""
