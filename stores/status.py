"""What a memory holds and how large it is, for people and for other programs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, func, select

from stores.catalog.chunks import count_chunks, position
from stores.catalog.database import Database
from stores.catalog.migrations import schema_version
from stores.catalog.notes import get_value
from stores.catalog.tables import KIND_NAMES, chunks, dictionaries, items, messages, packs
from stores.files import folder_bytes
from stores.frames import CURRENT_DICTIONARY
from stores.indexes.files import CONFIG_FILE
from stores.lexical.index import LexicalIndex
from stores.packing import TRAINED_AT
from stores.profile import MemoryProfile


def memory_status(folder: Path, database: Database, profile: MemoryProfile) -> dict[str, Any]:
    """Counts, sizes in bytes, dictionary and index. Keys are kept: other programs read them."""
    with database.read() as connection:
        kinds = connection.execute(select(chunks.c.kind, func.count()).group_by(chunks.c.kind))
        by_kind = {KIND_NAMES[row[0]]: int(row[1]) for row in kinds}
        text_bytes, fresh_bytes = connection.execute(
            select(
                func.coalesce(func.sum(chunks.c.raw_size), 0), func.coalesce(func.sum(func.length(chunks.c.frame)), 0)
            )
        ).one()
        key = get_value(connection, CURRENT_DICTIONARY)
        digest = connection.execute(
            select(dictionaries.c.digest).where(dictionaries.c.dictionary_key == key)
        ).scalar_one()
        index = _index_status(folder / "index" / CONFIG_FILE, connection)
        sealed_bytes, unsealed_bytes = LexicalIndex(folder / "lexical", database).bytes(connection)
        counts = {
            "chunks": sum(by_kind.values()),
            "by_kind": by_kind,
            "fresh_chunks": _count(connection, chunks.c.chunk_id, chunks.c.pack_number.is_(None)),
            "packs": _count(connection, packs.c.pack_number),
            "items": _count(connection, items.c.item_key),
            "messages": _count(connection, messages.c.message_id),
        }
        trained_at = int(get_value(connection, TRAINED_AT) or 0)
        version = schema_version(connection)
    catalog_files = [folder / f"catalog.sqlite{suffix}" for suffix in ("", "-wal")]
    catalog_bytes = sum(file.stat().st_size for file in catalog_files if file.exists())
    packs_bytes, index_bytes = folder_bytes(folder / "packs"), folder_bytes(folder / "index")
    return {
        "path": str(folder),
        "kind": profile.kind,
        "encoder": profile.encoder,
        "language": profile.language,
        "persona": profile.persona.persona if profile.persona else "",
        "schema_version": version,
        "counts": counts,
        "dictionary": {"digest": digest, "own": trained_at > 0, "trained_at_chunks": trained_at},
        "index": index,
        "bytes": {
            "plain_text": int(text_bytes),
            "fresh_frames": int(fresh_bytes),
            "packs": packs_bytes,
            "catalog": catalog_bytes - unsealed_bytes,
            "lexical": sealed_bytes + unsealed_bytes,
            "index": index_bytes,
            "total": packs_bytes + catalog_bytes + index_bytes + sealed_bytes,
        },
    }


def _index_status(config_path: Path, connection: Connection) -> dict[str, Any]:
    """What the saved index says of itself; it is verified when it is opened, not here."""
    config: dict[str, Any] = {}
    if config_path.exists():
        try:
            config = json.loads(config_path.read_bytes())
            covered = int(config["covers"]["chunk_id"])
            kind, encoder, dimension = config["parameters"]["kind"], config["encoder"], config["dimension"]
        except (ValueError, KeyError, TypeError):
            return {"state": "damaged", "missing_chunks": count_chunks(connection)}
        missing = count_chunks(connection, after=covered)
        return {
            "state": "current" if missing == 0 else "behind",
            "kind": kind,
            "encoder": encoder,
            "dimension": dimension,
            "vectors": config["count"],
            "missing_chunks": missing,
        }
    newest = position(connection).chunk_id
    return {"state": "none" if newest else "empty", "missing_chunks": count_chunks(connection)}


def _count(connection: Connection, column: Any, condition: Any = None) -> int:
    statement = select(func.count(column))
    return int(connection.execute(statement if condition is None else statement.where(condition)).scalar_one())
