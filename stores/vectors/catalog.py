"""The truth of a vector collection: what is stored, in SQL, whichever engine keeps it."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from sqlalchemy import Connection, Row, delete, func, insert, inspect, literal_column, select, text, update

from cem_rag_app.errors import (
    DimensionError,
    MemoryCorruptError,
    MemoryExistsError,
    MemoryMissingError,
    MemoryVersionError,
)
from cem_rag_app.schema import FloatArray
from stores.catalog.chunks import Position
from stores.indexes.base import IntArray
from stores.vectors.database import VectorDatabase
from stores.vectors.filters import filter_condition
from stores.vectors.frames import fingerprint, unpack_sequence
from stores.vectors.items import COLUMNS, AddReport, Metric
from stores.vectors.tables import SCHEMA_VERSION, collection, deletions, items, metadata, vectors

NAME = "default"
AT_ONCE = 500
"""Values bound to one statement: SQLite's oldest supported builds take 999."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """An item checked and turned into columns."""

    id: str
    z: bytes
    frame: bytes | None
    fingerprint: int
    columns: Mapping[str, str | None]
    rest: str | None
    seq_len: int | None
    args_dim: int | None


@dataclass(frozen=True, slots=True)
class Named:
    """What a hit shows of an item."""

    item_key: int
    id: str
    metadata: dict[str, Any]


