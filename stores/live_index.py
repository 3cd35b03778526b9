"""The vector index of an open memory: follows the catalog, whoever wrote to it, and is rebuilt when it cannot."""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cem_rag_app.errors import DimensionError, MemoryCorruptError
from cem_rag_app.files import sync_folder
from cem_rag_app.schema import FloatArray
from cem_rag_app.settings import CodeSettings
from stores.catalog.chunks import Position, count_chunks, deleted_after, position
from stores.catalog.database import Database
from stores.catalog.notes import get_value
from stores.embedding import BATCH, Embedder, ids_after
from stores.indexes.base import IndexParameters, IntArray
from stores.indexes.codes.index import CodeIndex
from stores.indexes.faiss_index import FaissIndex
from stores.indexes.files import SavedIndex, load_settled_index, save_index
from stores.indexes.kinds import AnyIndex
from stores.profile import Progress
from stores.shaping import SAMPLE, fits, keeps_vectors, learned_from, made_anew, parameters_for, positions_of

GENERATION = "generation"
"""State key: how often frames were compressed anew, and so how often vectors changed."""

QUICK_REFINE, OTHER_REFINE = 24, 16
"""Candidates refined in a search: with an encoder that takes some ten microseconds a frame, and with any other."""
_PROBE_TOLERANCE = 1e-4
_PIECE = 1024
_SAVE_SHARE = 8
_log = logging.getLogger(__name__)


