"""A collection of vectors: add, delete, get, and search in two stages. The HTTP service stands on this."""

from __future__ import annotations

import json
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from sqlalchemy import URL, make_url

from cem_rag_app.errors import DimensionError, FilterError, MemoryCorruptError, MemoryExistsError, MemoryMissingError
from cem_rag_app.schema import FloatArray
from stores.catalog.chunks import Position
from stores.files import folder_bytes, replace_file
from stores.indexes.base import IndexParameters, IntArray
from stores.vectors.catalog import Prepared, VectorCatalog
from stores.vectors.database import VectorDatabase
from stores.vectors.frames import unpack_sequence
from stores.vectors.items import AddReport, Metric, SearchRequest, StoredVector, VectorHit, VectorItem
from stores.vectors.live import LiveVectors
from stores.vectors.preparing import checked_sequence, prepare, unit_or_raw
from stores.vectors.ranking import Candidates, rank

CONFIG_FILE = "collection.json"
CATALOG_FILE = "vectors.sqlite"
INDEX_FOLDER = "index"
_FILTERS_KEPT = 64


class VectorCollection:
    """One collection in a folder; thread-safe. Its catalog is SQLite in that folder, or any database by URL.

    A write is acknowledged when its transaction has been committed. The index is derived from the catalog, follows
    other processes' writes at the next search, and is saved by :meth:`save` and :meth:`close`.
    """

    def __init__(self, folder: Path, catalog: VectorCatalog, wanted: IndexParameters | None = None) -> None:
        self.folder = folder
        self._catalog = catalog
        self.metric, _ = catalog.describe()
        self._index = LiveVectors(folder / INDEX_FOLDER, catalog, self.metric, wanted)
        self._filters: OrderedDict[str, IntArray] = OrderedDict()
        self._filters_position = Position()
        self._lock = threading.Lock()

    @classmethod
    def create(
        cls,
        folder: Path,
        catalog_url: str | None = None,
        *,
        metric: Metric = "cosine",
        index: IndexParameters | None = None,
    ) -> VectorCollection:
        """Make an empty collection. Its dimension is that of the first vector.

        Args:
            folder: where the index lies, and the catalog unless a URL names another.
            catalog_url: SQLAlchemy URL; None is a SQLite file in the folder.
            metric: ``cosine`` keeps vectors of unit length; ``l2`` keeps them as they are.
            index: how vectors are searched; None goes by size.

        Raises:
            MemoryExistsError: the folder or the database holds a collection already. A database in the folder itself
                that no ``collection.json`` tells of is what a making that was cut short left: it is taken.
        """
        if cls.exists(folder):
            raise MemoryExistsError(f"{folder} holds a vector collection already.", remedy="Open it.")
        folder.mkdir(parents=True, exist_ok=True)
        catalog = VectorCatalog(VectorDatabase(catalog_url or _own_url(folder)))
        try:
            if catalog_url is not None or not catalog.exists() or catalog.describe()[0] != metric:
                catalog.create(metric)
            _write_config(folder, catalog_url, index)
            return cls(folder, catalog, index)
        except BaseException:
            catalog.database.close()
            raise

    @classmethod
    def open_or_create(cls, folder: Path, catalog_url: str | None = None) -> VectorCollection:
        """Open the collection of a folder, else that of the database, else make an empty one.

        So a second machine, or a folder that was lost, takes part in what a database holds; the index is made again.

        Raises:
            MemoryVersionError: a newer release made it.
        """
        if cls.exists(folder):
            return cls.open(folder, catalog_url)
        if catalog_url is not None:
            database = VectorDatabase(catalog_url)
            try:
                found = VectorCatalog(database).exists()
            finally:
                database.close()
            if found:
                folder.mkdir(parents=True, exist_ok=True)
                _write_config(folder, catalog_url, None)
                return cls.open(folder, catalog_url)
        return cls.create(folder, catalog_url)

    @classmethod
    def open(cls, folder: Path, catalog_url: str | None = None) -> VectorCollection:
        """Open a collection.

        Args:
            folder: of the collection.
            catalog_url: where its database is now, with the password; None is where it was when it was made.

        Raises:
            MemoryMissingError: there is none.
            MemoryVersionError: a newer release made it.
            MemoryCorruptError: ``collection.json`` is damaged.
        """
        if not cls.exists(folder):
            raise MemoryMissingError(
                f"There is no vector collection in {folder}.", remedy="Make one with `cem-rag import DIR --as hdf5`."
            )
        place, parameters = _read_config(folder)
        catalog = VectorCatalog(VectorDatabase(catalog_url or place or _own_url(folder)))
        try:
            return cls(folder, catalog, parameters)
        except BaseException:
            catalog.database.close()
            raise

    @staticmethod
    def exists(folder: Path) -> bool:
        """Whether a folder holds a collection."""
        return (folder / CONFIG_FILE).is_file()

    def add(self, items: Sequence[VectorItem], *, replace: bool = False, by_content: bool = False) -> AddReport:
        """Store items in one transaction: all of them or none.

        Args:
            items: what to store. An id that is there already counts as a duplicate and is left as it is.
            replace: an id that is there already takes the new content instead.
            by_content: vectors and sequences that are stored under another id count as duplicates too.

        Raises:
            InputError: an item cannot be stored; the message names it.
            DimensionError: vectors of another dimension.
        """
        return self.add_checked([self.checked(item) for item in items], replace=replace, by_content=by_content)

    def checked(self, item: VectorItem) -> Prepared:
        """An item as it will be stored.

        Raises:
            InputError: it cannot be stored.
        """
        return prepare(item, self.metric)

    def add_checked(self, items: Sequence[Prepared], *, replace: bool = False, by_content: bool = False) -> AddReport:
        """Store items that :meth:`checked` has looked at; see :meth:`add`."""
        if not items:
            return AddReport()
        widths = sorted({len(item.z) // 4 for item in items})
        if len(widths) > 1:
            raise DimensionError(f"The vectors have different dimensions: {widths}.", remedy="Give vectors of one.")
        return self._catalog.add(items, widths[0], replace=replace, by_content=by_content)

    def known(self, ids: Iterable[str]) -> set[str]:
        """Those of the ids that are stored."""
        return self._catalog.known(ids)

    @property
    def dimension(self) -> int | None:
        """Of the vectors; None before the first one."""
        return self._catalog.describe()[1]

    def delete(self, item_id: str) -> bool:
        """Remove an item; returns whether there was one."""
        return self._catalog.delete([item_id]) == 1

    def get(self, item_id: str) -> StoredVector | None:
        """An item as it is stored, or None."""
        found = self._catalog.get(item_id)
        if found is None:
            return None
        named, z, frame = found
        vector = np.frombuffer(z, dtype="<f4").astype(np.float32)
        return StoredVector(named.id, vector, named.metadata, None if frame is None else unpack_sequence(frame))

    def search(self, request: SearchRequest) -> list[VectorHit]:
        """Answer one question; see :meth:`search_many`."""
        return self.search_many([request])[0]

    def search_many(self, requests: Sequence[SearchRequest]) -> list[list[VectorHit]]:
        """Answer questions together: the catalog is asked once for all of them.

        Raises:
            InputError: a vector that cannot be compared.
            DimensionError: a vector of another dimension.
            FilterError: a filter or a metric that cannot be answered.
        """
        queries = [self._query(request) for request in requests]
        position = self._index.follow()
        found = []
        for request, query in zip(requests, queries, strict=True):
            allowed = self._allowed(request.filters, position) if request.filters else None
            wanted = max(request.k, request.stage_n) if request.vec is not None else request.k
            found.append(self._index.search(query, wanted, allowed))
        two_stage = [
            (request, keys[: request.stage_n])
            for request, (keys, _) in zip(requests, found, strict=True)
            if request.vec is not None
        ]
        sequences = self._catalog.sequences({key for _, keys in two_stage for key in keys.tolist()})
        ranked = [
            rank(Candidates(keys, similarities, self.metric), request, sequences)
            for request, (keys, similarities) in zip(requests, found, strict=True)
        ]
        named = self._catalog.named({hit.key for hits in ranked for hit in hits})
        return [
            [
                VectorHit(named[hit.key].id, hit.score, hit.sim_z, hit.sim_orig, named[hit.key].metadata)
                for hit in hits
                if hit.key in named  # deleted since, by another process
            ]
            for hits in ranked
        ]

    def build(self, progress: Callable[[int, int], None] | None = None) -> None:
        """Write the index anew, in the kind that the size asks for, and save it."""
        self._index.build(progress)
        self._index.save()

    def save(self) -> None:
        """Save the index, so that the next open need not make it again."""
        self._index.follow()
        self._index.save()

    def position(self) -> Position:
        """What was last written and last deleted; every write changes it, whoever made it."""
        return self._catalog.position()

    def stats(self) -> dict[str, Any]:
        """Sizes and parameters: ``count``, ``dimension``, ``metric``, ``index``, ``bytes``, ``catalog``."""
        self._index.follow()
        parameters = self._index.parameters
        own = sum(path.stat().st_size for path in self.folder.glob(f"{CATALOG_FILE}*"))
        return {
            "count": self._catalog.count(),
            "dimension": self.dimension,
            "metric": self.metric,
            "index": None if parameters is None else parameters.to_json(),
            "bytes": {"catalog": own, "index": folder_bytes(self.folder / INDEX_FOLDER)},
            "catalog": self._catalog.database.name,
        }

    def close(self) -> None:
        """Save the index where it changed, and give back all connections."""
        self._index.save()
        self._catalog.database.close()

    def _query(self, request: SearchRequest) -> FloatArray:
        if request.vec is not None:
            checked_sequence(request.vec)
        if self.metric == "l2" and request.metric != "l2":
            raise FilterError(
                "This collection keeps vectors as they are, and compares them by their distance.",
                remedy='Ask with "metric": "l2", or make a collection of metric cosine.',
            )
        return unit_or_raw(request.vector, self.metric)

    def _allowed(self, filters: Mapping[str, Any], position: Position) -> IntArray:
        """Keys that a filter allows, kept until something is written."""
        name = json.dumps(filters, sort_keys=True, default=_plain)
        with self._lock:
            if self._filters_position != position:
                self._filters.clear()
                self._filters_position = position
            if name in self._filters:
                self._filters.move_to_end(name)
                return self._filters[name]
        keys = self._catalog.matching(filters)
        with self._lock:
            if self._filters_position == position:
                self._filters[name] = keys
                if len(self._filters) > _FILTERS_KEPT:
                    self._filters.popitem(last=False)
        return keys


def _write_config(folder: Path, catalog_url: str | None, index: IndexParameters | None) -> None:
    # The password stays with whoever gave it.
    shown = None if catalog_url is None else make_url(catalog_url).set(password=None).render_as_string()
    config = {"format": 1, "catalog": shown, "index": None if index is None else index.to_json()}
    encoded = json.dumps(config, indent=1).encode()
    replace_file(folder / CONFIG_FILE, lambda file: file.write(encoded))


def _read_config(folder: Path) -> tuple[str | None, IndexParameters | None]:
    """URL of the catalog, None for the folder's own, and how vectors are searched."""
    try:
        config = json.loads((folder / CONFIG_FILE).read_bytes())
        place, index = config["catalog"], config["index"]
        return None if place is None else str(place), None if index is None else IndexParameters(**index)
    except (ValueError, KeyError, TypeError) as error:
        raise MemoryCorruptError(
            f"{folder / CONFIG_FILE} is damaged ({error!r}).",
            remedy="Nothing is lost, the vectors are in the database: remove that file and start again.",
        ) from error


def _own_url(folder: Path) -> str:
    return URL.create("sqlite", database=str(folder / CATALOG_FILE)).render_as_string()


def _plain(value: Any) -> Any:
    if isinstance(value, (set, frozenset)):
        return sorted(value, key=repr)
    raise FilterError(f"A filter holds a value of type {type(value).__name__}.", remedy="Use JSON values.")