class VectorCatalog:
    """Items, vectors and deletions of one collection; thread-safe."""

    def __init__(self, database: VectorDatabase) -> None:
        self.database = database

    def create(self, metric: Metric) -> None:
        """Make the tables and the collection's row.

        Raises:
            MemoryExistsError: the database holds a collection already.
        """
        with self.database.write() as connection:
            if inspect(connection).has_table(collection.name) and connection.execute(select(collection.c.name)).first():
                raise MemoryExistsError(
                    f"{self.database.name} holds a vector collection already.",
                    remedy="Open it, or name another database.",
                )
            metadata.create_all(connection)
            connection.execute(
                insert(collection).values(
                    name=NAME,
                    schema_version=SCHEMA_VERSION,
                    metric=metric,
                    next_key=1,
                    next_deletion=1,
                    identity=uuid.uuid4().hex,
                )
            )

    def exists(self) -> bool:
        """Whether the database holds a collection."""
        with self.database.read() as connection:
            found = inspect(connection).has_table(collection.name)
            return found and connection.execute(select(collection.c.name)).first() is not None

    def describe(self) -> tuple[Metric, int | None]:
        """Metric and dimension; the latter is None before the first vector.

        Raises:
            MemoryMissingError: there is no collection in the database.
            MemoryVersionError: a newer release made it.
        """
        missing = MemoryMissingError(
            f"There is no vector collection in {self.database.name}.",
            remedy="Make one with `cem-rag import DIR --as hdf5`.",
        )
        with self.database.read() as connection:
            if not inspect(connection).has_table(collection.name):
                raise missing
            row = connection.execute(
                select(collection.c.schema_version, collection.c.metric, collection.c.dimension)
            ).first()
        if row is None:
            raise missing
        if row.schema_version > SCHEMA_VERSION:
            raise MemoryVersionError(
                f"{self.database.name} was made by a newer release (schema {row.schema_version}).",
                remedy="Upgrade this program.",
            )
        return ("l2" if row.metric == "l2" else "cosine"), row.dimension

    def identity(self) -> str:
        """What tells this collection from every other; one made before there was such a thing is given it now."""
        with self.database.read() as connection:
            # Every column there is: naming one that an older table lacks is an error.
            row = connection.execute(select(literal_column("*")).select_from(collection)).mappings().one()
        if row.get("identity"):
            return str(row["identity"])
        if "identity" not in row:
            with self.database.write() as connection:
                connection.execute(text("ALTER TABLE collection ADD COLUMN identity VARCHAR(32)"))
        with self.database.write() as connection:
            locked = _lock(connection)
            if not locked.identity:
                connection.execute(update(collection).values(identity=uuid.uuid4().hex))
            return str(connection.execute(select(collection.c.identity)).scalar_one())

    def fingerprint(self, key: int) -> int | None:
        """Of the vector with a key; None when it is gone."""
        with self.database.read() as connection:
            query = select(vectors.c.fingerprint).where(vectors.c.item_key == key)
            return connection.execute(query).scalar_one_or_none()

    def position(self) -> Position:
        """The last key and the last deletion handed out."""
        with self.database.read() as connection:
            row = connection.execute(select(collection.c.next_key, collection.c.next_deletion)).one()
        return Position(int(row.next_key) - 1, int(row.next_deletion) - 1)

    def count(self) -> int:
        """Items stored."""
        with self.database.read() as connection:
            return int(connection.execute(select(func.count()).select_from(items)).scalar_one())

    def add(self, prepared: Sequence[Prepared], dimension: int, *, replace: bool, by_content: bool) -> AddReport:
        """Store items in one transaction; see :meth:`stores.vectors.service.VectorCollection.add`.

        Raises:
            DimensionError: the collection's vectors have another dimension.
        """
        latest: dict[str, Prepared] = {}
        for item in prepared:
            if replace or item.id not in latest:
                latest[item.id] = item
        with self.database.write() as connection:
            state = _lock(connection)
            if state.dimension not in (None, dimension):
                raise DimensionError(
                    f"Vectors of dimension {dimension} do not fit a collection of {state.dimension}.",
                    remedy="Use the encoder that the collection was made with, or another collection.",
                )
            known = _known(connection, latest)
            fresh = [item for item in latest.values() if replace or item.id not in known]
            if by_content:
                fresh = _new_content(connection, fresh)
            replaced = [known[item.id] for item in fresh if item.id in known]
            next_deletion = _delete_keys(connection, replaced, int(state.next_deletion))
            _insert(connection, fresh, int(state.next_key))
            connection.execute(
                update(collection).values(
                    dimension=dimension, next_key=int(state.next_key) + len(fresh), next_deletion=next_deletion
                )
            )
        return AddReport(inserted=len(fresh), duplicates=len(prepared) - len(fresh))

    def delete(self, ids: Iterable[str]) -> int:
        """Remove items; returns how many there were."""
        with self.database.write() as connection:
            state = _lock(connection)
            keys = list(_known(connection, ids).values())
            if keys:
                next_deletion = _delete_keys(connection, keys, int(state.next_deletion))
                connection.execute(update(collection).values(next_deletion=next_deletion))
        return len(keys)

    def known(self, ids: Iterable[str]) -> set[str]:
        """Those of the ids that are stored."""
        with self.database.read() as connection:
            return set(_known(connection, ids))

    def get(self, item_id: str) -> tuple[Named, bytes, bytes | None] | None:
        """An item with the bytes of its ``z`` and of its sequence.

        Raises:
            MemoryCorruptError: they are not what was stored.
        """
        with self.database.read() as connection:
            row = connection.execute(
                select(items, vectors.c.z, vectors.c.frame, vectors.c.fingerprint)
                .join(vectors, vectors.c.item_key == items.c.item_key)
                .where(items.c.id == item_id)
            ).first()
        if row is None:
            return None
        _check(row, self.database.name)
        return _named(row), row.z, row.frame

    def named(self, keys: Iterable[int]) -> dict[int, Named]:
        """What hits show, by key; what is gone is left out."""
        with self.database.read() as connection:
            return {row.item_key: _named(row) for row in _chunked(connection, select(items), items.c.item_key, keys)}

    def sequences(self, keys: Iterable[int]) -> dict[int, FloatArray]:
        """Macro sequences by key; items without one are left out."""
        query = select(vectors.c.item_key, vectors.c.frame).where(vectors.c.frame.is_not(None))
        with self.database.read() as connection:
            rows = list(_chunked(connection, query, vectors.c.item_key, keys))
        return {row.item_key: unpack_sequence(row.frame) for row in rows}

    def matching(self, filters: Mapping[str, Any]) -> IntArray:
        """Keys that a filter allows, ascending."""
        query = select(items.c.item_key).where(filter_condition(filters))
        with self.database.read() as connection:
            keys = np.fromiter((row[0] for row in connection.execute(query)), dtype=np.int64)
        keys.sort()
        return keys

    def keys(self) -> IntArray:
        """Every key, ascending."""
        return self.matching({})

    def after(self, key: int, limit: int, up_to: int) -> tuple[IntArray, FloatArray]:
        """The next keys above ``key`` and their vectors (n, d).

        Raises:
            MemoryCorruptError: a vector is not what was stored; an index is never made of damaged ones.
        """
        query = (
            select(vectors)
            .where(vectors.c.item_key > key, vectors.c.item_key <= up_to)
            .order_by(vectors.c.item_key)
            .limit(limit)
        )
        with self.database.read() as connection:
            rows = connection.execute(query).all()
        for row in rows:
            _check(row, self.database.name)
        keys = np.asarray([row.item_key for row in rows], dtype=np.int64)
        return keys, _matrix([row.z for row in rows])

    def vectors_of(self, keys: Sequence[int]) -> FloatArray:
        """Vectors (n, d) of keys that exist, in the order of the keys."""
        query = select(vectors.c.item_key, vectors.c.z)
        with self.database.read() as connection:
            found = {row.item_key: row.z for row in _chunked(connection, query, vectors.c.item_key, keys)}
        return _matrix([found[key] for key in keys if key in found])

    def deleted_after(self, sequence: int, up_to: int) -> IntArray:
        """Keys deleted after a position."""
        query = select(deletions.c.item_key).where(deletions.c.sequence > sequence, deletions.c.sequence <= up_to)
        with self.database.read() as connection:
            return np.fromiter((row[0] for row in connection.execute(query)), dtype=np.int64)


