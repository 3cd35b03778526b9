"""Documents read back: whole by id, or the chunks that a search found."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from sqlalchemy import Connection

from cem_rag_app.schema import MemoryItem
from stores.catalog.database import Database
from stores.catalog.items import items_of_chunks, read_rows
from stores.frames import FrameStore
from stores.tail import open_texts


def read_items(database: Database, frames: FrameStore, item_ids: Sequence[str], *, limit: int) -> list[MemoryItem]:
    """Whole documents in the order asked for; unknown ids are left out.

    Raises:
        MemoryCorruptError: a frame is damaged.
    """
    wanted = list(dict.fromkeys(item_ids))
    found: dict[str, MemoryItem] = {}
    with database.read() as connection:
        for row in read_rows(connection, wanted):
            texts = open_texts(frames, row.chunk_ids, limit=limit)
            text = "".join(texts[chunk_id] for chunk_id in row.chunk_ids if chunk_id in texts)
            found[row.item.mem_id] = replace(row.item, text=text)
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
        chunk_id: replace(described[chunk_id], text=texts[chunk_id])
        for chunk_id in wanted
        if chunk_id in described and chunk_id in texts
    }


def describe_chunks(connection: Connection, chunk_ids: Sequence[int]) -> dict[int, MemoryItem]:
    """The documents that chunks belong to, without text; messages are left out."""
    return {chunk_id: row.item for chunk_id, row in items_of_chunks(connection, chunk_ids).items()}
