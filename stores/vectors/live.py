"""The index of an open collection: follows the catalog, whoever wrote to it, and is rebuilt when it cannot."""

from __future__ import annotations

import logging
import math
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cem_rag_app.errors import DimensionError, MemoryCorruptError
from cem_rag_app.schema import FloatArray
from stores.catalog.chunks import Position
from stores.indexes.base import FLAT_UP_TO, IndexParameters, IntArray, MetricName
from stores.indexes.faiss_index import TRAIN_FROM, FaissIndex
from stores.indexes.files import SavedIndex, load_index, save_index
from stores.vectors.catalog import VectorCatalog

_NPROBE = 64
_PIECE = 4_096
_MASKS_KEPT = 16
_TRAIN_AT_MOST = 160_000
_log = logging.getLogger(__name__)


def parameters_for(count: int) -> IndexParameters:
    """How so many vectors are searched unless it is told: exactly while that is quick, then by cells.

    Cells found as much as a graph in less time (docs/vector-ablation.md), and are made in a fraction of it.
    """
    if count <= FLAT_UP_TO:
        return IndexParameters("flat")
    return IndexParameters("ivf", nlist=int(4 * math.sqrt(count)), nprobe=_NPROBE)


class LiveVectors:
    """Vectors at positions in the order of their keys; thread-safe.

    Keys only grow, so what is missing lies above the last one, and a key is found by bisection. Deleted keys stay
    as dead positions until the index is built anew.
    """

    def __init__(
        self, folder: Path, catalog: VectorCatalog, metric: MetricName, wanted: IndexParameters | None
    ) -> None:
        self._folder = folder
        self._catalog = catalog
        self._metric = metric
        self._encoder = f"z:{catalog.identity()}"
        self._wanted = wanted
        self._lock = threading.RLock()
        self._state: SavedIndex | None = None
        self._looked_on_disk = False
        self._masks: deque[tuple[IntArray, NDArray[np.bool_]]] = deque(maxlen=_MASKS_KEPT)
        self._masks_of: SavedIndex | None = None
        self.unsaved = 0
        """Changes that the index on disk does not have."""

    def __len__(self) -> int:
        """Live vectors."""
        with self._lock:
            return 0 if self._state is None else int(self._state.live.sum())

    @property
    def parameters(self) -> IndexParameters | None:
        """How vectors are searched; None while there are none."""
        with self._lock:
            return None if self._state is None else self._state.index.parameters

    def follow(self) -> Position:
        """Take in what changed; cheap when nothing did. Returns the position now covered."""
        with self._lock:
            now = self._catalog.position()
            state = self._usable_state(now)
            if state is None or state.covers == now:
                return now
            deleted = self._catalog.deleted_after(state.covers.deletion, now.deletion)
            live = state.live & ~np.isin(state.chunk_ids, deleted) if len(deleted) else state.live
            state = replace(state, live=live, covers=Position(state.covers.chunk_id, now.deletion))
            self._state = state
            self.unsaved += len(deleted)
            while state.covers.chunk_id < now.chunk_id:
                # Kept piece by piece: vectors are added in place, and must not be added again when a later piece fails.
                state = self._state = self._extended(state, now)
            if self._outgrown(state):
                self.build()
            return now

    def search(self, query: FloatArray, k: int, allowed: IntArray | None = None) -> tuple[IntArray, FloatArray]:
        """Keys and similarities nearest to a query, best first, of what :meth:`follow` has taken in.

        Args:
            query: (d,) float32; unit length under ``cosine``.
            k: how many.
            allowed: ascending keys that may be returned; None allows all.

        Raises:
            DimensionError: the query has another dimension.
        """
        with self._lock:
            state = self._state
            if state is None or not len(state.chunk_ids):
                return np.empty(0, dtype=np.int64), np.empty(0, dtype=np.float32)
            if query.shape != (state.index.dimension,):
                raise DimensionError(
                    f"A query vector of shape {query.shape} does not fit a collection of {state.index.dimension}.",
                    remedy="Use the encoder that the collection was made with.",
                )
            mask = None if state.live.all() else state.live
            if allowed is not None:
                mask = self._mask(state, allowed)
            positions, similarities = state.index.search(query, k, mask)
            return state.chunk_ids[positions], similarities

    def _mask(self, state: SavedIndex, allowed: IntArray) -> NDArray[np.bool_]:
        """Positions of allowed keys; kept for the next question with the same array: finding them outlasts a search."""
        if self._masks_of is not state:
            self._masks.clear()
            self._masks_of = state
        for keys, mask in self._masks:
            if keys is allowed:
                return mask
        mask = np.zeros(len(state.chunk_ids), dtype=bool)
        places = np.searchsorted(state.chunk_ids, allowed)
        inside = places < len(state.chunk_ids)
        places, wanted = places[inside], allowed[inside]
        mask[places[state.chunk_ids[places] == wanted]] = True
        mask &= state.live
        self._masks.append((allowed, mask))
        return mask

    def build(self, progress: Callable[[int, int], None] | None = None) -> None:
        """Write the index anew from the catalog, in the kind that its size asks for, without dead positions."""
        with self._lock:
            now = self._catalog.position()
            keys = self._catalog.keys()
            keys = keys[keys <= now.chunk_id]
            _, dimension = self._catalog.describe()
            if dimension is None:
                return
            parameters = self._parameters(len(keys))
            index = FaissIndex(dimension, parameters, self._training(keys, parameters))
            state = SavedIndex(
                index,
                np.empty(0, dtype=np.int64),
                np.empty(0, dtype=bool),
                Position(0, now.deletion),
                self._encoder,
                (),
                0,
            )
            while state.covers.chunk_id < now.chunk_id:
                state = self._extended(state, now)
                if progress is not None:
                    progress(len(state.chunk_ids), len(keys))
            self._state = state
            self.unsaved += len(keys)

    def save(self) -> None:
        """Replace the index on disk.

        Raises:
            DiskFullError: no space is left.
        """
        with self._lock:
            if self._state is not None and self.unsaved and _agrees(self._state):
                last = self._state.chunk_ids[-1:].tolist()
                save_index(self._folder, replace(self._state, probe=self._probe(last)))
                self.unsaved = 0

    def _extended(self, state: SavedIndex, now: Position) -> SavedIndex:
        keys, rows = self._catalog.after(state.covers.chunk_id, _PIECE, now.chunk_id)
        if not len(keys):
            return replace(state, covers=Position(now.chunk_id, state.covers.deletion))
        state.index.add(rows)
        self.unsaved += len(keys)
        return replace(
            state,
            chunk_ids=np.concatenate((state.chunk_ids, keys)),
            live=np.concatenate((state.live, np.ones(len(keys), dtype=bool))),
            covers=Position(int(keys[-1]), state.covers.deletion),
        )

    def _usable_state(self, now: Position) -> SavedIndex | None:
        """What is in memory, else on disk, else built anew; None while the collection never held a vector."""
        if self._state is not None and not _agrees(self._state):
            _log.warning("An addition to the index of %s was cut short: the index is read or made again.", self._folder)
            self._state, self._looked_on_disk = None, False
        if self._state is None and not self._looked_on_disk:
            self._state = self._load(now)
            self._looked_on_disk = True
        if self._state is None and now.chunk_id:
            self.build()
        return self._state

    def _load(self, now: Position) -> SavedIndex | None:
        try:
            saved = load_index(self._folder)
        except MemoryCorruptError as error:
            _log.warning("%s", error)
            return None
        if saved is None:
            return None
        ahead = saved.covers.chunk_id > now.chunk_id or saved.covers.deletion > now.deletion
        parameters = saved.index.parameters
        _, dimension = self._catalog.describe()
        probe = self._probe(saved.chunk_ids[-1:].tolist())
        other = saved.encoder != self._encoder or saved.index.dimension != dimension
        # Of one collection, yet before a copy of its catalog was put back: the last key may mean another vector now.
        other = other or bool(probe and saved.probe and probe != saved.probe)
        if ahead or other or parameters.metric != self._metric:
            _log.info("The index in %s is of another collection: rebuilt.", self._folder)
            return None
        return saved

    def _probe(self, keys: list[int]) -> tuple[float, ...]:
        """The fingerprint of the last key, in halves that a float holds; nothing when it is gone."""
        found = self._catalog.fingerprint(keys[0]) if keys else None
        return () if found is None else (float(found >> 32), float(found & 0xFFFFFFFF))

    def _outgrown(self, state: SavedIndex) -> bool:
        """Whether the size asks for cells, or twice as many, or more than a third of the positions are dead."""
        live = int(state.live.sum())
        wanted, now = self._parameters(live), state.index.parameters
        grown = wanted.kind != "flat" and (now.kind == "flat" or wanted.nlist > 2 * now.nlist > 0)
        return grown or (len(state.live) - live) * 3 > len(state.live)

    def _parameters(self, count: int) -> IndexParameters:
        if self._wanted is not None:
            learned = self._wanted.kind not in ("flat", "hnsw")
            chosen = IndexParameters("flat") if learned and count < TRAIN_FROM else self._wanted
        else:
            chosen = parameters_for(count)
        return replace(chosen, metric=self._metric)

    def _training(self, keys: IntArray, parameters: IndexParameters) -> FloatArray | None:
        if parameters.kind in ("flat", "hnsw"):
            return None
        some = keys
        if len(keys) > _TRAIN_AT_MOST:
            some = np.sort(np.random.default_rng(0).choice(keys, _TRAIN_AT_MOST, replace=False))
        return self._catalog.vectors_of(some.tolist())


def _agrees(state: SavedIndex) -> bool:
    """Whether every vector has its key: not so when an addition ended halfway."""
    return len(state.index) == len(state.chunk_ids)