def _lock(connection: Connection) -> Row[Any]:
    """The collection's row, held until the transaction ends: one writer at a time, on every engine."""
    return connection.execute(select(collection).with_for_update()).one()


def _new_content(connection: Connection, fresh: Sequence[Prepared]) -> list[Prepared]:
    """Leave out what is stored, or stands earlier in the list, under another id."""
    prints = [item.fingerprint for item in fresh]
    seen = {
        row.fingerprint for row in _chunked(connection, select(vectors.c.fingerprint), vectors.c.fingerprint, prints)
    }
    kept = []
    for item in fresh:
        if item.fingerprint not in seen:
            seen.add(item.fingerprint)
            kept.append(item)
    return kept


def _insert(connection: Connection, fresh: Sequence[Prepared], first_key: int) -> None:
    if not fresh:
        return
    connection.execute(
        insert(items),
        [
            {
                "id": item.id,
                "item_key": key,
                "file_path": item.columns["file_path"] or "",
                "subset": item.columns["subset"],
                "label": item.columns["label"],
                "source": item.columns["source"],
                "seq_len": item.seq_len,
                "args_dim": item.args_dim,
                "metadata": item.rest,
            }
            for key, item in enumerate(fresh, first_key)
        ],
    )
    connection.execute(
        insert(vectors),
        [
            {"item_key": key, "z": item.z, "frame": item.frame, "fingerprint": item.fingerprint}
            for key, item in enumerate(fresh, first_key)
        ],
    )


def _delete_keys(connection: Connection, keys: Sequence[int], next_deletion: int) -> int:
    """Remove rows and log them; returns the next number of the log."""
    for start in range(0, len(keys), AT_ONCE):
        some = keys[start : start + AT_ONCE]
        connection.execute(delete(items).where(items.c.item_key.in_(some)))
        connection.execute(delete(vectors).where(vectors.c.item_key.in_(some)))
    if keys:
        connection.execute(
            insert(deletions), [{"sequence": number, "item_key": key} for number, key in enumerate(keys, next_deletion)]
        )
    return next_deletion + len(keys)


def _chunked(connection: Connection, query: Any, column: Any, values: Iterable[Any]) -> Iterator[Row[Any]]:
    listed = list(values)
    for start in range(0, len(listed), AT_ONCE):
        yield from connection.execute(query.where(column.in_(listed[start : start + AT_ONCE])))


def _known(connection: Connection, ids: Iterable[str]) -> dict[str, int]:
    """Keys of the ids that are stored."""
    query = select(items.c.id, items.c.item_key)
    return {row.id: row.item_key for row in _chunked(connection, query, items.c.id, ids)}


def _named(row: Row[Any]) -> Named:
    shown = {name: value for name in COLUMNS if (value := getattr(row, name)) is not None}
    if not row.file_path:  # the column takes no NULL: "" is an item without a file
        del shown["file_path"]
    shown.update(json.loads(row.metadata) if row.metadata else {})
    return Named(row.item_key, row.id, shown)


def _check(row: Row[Any], where: str) -> None:
    if fingerprint(row.z, row.frame) != row.fingerprint:
        raise MemoryCorruptError(
            f"The vector with the key {row.item_key} in {where} is damaged.",
            remedy="Restore the database from a copy, or delete the item and import its file again.",
        )


def _matrix(rows: Sequence[bytes]) -> FloatArray:
    if not rows:
        return np.empty((0, 0), dtype=np.float32)
    return np.frombuffer(b"".join(rows), dtype="<f4").reshape(len(rows), -1).astype(np.float32)
