"""What chunks can be filtered by: names, values, and for each value the runs of chunks that have it.

Chunks of one import, conversation or day have ids in a row, so most values need a run or a few, not a row a chunk.
A document's facets are its scalar metadata and the scalars in its lists; every chunk has its kind, source and day, and
messages have a conversation. Long texts are not listed: each name has one value, ``UNLISTED``, whose chunks have
something under that name that only their metadata tells.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator
from sqlite3 import Cursor
from typing import Any

from sqlalchemy import Connection

from cem_rag_app.schema import HitKind
from stores.catalog.raw import raw_cursor

KIND, SOURCE, CONVERSATION, DAY = "kind", "source", "conversation", "day"

Value = str | int | float | bytes
Facet = tuple[str, Value]
"""Name and value. Names of metadata begin with a dot."""

UNLISTED = b""
LONGEST_LISTED = 40
"""Characters of a text that is listed: labels and dates are, titles are not, which would be stored twice."""

DAY_SECONDS = 86_400.0
_FARTHEST_DAY = 10**9
_LARGEST = 1 << 63

_KEY = "SELECT f.facet_key FROM facet_names n JOIN facets f ON f.name_key = n.name_key WHERE n.name = ? AND f.value = ?"


def day_of(timestamp: float) -> int:
    """The day since the epoch; far away where a time is infinite."""
    if not math.isfinite(timestamp):
        return _FARTHEST_DAY if timestamp > 0 else -_FARTHEST_DAY
    return max(-_FARTHEST_DAY, min(_FARTHEST_DAY, math.floor(timestamp / DAY_SECONDS)))


def metadata_name(key: str) -> str:
    """The name under which a key of metadata is listed."""
    return f".{key}"


def listed(value: Any) -> Value:
    """A scalar of metadata or of a filter as it is listed and compared; ``UNLISTED`` for what is not."""
    if isinstance(value, bool):
        return int(value)
    if isinstance(value, int):
        return value if -_LARGEST <= value < _LARGEST else float(value)
    if isinstance(value, float):
        return UNLISTED if math.isnan(value) else value
    if isinstance(value, str) and len(value) <= LONGEST_LISTED:
        return value
    return UNLISTED


def document_facets(source: str, timestamp: float, metadata: str | None) -> set[Facet]:
    """The facets of a document.

    Args:
        source: where it came from.
        timestamp: seconds since the epoch.
        metadata: its JSON object, None when it has none.
    """
    found = chunk_facets("document", timestamp) | {(SOURCE, source)}
    for key, value in (json.loads(metadata) if metadata else {}).items():
        name = metadata_name(key)
        if isinstance(value, list):
            found.add((name, UNLISTED))
            found.update((name, listed(one)) for one in value if one is not None)
        elif value is not None:
            found.add((name, listed(value)))
    return found


def chunk_facets(kind: HitKind, timestamp: float) -> set[Facet]:
    """What every chunk has."""
    return {(KIND, kind), (DAY, day_of(timestamp))}


def message_facets(kind: HitKind, timestamp: float, spoken: Iterable[tuple[str, str]]) -> set[Facet]:
    """The facets of a chunk of messages, given the source and the conversation of each."""
    found = chunk_facets(kind, timestamp)
    for source, conversation in spoken:
        found |= {(SOURCE, source), (CONVERSATION, conversation)}
    return found


def add_facets(connection: Connection, described: Iterable[tuple[int, int, set[Facet]]]) -> None:
    """List facets of chunks that are stored now.

    Args:
        connection: a transaction.
        described: (first chunk, how many chunks, their facets), ascending, without gaps in what is new.
    """
    pending: dict[Facet, list[list[int]]] = {}
    for first, count, found in described:
        for facet in found:
            runs = pending.setdefault(facet, [])
            if runs and sum(runs[-1]) == first:
                runs[-1][1] += count
            else:
                runs.append([first, count])
    cursor = raw_cursor(connection)
    keys = _Keys(cursor)
    rows: list[tuple[int, int, int]] = []
    for (name, value), runs in pending.items():
        key = keys.of(name, value)
        last = cursor.execute(
            "SELECT first_chunk, chunk_count FROM facet_runs WHERE facet_key = ? ORDER BY first_chunk DESC LIMIT 1",
            (key,),
        ).fetchone()
        if last is not None and sum(last) == runs[0][0]:
            runs[0] = [last[0], last[1] + runs[0][1]]
        rows += [(key, first, count) for first, count in runs]
    cursor.executemany("INSERT OR REPLACE INTO facet_runs VALUES (?, ?, ?)", rows)


def remove_facets(connection: Connection, first: int, count: int, found: Iterable[Facet]) -> None:
    """Take chunks off the lists; a value that no chunk has is not kept.

    Args:
        connection: a transaction.
        first: the first chunk.
        count: how many follow one another.
        found: facets that all of them have.
    """
    cursor = raw_cursor(connection)
    for name, value in found:
        row = cursor.execute(_KEY, (name, value)).fetchone()
        if row is None:
            continue
        (key,) = row
        for start, length in list(_runs_over(cursor, key, first, count)):
            cursor.execute("DELETE FROM facet_runs WHERE facet_key = ? AND first_chunk = ?", (key, start))
            kept = [(key, start, first - start), (key, first + count, start + length - first - count)]
            cursor.executemany("INSERT INTO facet_runs VALUES (?, ?, ?)", [piece for piece in kept if piece[2] > 0])
        if cursor.execute("SELECT 1 FROM facet_runs WHERE facet_key = ? LIMIT 1", (key,)).fetchone() is None:
            cursor.execute(
                "DELETE FROM facets WHERE value = ? AND name_key = (SELECT name_key FROM facet_names WHERE name = ?)",
                (value, name),
            )
            cursor.execute(
                "DELETE FROM facet_names WHERE name = ?1 AND NOT EXISTS"
                " (SELECT 1 FROM facets WHERE name_key = facet_names.name_key)",
                (name,),
            )


def _runs_over(cursor: Cursor, key: int, first: int, count: int) -> Iterator[tuple[int, int]]:
    """The runs that hold some of these chunks."""
    before = cursor.execute(
        "SELECT first_chunk, chunk_count FROM facet_runs WHERE facet_key = ? AND first_chunk < ?"
        " ORDER BY first_chunk DESC LIMIT 1",
        (key, first),
    ).fetchone()
    if before is not None and sum(before) > first:
        yield before
    yield from cursor.execute(
        "SELECT first_chunk, chunk_count FROM facet_runs WHERE facet_key = ? AND first_chunk >= ? AND first_chunk < ?",
        (key, first, first + count),
    ).fetchall()


class _Keys:
    """Keys of names and values, given to new ones as they come."""

    def __init__(self, cursor: Cursor) -> None:
        self._cursor = cursor
        self._names: dict[str, int] = {}
        # Every value that is listed has a run, so the highest key in use is in the last row of the runs.
        highest = cursor.execute("SELECT facet_key FROM facet_runs ORDER BY facet_key DESC LIMIT 1").fetchone()
        self._next = 1 if highest is None else int(highest[0]) + 1

    def of(self, name: str, value: Value) -> int:
        """The key of a value, listed now where it was not."""
        if name not in self._names:
            self._cursor.execute("INSERT OR IGNORE INTO facet_names (name) VALUES (?)", (name,))
            row = self._cursor.execute("SELECT name_key FROM facet_names WHERE name = ?", (name,)).fetchone()
            self._names[name] = int(row[0])
        place = (self._names[name], value)
        found = self._cursor.execute("SELECT facet_key FROM facets WHERE name_key = ? AND value = ?", place).fetchone()
        if found is not None:
            return int(found[0])
        key = self._next
        self._next += 1
        self._cursor.execute("INSERT INTO facets (name_key, value, facet_key) VALUES (?, ?, ?)", (*place, key))
        return key
