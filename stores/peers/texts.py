"""Texts and fields in SQLite, for the peers that keep vectors alone."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from stores.peers.base import Only, Row

FILE = "texts.sqlite"


def create_texts(connection: sqlite3.Connection, rows: Sequence[Row]) -> None:
    """Make the table, fill it, index the filtered columns."""
    connection.execute(
        "CREATE TABLE texts (number INTEGER PRIMARY KEY, percent INTEGER, permille INTEGER, item TEXT, text TEXT)"
    )
    add_texts(connection, rows)
    for field in ("percent", "permille"):
        connection.execute(f"CREATE INDEX texts_{field} ON texts ({field})")


def add_texts(connection: sqlite3.Connection, rows: Sequence[Row]) -> None:
    """Insert rows; the caller commits."""
    values = ((row.number, row.percent, row.permille, row.item, row.text) for row in rows)
    connection.executemany("INSERT INTO texts VALUES (?, ?, ?, ?, ?)", values)


def connect(folder: Path, module: Any = sqlite3) -> sqlite3.Connection:
    """Open the file with SQLite's write-ahead log, by the standard module or one that answers like it."""
    connection: sqlite3.Connection = module.connect(str(folder / FILE))
    connection.execute("PRAGMA journal_mode=WAL")
    return connection


def texts_of(connection: sqlite3.Connection, numbers: Iterable[int], only: Only | None = None) -> list[str]:
    """Texts by number in the order asked for, without those that a filter refuses."""
    wanted = [int(number) for number in numbers]
    marks = ",".join("?" * len(wanted))
    statement, values = f"SELECT number, text FROM texts WHERE number IN ({marks})", list(wanted)
    if only is not None:
        statement, values = f"{statement} AND {only.field} = ?", [*values, only.value]
    found = dict(connection.execute(statement, values))
    return [found[number] for number in wanted if number in found]


def allowed(connection: sqlite3.Connection, only: Only) -> list[int]:
    """Numbers of the rows that a filter allows."""
    statement = f"SELECT number FROM texts WHERE {only.field} = ?"
    return [row[0] for row in connection.execute(statement, (only.value,))]
