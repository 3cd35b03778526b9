"""sqlite-vec: an exact scan inside SQLite, over bytes, or over bits and then bytes."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cem_rag_app.schema import FloatArray
from stores.peers.base import Build, Embedded, Only, Row, Setting, require
from stores.peers.texts import add_texts, connect, create_texts, texts_of


class SqliteVec(Embedded):
    """Components as int8, scaled so that the largest fills the range; ``bit`` finds candidates by their signs first.

    Its own quantiser maps [-1, 1] to a byte, which wastes most of it where no component of a unit vector is that
    large; scaling first is an application's business, and done here. Metadata columns filter inside the scan; tuned,
    the allowed row ids are given to it.
    """

    packages = ("sqlite-vec", "pysqlite3-binary")
    modules = ("sqlite_vec", "pysqlite3")
    builds = (
        Build("int8", {"bits": False}, ({},), {}, {"by_id": True}),
        Build(
            "bit, int8",
            {"bits": True},
            tuple({"oversample": times} for times in (5, 10, 20, 40, 80, 160)),
            {"oversample": 20},
            {"oversample": 80, "by_id": True},
        ),
    )

    def __init__(self) -> None:
        self._connection: sqlite3.Connection | None = None
        self._scale = 1.0
        self._bits = False

    def create(self, folder: Path, build: Build, rows: Sequence[Row], vectors: FloatArray) -> None:
        """One virtual table, one table of texts."""
        database = self._connect(folder)
        width = vectors.shape[1]
        coarse = f"signs bit[{width}], " if build.parameters["bits"] else ""
        database.execute(
            f"CREATE VIRTUAL TABLE vectors USING vec0(number INTEGER PRIMARY KEY, {coarse}"
            f"embedding int8[{width}] distance_metric=cosine, percent INTEGER, permille INTEGER)"
        )
        self._scale = 127.0 / float(np.abs(vectors).max())
        database.execute("CREATE TABLE scale (value REAL)")
        database.execute("INSERT INTO scale VALUES (?)", (self._scale,))
        create_texts(database, rows)
        for row in rows:
            self._insert(row, vectors[row.number], signs=build.parameters["bits"])
        database.commit()
        database.execute("VACUUM")
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        self.close()

    def open(self, folder: Path, build: Build) -> None:
        """Open the file and load the extension."""
        (self._scale,) = self._connect(folder).execute("SELECT value FROM scale").fetchone()
        self._bits = build.parameters["bits"]

    def search(self, vector: FloatArray, k: int, setting: Setting, only: Only | None = None) -> list[str]:
        """Numbers first, then their texts."""
        database = self._connection
        assert database is not None
        condition, values = "", []
        if only is not None:
            condition = (
                f"AND number IN (SELECT number FROM texts WHERE {only.field} = ?)"
                if setting.get("by_id")
                else f"AND {only.field} = ?"
            )
            values = [only.value]
        exact = self._bytes(vector)
        if "oversample" in setting:
            # As the extension's guide to binary quantisation has it: candidates by sign, ranks by the finer column.
            statement = (
                "WITH candidates AS (SELECT number, embedding FROM vectors WHERE signs MATCH vec_bit(?) AND k = ? "
                f"{condition}) SELECT number FROM candidates "
                "ORDER BY vec_distance_cosine(embedding, vec_int8(?)) LIMIT ?"
            )
            given = [_signs(vector), min(4096, k * setting["oversample"]), *values, exact, k]
        else:
            statement = f"SELECT number FROM vectors WHERE embedding MATCH vec_int8(?) AND k = ? {condition}"
            given = [exact, k, *values]
        numbers = [row[0] for row in database.execute(statement, given)]
        return texts_of(database, numbers)

    def add(self, row: Row, vector: FloatArray) -> None:
        """One transaction."""
        assert self._connection is not None
        add_texts(self._connection, [row])
        self._insert(row, vector, signs=self._bits)
        self._connection.commit()

    def close(self) -> None:
        """Close the file."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _connect(self, folder: Path) -> sqlite3.Connection:
        extension = require("sqlite-vec", "sqlite_vec")
        # The interpreter's own module is often built without the loading of extensions.
        self._connection = connect(folder, require("sqlite-vec", "pysqlite3"))
        self._connection.enable_load_extension(True)
        extension.load(self._connection)
        return self._connection

    def _insert(self, row: Row, vector: FloatArray, *, signs: bool) -> None:
        assert self._connection is not None
        columns, marks = ("signs, ", "vec_bit(?), ") if signs else ("", "")
        coarse = [_signs(vector)] if signs else []
        self._connection.execute(
            f"INSERT INTO vectors (number, {columns}embedding, percent, permille) VALUES (?, {marks}vec_int8(?), ?, ?)",
            [row.number, *coarse, self._bytes(vector), row.percent, row.permille],
        )

    def _bytes(self, vector: FloatArray) -> bytes:
        scaled: NDArray[np.int8] = np.clip(np.rint(vector * self._scale), -127, 127).astype(np.int8)
        return scaled.tobytes()


def _signs(vector: FloatArray) -> bytes:
    return np.packbits(vector > 0, bitorder="little").tobytes()
