"""The database of a vector collection: an engine by URL, transactions, and its errors by their names here."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError

from cem_rag_app.errors import (
    CemRagError,
    DiskFullError,
    MemoryBusyError,
    MemoryCorruptError,
    MissingDependencyError,
    SettingsError,
    StoreError,
)

_BUSY_SECONDS = 30.0
_CODE_MASK = 0xFF  # SQLite's extended result codes carry the primary code in the low byte
_SECRETS = ("password", "passwd", "passphrase", "pwd", "secret", "token")
_EXTRAS = {"postgresql": "postgres", "mysql": "oceanbase"}


class VectorDatabase:
    """SQLite, PostgreSQL or OceanBase behind one pair of transactions.

    Args:
        url: ``sqlite:///PATH``, ``postgresql+psycopg://…`` or ``mysql+pymysql://…`` (OceanBase).

    Raises:
        SettingsError: the URL cannot be understood, or has a secret where it would be shown.
        MissingDependencyError: its driver is not installed.
    """

    def __init__(self, url: str) -> None:
        try:
            parsed = make_url(url)
            _refuse_secrets(parsed)
            self.name = parsed.render_as_string(hide_password=True)
            self._engine = _engine(url, parsed.get_backend_name())
        except (ArgumentError, NoSuchModuleError) as error:
            raise SettingsError(
                "The catalog URL cannot be understood.",
                remedy="Write sqlite:///PATH, postgresql+psycopg://USER@HOST/DATABASE or mysql+pymysql://….",
            ) from error
        except ModuleNotFoundError as error:
            extra = _EXTRAS.get(parsed.get_backend_name(), "")
            raise MissingDependencyError(
                f"The driver for {self.name} is not installed ({error.name}).",
                remedy=f"Install it with `pip install cem-rag[{extra}]`.",
            ) from error
        self.backend = parsed.get_backend_name()
        self._writing = self._engine.execution_options(writes=True)

    @contextlib.contextmanager
    def read(self) -> Iterator[Connection]:
        """One transaction; a consistent snapshot on SQLite alone, so what is read is bounded by a position."""
        with self._named_errors(), self._engine.connect() as connection, connection.begin():
            yield connection

    @contextlib.contextmanager
    def write(self) -> Iterator[Connection]:
        """One transaction: durable when the block is left, undone when it raises."""
        with self._named_errors(), self._writing.connect() as connection, connection.begin():
            yield connection

    def close(self) -> None:
        """Give back all connections."""
        self._engine.dispose()

    @contextlib.contextmanager
    def _named_errors(self) -> Iterator[None]:
        try:
            yield
        except DBAPIError as error:
            raise self._translate(error) from error

    def _translate(self, error: DBAPIError) -> CemRagError:
        code = getattr(error.orig, "sqlite_errorcode", 0) & _CODE_MASK
        if code == sqlite3.SQLITE_FULL:
            return DiskFullError(
                f"No space left while writing {self.name}; everything acknowledged before is safe.",
                remedy="Free some space and try again.",
            )
        if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
            return MemoryBusyError(
                f"Another process has been writing to {self.name} for {_BUSY_SECONDS:.0f} seconds.",
                remedy="Try again.",
            )
        if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
            return MemoryCorruptError(f"{self.name} is damaged ({error.orig}).", remedy="Restore the file from a copy.")
        return StoreError(
            f"The database {self.name} refused ({error.orig}).",
            remedy="Everything acknowledged before is stored; look at the database and its address.",
        )


def _refuse_secrets(url: URL) -> None:
    for name in url.query:
        if name.lower().endswith(_SECRETS):
            raise SettingsError(
                f"The catalog URL has {name!r} among its options, where it would be kept and shown.",
                remedy="Write a password before the host: postgresql+psycopg://USER:PASSWORD@HOST/DATABASE.",
            )


def _engine(url: str, backend: str) -> Engine:
    if backend == "sqlite":
        return _sqlite_engine(url)
    # Writers queue at the row of the collection; readers bound what they take by the position they have read.
    return create_engine(url, isolation_level="READ COMMITTED", pool_pre_ping=True)


def _sqlite_engine(url: str) -> Engine:
    engine = create_engine(url, connect_args={"timeout": _BUSY_SECONDS, "check_same_thread": False})

    @event.listens_for(engine, "connect")
    def _prepare(connection: sqlite3.Connection, _record: Any) -> None:
        connection.isolation_level = None  # begin is ours, below: the driver's comes too late for a snapshot
        for pragma in ("journal_mode=WAL", "synchronous=FULL", "secure_delete=ON"):
            connection.execute(f"PRAGMA {pragma}").fetchall()

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        writes = connection.get_execution_options().get("writes", False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    return engine