class LiveIndex:
    """Vectors of the chunks in the catalog up to a position; thread-safe.

    Chunk ids only grow, and positions in the index are in their order, so new chunks are those above the last id,
    and a chunk is found by bisection. Deleted chunks stay as dead positions until the index is written anew.
    """

    def __init__(self, folder: Path, database: Database, embedder: Embedder, wanted: str, codes: CodeSettings) -> None:
        self._folder = folder
        self._database = database
        self._embedder = embedder
        self._wanted = wanted
        self._codes = codes
        self._lock = threading.RLock()
        self._state: SavedIndex | None = None
        self._stale = False
        self._distrusted = False
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
        self,
        *,
        limit: int = 0,
        batch_size: int = BATCH,
        save_every: int = 0,
        kind: str = "",
        progress: Progress | None = None,
    ) -> int:
        """Follow the catalog; cheap when nothing happened. Returns how many chunks were embedded.

        Args:
            limit: chunks at most; 0 is all.
            batch_size: chunks given to the encoder at once.
            save_every: chunks between two saves, or an eighth of the index where that is more, so that a killed
                build resumes; 0 does not save.
            kind: what the index is going to be, where not what the settings say.
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
            self._prepare(total, kind)
            done = saved = 0
            while done < total:
                embedded = self._embed_next(min(_PIECE, total - done), now.chunk_id, batch_size)
                if not embedded:
                    break
                done += embedded
                if progress is not None:
                    progress("embed", done, total)
                if save_every and done - saved >= max(save_every, len(self) // _SAVE_SHARE):
                    self.save()
                    saved = done
            if done >= missing:
                self._state = replace(self._held(), covers=now)
            self.unsaved += done - saved + len(deleted)
            return done

    def search(
        self, query: FloatArray, k: int, allowed_chunks: Sequence[int] | IntArray | None = None
    ) -> tuple[list[int], FloatArray]:
        """Chunk ids and similarities nearest to a query vector, best first; similarities are estimates where codes are.

        Args:
            query: (d,) float32, unit.
            k: how many.
            allowed_chunks: ids in ascending order, only these; None allows all.

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
                positions, _ = positions_of(state.chunk_ids, np.asarray(allowed_chunks, dtype=np.int64))
                mask = np.zeros(len(state.live), dtype=bool)
                mask[positions] = True
                mask &= state.live
            try:
                positions, similarities = state.index.search(query, k, mask)
            except MemoryCorruptError as error:
                self._distrust(error)
                return self.search(query, k, allowed_chunks)
            return state.chunk_ids[positions].tolist(), similarities

    def nearest(
        self, query: FloatArray, k: int, allowed_chunks: Sequence[int] | IntArray | None = None
    ) -> tuple[list[int], FloatArray]:
        """As :meth:`search`, with the similarities around the k-th place made again from the frames (`refine`).

        Raises:
            DimensionError: the query is of another space.
            MemoryCorruptError: a frame that is needed is damaged.
        """
        refine = self.refine
        found, similarities = self.search(query, k + refine, allowed_chunks)
        first = max(0, min(k, len(found)) - refine // 2)
        last = min(len(found), first + refine)
        if first < last:
            exact = self.exact(query, found[first:last])
            similarities[first:last] = [
                exact.get(chunk_id, similarity)
                for chunk_id, similarity in zip(found[first:last], similarities[first:last], strict=True)
            ]
        order = np.argsort(-similarities, kind="stable")[:k]
        return [found[row] for row in order], similarities[order]

    @property
    def refine(self) -> int:
        """Candidates whose vectors are worth making again; 0 where vectors are stored whole."""
        if self.kind != "codes":
            return 0
        if self._codes.refine >= 0:
            return self._codes.refine
        return QUICK_REFINE if self._embedder.encoder.quick else OTHER_REFINE

    def exact(self, query: FloatArray, chunk_ids: Sequence[int]) -> dict[int, float]:
        """Similarities by chunk id, from vectors made again from the frames.

        Raises:
            MemoryCorruptError: a frame is damaged.
        """
        kept, vectors = self._embedder.of_chunks(chunk_ids)
        return dict(zip(kept.tolist(), (vectors @ query).tolist(), strict=True))

    def similarities(self, query: FloatArray, chunk_ids: Sequence[int]) -> dict[int, float]:
        """Similarities by chunk id; a chunk that the index does not hold is left out. Estimates where codes are."""
        with self._lock:
            state = self._state
            if state is None or not chunk_ids:
                return {}
            wanted = np.asarray(chunk_ids, dtype=np.int64)
            positions, held = positions_of(state.chunk_ids, wanted)
            try:
                if isinstance(state.index, CodeIndex):
                    found = state.index.similarities(query, positions)
                else:
                    found = state.index.vectors(positions) @ query
            except MemoryCorruptError as error:
                self._distrust(error)
                return self.similarities(query, chunk_ids)
            return dict(zip(wanted[held].tolist(), found.tolist(), strict=True))

    def vectors(self, chunk_ids: Sequence[int]) -> dict[int, FloatArray]:
        """Vectors by chunk id; a chunk that the index does not hold is left out. Approximate where codes are."""
        with self._lock:
            state = self._state
            if state is None or not chunk_ids:
                return {}
            wanted = np.asarray(chunk_ids, dtype=np.int64)
            positions, held = positions_of(state.chunk_ids, wanted)
            try:
                rows = state.index.vectors(positions)
            except MemoryCorruptError as error:
                self._distrust(error)
                return self.vectors(chunk_ids)
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
            parameters = parameters_for(kind, int(state.live.sum()), self._codes)
            right = fits(state.index, parameters)
            many_dead = (~state.live).sum() * 5 > len(state.live)
            if right and not many_dead and not force:
                return False
            kept: IntArray = state.chunk_ids[state.live]
            index: AnyIndex
            if isinstance(state.index, CodeIndex) and right:
                try:
                    index = state.index.kept(np.flatnonzero(state.live))
                except MemoryCorruptError as error:
                    self._distrust(error)
                    return self.reshape(kind, force=force)
            else:
                kept, index = made_anew(self._embedder, parameters, state)
            self._state = replace(state, index=index, chunk_ids=kept, live=np.ones(len(kept), dtype=bool))
            self.unsaved += len(kept)
            return True

    def save(self) -> None:
        """Replace the index on disk.

        Raises:
            DiskFullError: no space is left.
        """
        with self._lock:
            if self._state is None or self._stale:
                return
            kind = self.kind
            try:
                save_index(self._folder, self._state)
            except MemoryCorruptError as error:  # codes that lie in the old file, and are copied into the new one
                self._distrust(error)
                self.reshape(kind)
                save_index(self._folder, self._held())
            self.unsaved, self._distrusted = 0, False

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
        state = self._state
        if state is None or self._stale or state.generation != generation:
            encoder, probe = self._embedder.encoder, self._embedder.probe()
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
        if self._distrusted:
            return None
        try:
            saved = load_settled_index(self._folder)
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

    def _distrust(self, error: MemoryCorruptError) -> None:
        """Put a damaged index aside and make one from the frames."""
        if self._distrusted:  # what was made from the frames cannot be damaged on disk
            raise error
        _log.warning("%s", error)
        self._distrusted, self._state = True, None
        self.sync()

    def _forget(self, deleted: Sequence[int], sequence: int) -> None:
        state = self._held()
        live = state.live
        if deleted:
            live = live.copy()
            live[positions_of(state.chunk_ids, np.asarray(deleted, dtype=np.int64))[0]] = False
        self._state = replace(state, live=live, covers=Position(state.covers.chunk_id, sequence))

    def _prepare(self, coming: int, kind: str) -> None:
        """Learn the codes first where so much is coming that whole vectors should not be held for it.

        An index that is there is made over by a build alone: a search must not undo what a build was asked for.
        """
        state = self._held()
        total = int(state.live.sum()) + coming
        parameters = parameters_for(kind or self._wanted, total, self._codes)
        there = len(state.index)
        if parameters.kind != "codes" or total <= SAMPLE or (there and (not kind or not keeps_vectors(state.index))):
            return
        with self._database.read() as connection:
            ids = ids_after(connection, 0, total)
        index = learned_from(self._embedder, ids, parameters)
        for start in range(0, there, _PIECE):
            index.add(state.index.vectors(np.arange(start, min(start + _PIECE, there))))
        self._state = replace(state, index=index)

    def _embed_next(self, count: int, up_to: int, batch_size: int) -> int:
        """Embed the next chunks after the ones covered; returns how many there were."""
        state = self._held()
        with self._database.read() as connection:
            ids = ids_after(connection, state.covers.chunk_id, count)
        ids = ids[ids <= up_to]
        if not len(ids):
            return 0
        # One deleted since is left out here and logged for the next sync.
        kept, vectors = self._embedder.of_chunks(ids.tolist(), batch_size)
        if len(kept):
            state.index.add(vectors)
        self._state = replace(
            state,
            chunk_ids=np.concatenate((state.chunk_ids, kept)),
            live=np.concatenate((state.live, np.ones(len(kept), dtype=bool))),
            covers=Position(int(ids[-1]), state.covers.deletion),
        )
        return len(ids)

    def _held(self) -> SavedIndex:
        assert self._state is not None
        return self._state
