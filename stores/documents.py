"""Documents read back: whole by id, or the chunks that a search found."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence

from sqlalchemy import Connection, select

from cem_rag_app.schema import MemoryItem
from stores.catalog.chunks import AT_ONCE, chunk_ids_of_items
from stores.catalog.database import Database
from stores.catalog.tables import chunks, items
from stores.frames import FrameStore
from stores.tail import open_texts

_COLUMNS = (items.c.item_key, items.c.item_id, items.c.source, items.c.created_at, items.c.metadata)


def read_items(database: Database, frames: FrameStore, item_ids: Sequence[str], *, limit: int) -> list[MemoryItem]:
    """Whole documents in the order asked for; unknown ids are left out.

    Raises:
        MemoryCorruptError: a frame is damaged.
    """
    found: dict[str, MemoryItem] = {}
    wanted = list(dict.fromkeys(item_ids))
    with database.read() as connection:
        for start in range(0, len(wanted), AT_ONCE):
            statement = select(*_COLUMNS).where(items.c.item_id.in_(wanted[start : start + AT_ONCE]))
            for row in connection.execute(statement):
                parts = chunk_ids_of_items(connection, [row.item_key])
                texts = open_texts(frames, parts, limit=limit)
                text = "".join(texts[chunk_id] for chunk_id in parts if chunk_id in texts)
                found[row.item_id] = _item(row.item_id, text, row.created_at, row.source, row.metadata)
    return [found[item_id] for item_id in wanted if item_id in found]


def read_chunks(
    database: Database, frames: FrameStore, chunk_ids: Iterable[int], *, limit: int
) -> dict[int, MemoryItem]:
    """Chunks of documents, in the order asked for: each as an item with the chunk's text and its document's metadata.

    Raises:
        MemoryCorruptError: a frame is damaged.
    """
    wanted = list(chunk_ids)
    with database.read() as connection:
        described = describe_chunks(connection, wanted)
    texts = open_texts(frames, described, limit=limit)
    return {
        chunk_id: _with_text(described[chunk_id], texts[chunk_id])
        for chunk_id in wanted
        if chunk_id in described and chunk_id in texts
    }


def describe_chunks(connection: Connection, chunk_ids: Sequence[int]) -> dict[int, MemoryItem]:
    """The documents that chunks belong to, without text; messages are left out."""
    described: dict[int, MemoryItem] = {}
    for start in range(0, len(chunk_ids), AT_ONCE):
        statement = (
            select(chunks.c.chunk_id, *_COLUMNS)
            .join(items, items.c.item_key == chunks.c.item_key)
            .where(chunks.c.chunk_id.in_(chunk_ids[start : start + AT_ONCE]))
        )
        for row in connection.execute(statement):
            described[row.chunk_id] = _item(row.item_id, "", row.created_at, row.source, row.metadata)
    return described


def _item(item_id: str, text: str, created_at: float, source: str, metadata: str | None) -> MemoryItem:
    return MemoryItem(item_id, text, created_at, source, json.loads(metadata) if metadata else {})


def _with_text(item: MemoryItem, text: str) -> MemoryItem:
    return MemoryItem(item.mem_id, text, item.created_at, item.source, item.meta)
