"""Checking the catalog: its log, pages, shape, rows, references and fresh search terms."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from cem_rag_app.errors import MemoryCorruptError
from stores.catalog.database import Database
from stores.catalog.log import damaged_log, inspect_log
from stores.catalog.migrations import migrate
from stores.catalog.verifying import verify_rows, verify_schema
from stores.checking.report import RESTORE, Finding
from stores.frames import FrameStore
from stores.lexical.fresh import fresh_rows, fresh_size, terms_after
from stores.tail import open_terms

_TRIES: Final = 3
_PIECE: Final = 1024
_LONGEST_TERM: Final = 32_768
"""Bytes of a term that FTS5 keeps."""


def check_log_file(database: Database) -> Iterator[Finding]:
    """The log of a catalog that is open: its own order tells damage, and the last transaction is beyond telling."""
    for _ in range(_TRIES):  # another process may be writing to it: what is damaged stays damaged
        report = inspect_log(database.path)
        if not report.damaged:
            return
    yield Finding("error", f"{database.path}-wal", str(damaged_log(database.path, report)), RESTORE)


def check_pages(database: Database) -> Iterator[Finding]:
    """SQLite's own view: pages, the agreement of tables and indexes, references between rows."""
    with database.read() as connection:
        for problem in connection.exec_driver_sql("PRAGMA integrity_check").scalars():
            if problem != "ok":
                yield Finding("error", str(database.path), str(problem), RESTORE)
        for row in connection.exec_driver_sql("PRAGMA foreign_key_check"):
            problem = f"Row {row[1]} of {row[0]} refers to a missing row of {row[2]}."
            yield Finding("error", str(database.path), problem, RESTORE)


def check_rows(database: Database) -> Iterator[Finding]:
    """The shape of the catalog, and every row against its checksum."""
    with database.read() as connection:
        shape = list(verify_schema(connection, lambda new: migrate(new, Path("memory"))))
        for table, key, problem in (*shape, *verify_rows(connection)):
            named = table if key is None else f"{table}, {key}"
            yield Finding("error", str(database.path), f"{named}: {problem}", RESTORE)


def check_fresh_terms(database: Database, frames: FrameStore, limit: int) -> Iterator[Finding]:
    """Terms that are not sealed yet, against the texts that they were made of."""
    with database.read() as connection:
        ids, lengths = fresh_rows(connection)
        size = fresh_size(connection)
        listed = dict(terms_after(connection, 0))
    file = str(database.path)
    if (size.chunks, size.length) != (len(ids), int(lengths.sum())):
        yield Finding("error", file, "The full-text index has miscounted its fresh rows.", RESTORE)
    counted = dict(zip(ids.tolist(), lengths.tolist(), strict=True))
    for start in range(0, len(ids), _PIECE):
        some = ids[start : start + _PIECE].tolist()
        try:
            expected = open_terms(frames, some, limit=limit)
        except MemoryCorruptError:
            continue  # the frame is damaged, and told by whoever looks at frames
        for chunk_id, terms in expected.items():
            known = sorted(term.encode() for term in listed.get(chunk_id, "").split())
            expected_terms = sorted(term.encode()[:_LONGEST_TERM] for term in terms.split())
            if known != expected_terms or counted[chunk_id] != len(known):
                problem = f"The search terms of chunk {chunk_id} are not those of its text."
                yield Finding("error", file, problem, RESTORE)
