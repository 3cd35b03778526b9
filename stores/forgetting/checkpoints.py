"""Graph checkpoints in a memory's folder: LangGraph's own SQLite files, which hold the lines that a turn recalled."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path

from cem_rag_app.errors import MemoryBusyError

_TABLES = ("checkpoints", "writes")
_BESIDE = ("-wal", "-shm", "-journal")
"""Endings of what SQLite keeps beside a database."""
_SMALLEST = 512
"""Bytes of the smallest database that holds a table."""
_CODE_MASK = 0xFF  # SQLite's extended result codes carry the primary code in the low byte
_BUSY_SECONDS = 30.0


def clear_checkpoints(folder: Path, catalog: Path) -> int:
    """Remove every thread from every checkpointer's file in a folder; returns how many threads there were.

    A checkpoint is the state of a turn under way: what was said, recalled and drafted. A turn that has no checkpoint
    is asked again, with its id, and nothing of it is stored twice.

    Args:
        folder: of the memory; folders in it are looked through as well.
        catalog: the memory's own database, which is left alone.

    Raises:
        MemoryBusyError: another process is writing to one of them, or reading what was there before.
    """
    return sum(_clear(path) for path in sorted(_candidates(folder, catalog)))


def _candidates(folder: Path, catalog: Path) -> Iterator[Path]:
    """Files that may be a checkpointer's, none of them opened.

    A process that closes a file lets go of all its locks on it, so no file that SQLite may have locked here is opened
    but by SQLite, which knows of that: neither the catalog with its log and shared memory, nor a checkpointer's.
    """
    for path in folder.rglob("*"):
        if path == catalog or path.name.endswith(_BESIDE) or path.is_symlink():
            continue
        if path.is_file() and path.stat().st_size >= _SMALLEST:
            yield path


def _clear(path: Path) -> int:
    try:
        with contextlib.closing(sqlite3.connect(path, timeout=_BUSY_SECONDS, isolation_level=None)) as connection:
            known = {row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
            present = [table for table in _TABLES if table in known]
            if _TABLES[0] not in present:
                return 0
            connection.execute("PRAGMA secure_delete = ON").fetchall()
            connection.execute("BEGIN IMMEDIATE")
            threads = int(connection.execute("SELECT count(DISTINCT thread_id) FROM checkpoints").fetchone()[0])
            for table in present:
                connection.execute(f"DELETE FROM {table}")  # noqa: S608 - one of two names written above
            connection.execute("COMMIT")
            connection.execute("VACUUM")
            busy = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]
    except sqlite3.OperationalError as error:
        raise MemoryBusyError(
            f"The checkpoints in {path} cannot be cleared ({error}).", remedy="Close the program that uses them."
        ) from error
    except sqlite3.DatabaseError as error:
        if error.sqlite_errorcode & _CODE_MASK == sqlite3.SQLITE_NOTADB:
            return 0
        raise
    if busy:
        raise MemoryBusyError(
            f"Another program still reads what {path} held before.", remedy="Close it, then open the memory again."
        )
    return threads
