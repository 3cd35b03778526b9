"""The catalog file: connections, transactions, and database errors by their names here."""

from __future__ import annotations

import contextlib
import os
import shutil
import sqlite3
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import URL, Connection, Engine, create_engine, event
from sqlalchemy.exc import DBAPIError, InvalidRequestError

from cem_rag_app.errors import (
    CemRagError,
    DiskFullError,
    MemoryBusyError,
    MemoryCorruptError,
    MemoryMissingError,
    PersonaError,
    StoreError,
)
from stores.catalog.chunks import Position
from stores.catalog.log import check_log
from stores.catalog.migrations import SCHEMA_VERSION, check_version, migrate, schema_version
from stores.catalog.recent import Recent
from stores.points import reached

FILE_NAME = "catalog.sqlite"
_BUSY_SECONDS = 30.0
_READER_SECONDS = 3.0
_WAL_PAGES = 256
_WAL_KEPT = _WAL_PAGES * 4096
_SHARED_MEMORY = 32_768
"""Bytes of a piece of the ``-shm`` file, the first thing that opening a catalog writes."""
_opening = threading.Lock()
_open_here: Counter[str] = Counter()
"""How often this process has each catalog open, by its real path: a folder may be reached by several."""
_ANSWERS_KEPT = 32 << 20
"""Bytes."""
_UNEXPECTED = (ValueError, TypeError, LookupError, ArithmeticError, InvalidRequestError)
"""What code that reads rows may run into when a row holds what was never written."""
_DAMAGE_SIGNS = ("fts5", "no such", "malformed", "Could not decode", "invalid fts")
"""In messages of errors without a code of their own: our statements name only what every catalog has."""
_CODE_MASK = 0xFF  # SQLite's extended result codes carry the primary code in the low byte


