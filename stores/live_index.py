"""The vector index of an open memory: follows the catalog, whoever wrote to it, and is rebuilt when it cannot."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cem_rag_app.cem.pair import Encoders
from cem_rag_app.errors import DimensionError, MemoryCorruptError
from cem_rag_app.files import sync_folder
from cem_rag_app.schema import FloatArray
from cem_rag_app.zpkg.dictionary import Dictionary
from stores.catalog.chunks import Position, count_chunks, deleted_after, locations_after, position
from stores.catalog.database import Database
from stores.catalog.notes import get_value
from stores.frames import FrameStore, StoredFrame
from stores.indexes.base import IndexParameters, IntArray, choose_kind
from stores.indexes.faiss_index import TRAIN_FROM, FaissIndex
from stores.indexes.files import SavedIndex, load_index, save_index
from stores.profile import Progress

GENERATION = "generation"
"""State key: how often frames were compressed anew, and so how often vectors changed."""

NO_DICTIONARY = Dictionary(b"")
_PROBE_FRAME = bytes.fromhex(
    "00008902005468652077696e67206f66206120706c616e65206361727269657320612073686f636b20776176652e20"
    "e4bb8ae5a4a9e68891e4bbace58ebbe59083e781abe99485efbc8ce5a5bde4b88de5a5bdefbc9f"
)
"""A frame without dictionary: one English sentence and one Chinese."""

_PROBE_LENGTH = 16
_PROBE_TOLERANCE = 1e-4
_BATCH = 1024
_PIECE = 1024
_log = logging.getLogger(__name__)


class LiveIndex:
    """Vectors of the chunks in the catalog up to a position; thread-safe.

    Chunk ids only grow, and positions in the index are in their order, so new chunks are those above the last id,
    and a chunk is found by bisection. Deleted chunks stay as dead positions until the index is written anew.
    """

    def __init__(
        self, folder: Path, database: Database, frames: FrameStore, encoders: Callable[[], Encoders], wanted: str
    ) -> None:
        self._folder = folder
        self._database = database
        self._frames = frames
        self._encoders = encoders
        self._wanted = wanted
        self._lock = threading.RLock()
        self._state: SavedIndex | None = None
        self._stale = False
        self.unsaved = 0
        """Chunks that the index on disk does not cover as this one does."""

    def __len__(self) -> int:
        """Live vectors."""
        with self._lock:
            return 0 if self._state is None else int(self._state.live.sum())

    @property
    def dead(self) -> int:
        """Positions whose chunk was deleted."""
        with self._lock:
            return 0 if self._state is None else int((~self._state.live).sum())

    @property
    def kind(self) -> str:
        """How vectors are searched; empty before the first use."""
        with self._lock:
            return "" if self._state is None else self._state.index.parameters.kind

    def sync(
        self, *, limit: int = 0, batch_size: int = _BATCH, save_every: int = 0, progress: Progress | None = None
    ) -> int:
        """Follow the catalog; cheap when nothing happened. Returns how many chunks were embedded.

        Args:
            limit: chunks at most; 0 is all.
            batch_size: chunks given to the encoder at once.
            save_every: chunks between two saves, so that a killed build resumes; 0 does not save.
            progress: called now and then with the stage ``embed``.

        Raises:
            MemoryCorruptError: a frame is damaged.
        """
        with self._lock:
            with self._database.read() as connection:
                now = position(connection)
                generation = int(get_value(connection, GENERATION))
                state = self._usable_state(generation, now)
                if state.covers == now:
                    return 0
                missing = count_chunks(connection, after=state.covers.chunk_id)
                deleted = deleted_after(connection, state.covers.deletion)
            self._forget(deleted, now.deletion)
            total = min(limit, missing) if limit else missing
            done = saved = 0
            while done < total:
                embedded = self._embed_next(min(_PIECE, total - done), now.chunk_id, batch_size)
                if not embedded:
                    break
                done += embedded
                if progress is not None:
                    progress("embed", done, total)
                if save_every and done - saved >= save_every:
                    self.save()
                    saved = done
            if done >= missing:
                self._cover(now.chunk_id)
            self.unsaved += done - saved + len(deleted)
            return done

    def search(
        self, query: FloatArray, k: int, allowed_chunks: Iterable[int] | None = None
    ) -> tuple[list[int], FloatArray]:
        """Chunk ids and similarities nearest to a query vector, best first.

        Args:
            query: (d,) float32, unit.
            k: how many.
            allowed_chunks: only these; None allows all.

        Raises:
            DimensionError: the query is of another space.
        """
        with self._lock:
            state = self._state
            if state is None or not len(state.chunk_ids):
                return [], np.empty(0, dtype=np.float32)
            if query.shape != (state.index.dimension,):
                raise DimensionError(
                    f"A query vector of shape {query.shape} does not fit an index of {state.index.dimension}.",
                    remedy="Use the encoder that the memory was made with.",
                )
            mask: NDArray[np.bool_] | None = None if state.live.all() else state.live
            if allowed_chunks is not None:
                wanted = np.fromiter(allowed_chunks, dtype=np.int64)
                mask = np.isin(state.chunk_ids, wanted) & state.live
            positions, similarities = state.index.search(query, k, mask)
            return state.chunk_ids[positions].tolist(), similarities

    def vectors(self, chunk_ids: Sequence[int]) -> dict[int, FloatArray]:
        """Vectors by chunk id; a chunk that the index does not hold is left out."""
        with self._lock:
            state = self._state
            if state is None or not chunk_ids or not len(state.chunk_ids):
                return {}
            wanted = np.asarray(chunk_ids, dtype=np.int64)
            positions = np.searchsorted(state.chunk_ids, wanted)
            inside = positions < len(state.chunk_ids)
            held = np.zeros(len(wanted), dtype=bool)
            held[inside] = state.chunk_ids[positions[inside]] == wanted[inside]
            rows = state.index.vectors(positions[held])
            return dict(zip(wanted[held].tolist(), rows, strict=True))

    def reshape(self, kind: str, *, force: bool = False) -> bool:
        """Write the index anew without dead positions, in the kind wanted; returns whether anything changed.

        Args:
            kind: ``auto`` or a kind.
            force: also where the kind is right and few positions are dead.
        """
        with self._lock:
            state = self._state
            if state is None:
                return False
            parameters = _parameters(kind, int(state.live.sum()))
            same_kind = parameters.kind == state.index.parameters.kind
            many_dead = (~state.live).sum() * 5 > len(state.live)
            if same_kind and not many_dead and not force:
                return False
            if state.index.parameters.kind in ("flat", "hnsw", "ivf"):
                vectors = state.index.vectors(np.flatnonzero(state.live))
            else:  # codes are approximate: go back to the frames
                vectors = self._encode_all(state.chunk_ids[state.live])
            index = FaissIndex(state.index.dimension, parameters, vectors)
            index.add(vectors)
            kept = state.chunk_ids[state.live]
            self._state = replace(state, index=index, chunk_ids=kept, live=np.ones(len(kept), dtype=bool))
            self.unsaved += len(kept)
            return True

    def save(self) -> None:
        """Replace the index on disk.

        Raises:
            DiskFullError: no space is left.
        """
        with self._lock:
            if self._state is not None and not self._stale:
                save_index(self._folder, self._state)
                self.unsaved = 0

    @property
    def saved(self) -> bool:
        """Whether there is an index on disk, sound or not."""
        return any(self._folder.iterdir()) if self._folder.is_dir() else False

    def drop(self) -> None:
        """Never save what is held in memory; the next sync reads the disk again. Nobody who searches is disturbed."""
        with self._lock:
            self._stale = True
            self.unsaved = 0

    def remove(self) -> None:
        """Take the index off the disk and out of memory; the next use makes it again from the frames."""
        with self._lock:
            self.drop()
            for file in self._folder.iterdir():
                file.unlink()
            sync_folder(self._folder)

    def _usable_state(self, generation: int, now: Position) -> SavedIndex:
        """What is in memory, else on disk, else an empty index; whatever belongs to other vectors is dropped."""
        encoder = self._encoders().document
        state = self._state
        if state is None or self._stale or state.generation != generation:
            probe = tuple(encoder.encode([_PROBE_FRAME], NO_DICTIONARY)[0, :_PROBE_LENGTH].tolist())
            state = self._load(encoder.name, probe, generation, now)
        if state is None:
            state = SavedIndex(
                FaissIndex(encoder.dimension, IndexParameters("flat")),
                np.empty(0, dtype=np.int64),
                np.empty(0, dtype=bool),
                Position(),
                encoder.name,
                probe,
                generation,
            )
        self._state = state
        self._stale = False
        return state

    def _load(self, encoder: str, probe: tuple[float, ...], generation: int, now: Position) -> SavedIndex | None:
        try:
            saved = load_index(self._folder)
        except MemoryCorruptError as error:
            _log.warning("%s", error)
            return None
        if saved is None:
            return None
        ahead = saved.covers.chunk_id > now.chunk_id or saved.covers.deletion > now.deletion
        same_student = (
            saved.encoder == encoder
            and len(saved.probe) == len(probe)
            and np.allclose(saved.probe, probe, atol=_PROBE_TOLERANCE)
        )
        if not same_student or saved.generation != generation or ahead:
            _log.info("The index in %s is of another encoder or another state of the frames: rebuilt.", self._folder)
            return None
        return saved

    def _forget(self, deleted: Sequence[int], sequence: int) -> None:
        state = self._state
        assert state is not None
        live = state.live & ~np.isin(state.chunk_ids, np.asarray(deleted, dtype=np.int64)) if deleted else state.live
        self._state = replace(state, live=live, covers=Position(state.covers.chunk_id, sequence))

    def _embed_next(self, count: int, up_to: int, batch_size: int) -> int:
        """Embed the next chunks after the ones covered; returns how many there were."""
        state = self._state
        assert state is not None
        with self._database.read() as connection:
            places = locations_after(connection, state.covers.chunk_id, count)
        chunk_ids = [place.chunk_id for place in places if place.chunk_id <= up_to]
        if not chunk_ids:
            return 0
        stored = self._frames.frames(chunk_ids)  # one deleted since is left out here and logged for the next sync
        kept = [chunk_id for chunk_id in chunk_ids if chunk_id in stored]
        if kept:
            state.index.add(self._encode([stored[chunk_id] for chunk_id in kept], batch_size))
        self._state = replace(
            state,
            chunk_ids=np.concatenate((state.chunk_ids, np.asarray(kept, dtype=np.int64))),
            live=np.concatenate((state.live, np.ones(len(kept), dtype=bool))),
            covers=Position(chunk_ids[-1], state.covers.deletion),
        )
        return len(chunk_ids)

    def _cover(self, chunk_id: int) -> None:
        state = self._state
        assert state is not None
        if state.covers.chunk_id < chunk_id:
            self._state = replace(state, covers=Position(chunk_id, state.covers.deletion))

    def _encode(self, stored: Sequence[StoredFrame], batch_size: int = _BATCH) -> FloatArray:
        """Vectors (n, d) of frames, which may need different dictionaries."""
        encoder = self._encoders().document
        out = np.empty((len(stored), encoder.dimension), dtype=np.float32)
        for key in dict.fromkeys(frame.dictionary_key for frame in stored):
            rows = [row for row, frame in enumerate(stored) if frame.dictionary_key == key]
            dictionary = self._frames.dictionary(key)
            for start in range(0, len(rows), batch_size):
                some = rows[start : start + batch_size]
                out[some] = encoder.encode([stored[row].frame for row in some], dictionary)
        return out

    def _encode_all(self, chunk_ids: IntArray) -> FloatArray:
        out = np.empty((len(chunk_ids), self._encoders().document.dimension), dtype=np.float32)
        for start in range(0, len(chunk_ids), _PIECE):
            some = chunk_ids[start : start + _PIECE].tolist()
            stored = self._frames.frames(some)
            out[start : start + _PIECE] = self._encode([stored[chunk_id] for chunk_id in some])
        return out


def _parameters(wanted: str, count: int) -> IndexParameters:
    kind = choose_kind(wanted, count)
    # Cells and codes are learned; a memory too small to learn from is searched exactly.
    return IndexParameters("flat" if kind not in ("flat", "hnsw") and count < TRAIN_FROM else kind)