class Database:
    """A SQLite file in write-ahead mode whose commits are durable: ``synchronous=FULL`` syncs each of them.

    Many readers and one writer at a time, in any number of threads and processes.

    Raises:
        MemoryCorruptError: acknowledged transactions in its write-ahead log cannot be read.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._name = os.path.realpath(path)
        self._counted = 1
        with _opening:
            # Where this process has the catalog open, its log has been checked, and looking would undo SQLite's locks.
            if not _open_here[self._name]:
                check_log(path)
            _open_here[self._name] += self._counted
        self._engine = _engine(path)
        self._writing = self._engine.execution_options(writes=True)
        self.allowed: Recent[Position, NDArray[np.int64]] = Recent(_ANSWERS_KEPT)
        """Which chunks the last filters allowed, for as long as the catalog holds the same chunks."""

    @classmethod
    def open(cls, path: Path) -> Database:
        """Open a catalog, and bring an older one up to date.

        Raises:
            MemoryMissingError: there is none.
            MemoryVersionError: a newer release made it.
            MemoryCorruptError: the file is no database, or acknowledged transactions in its log cannot be read.
        """
        missing = MemoryMissingError(
            f"There is no memory in {path.parent}.",
            remedy="Make one with `cem-rag import FILE --as FORMAT`, or name its folder with --memory DIR.",
        )
        if not path.is_file():
            raise missing
        database = cls(path)
        try:
            with database.read() as connection:
                version = schema_version(connection)
            check_version(version, path)
            if version == 0:  # its creation was interrupted before the first commit: nothing was ever stored in it
                raise missing
            if version < SCHEMA_VERSION:
                with database.write() as connection:
                    migrate(connection, path)
                database.shrink()
        except BaseException:
            database.close()
            raise
        return database

    @contextlib.contextmanager
    def read(self) -> Iterator[Connection]:
        """One consistent snapshot."""
        with _named_errors(self.path), self._engine.connect() as connection, connection.begin():
            try:
                yield connection
            except _UNEXPECTED as error:
                self._blame_rows(connection, error)
                raise

    def _blame_rows(self, connection: Connection, error: Exception) -> None:
        """Name a damaged row where one is to blame for an error that nobody foresaw."""
        from stores.catalog.verifying import verify_rows

        damaged = next(verify_rows(connection), None)
        if damaged is None:
            sound = connection.exec_driver_sql("PRAGMA quick_check(1)").scalar()
            damaged = None if sound == "ok" else ("pages", None, str(sound))
        if damaged is not None:
            table, key, problem = damaged
            raise MemoryCorruptError(
                f"{self.path} is damaged ({table}, {key}): {problem}",
                remedy="Run `cem-rag check`, and restore the file from a copy.",
            ) from error

    @contextlib.contextmanager
    def write(self) -> Iterator[Connection]:
        """One transaction: durable when the block is left, undone when it raises."""
        with _named_errors(self.path), self._writing.connect() as connection:
            with connection.begin():
                yield connection
                reached("catalog: before a commit")
            reached("catalog: committed")

    def shrink(self) -> bool:
        """Give free pages and the write-ahead log back to the disk; returns whether nothing of them is left.

        Readers are not disturbed. With another writer at work, or a reader of an earlier state, it is left for the
        next time.
        """
        with _named_errors(self.path), contextlib.closing(self._engine.raw_connection()) as connection:
            cursor = connection.cursor()
            try:
                cursor.execute("VACUUM")
                reached("catalog: shrunk")
                # A snapshot of ours lasts milliseconds; a reader that stays longer is not waited for.
                cursor.execute(f"PRAGMA busy_timeout = {_READER_SECONDS * 1000:.0f}").fetchall()
                busy, _, _ = cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
                cursor.execute(f"PRAGMA busy_timeout = {_BUSY_SECONDS * 1000:.0f}").fetchall()
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode & _CODE_MASK not in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
                    raise
                return False
        return not busy

    def close(self) -> None:
        """Give back all connections."""
        self._engine.dispose()
        with _opening:
            _open_here[self._name] -= self._counted
            self._counted = 0


def _engine(path: Path) -> Engine:
    engine = create_engine(
        URL.create("sqlite", database=str(path)),
        connect_args={"timeout": _BUSY_SECONDS, "check_same_thread": False},
    )

    @event.listens_for(engine, "connect")
    def _prepare(connection: sqlite3.Connection, _record: Any) -> None:
        # The driver's own transactions begin too late for a snapshot and never IMMEDIATE: begin is ours, below.
        connection.isolation_level = None
        for pragma in (
            "journal_mode=WAL",
            "synchronous=FULL",
            "foreign_keys=ON",
            "secure_delete=ON",
            f"wal_autocheckpoint={_WAL_PAGES}",
            f"journal_size_limit={_WAL_KEPT}",
        ):
            connection.execute(f"PRAGMA {pragma}").fetchall()

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        # IMMEDIATE: a writer waits for its turn here, where waiting works, not half-way through.
        writes = connection.get_execution_options().get("writes", False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    return engine


@contextlib.contextmanager
def _named_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except DBAPIError as error:
        named = _translate(error.orig, path)
        if named is None:
            raise
        raise named from error
    except sqlite3.Error as error:
        named = _translate(error, path)
        if named is None:
            raise
        raise named from error


def _no_room(path: Path) -> bool:
    """Whether the disk is full: where not even its shared memory fits, SQLite speaks of an I/O error."""
    return path.parent.is_dir() and shutil.disk_usage(path.parent).free < _SHARED_MEMORY


def _translate(error: BaseException | None, path: Path) -> CemRagError | None:
    """The error of this project for one of SQLite's (https://www.sqlite.org/rescode.html), or None."""
    code = getattr(error, "sqlite_errorcode", 0) & _CODE_MASK
    if code == sqlite3.SQLITE_CONSTRAINT and "immutable" in str(error):
        return PersonaError("The hard rules of a persona cannot be changed.", remedy="Create another memory.")
    if code == sqlite3.SQLITE_FULL or (code in (sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN) and _no_room(path)):
        return DiskFullError(
            f"No space left while writing {path}; everything acknowledged before is safe.",
            remedy="Free some space and try again.",
        )
    if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return MemoryBusyError(
            f"Another process has been writing to {path} for {_BUSY_SECONDS:.0f} seconds.", remedy="Try again."
        )
    shapeless = code in (0, sqlite3.SQLITE_ERROR) and any(sign in str(error) for sign in _DAMAGE_SIGNS)
    if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB) or shapeless:
        return MemoryCorruptError(
            f"{path} is damaged ({error}).", remedy="Run `cem-rag check`, and restore the file from a copy."
        )
    if code in (sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM):
        return StoreError(
            f"{path} cannot be read or written ({error}).",
            remedy="Everything acknowledged before is in the file; look at the disk and the file's permissions.",
        )
    return None
