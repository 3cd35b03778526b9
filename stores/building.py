"""Build: pack, embed, index - whatever is missing of each, in this order, resumable at every step."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

from cem_rag_app.settings import PackSettings
from stores.catalog.chunks import count_chunks
from stores.catalog.database import Database
from stores.frames import FrameStore
from stores.lexical.index import LexicalIndex
from stores.live_index import LiveIndex
from stores.packing import Packing
from stores.profile import Progress
from stores.sealing import seal_terms

SAVE_EVERY = 20_000
"""Chunks embedded between two saves of a long build: what a kill can cost."""


@dataclass(frozen=True, slots=True)
class BuildReport:
    """What a build did."""

    chunks: int
    """Chunks in the memory."""
    packed: int
    """Chunks sealed into packs."""
    embedded: int
    """Chunks embedded."""
    own_dictionary: bool
    """Whether a new dictionary was trained."""
    index: str
    """Kind of the vector index."""
    seconds: float


class Builder:
    """Builds one memory; the caller holds the writer lock."""

    def __init__(
        self,
        folder: Path,
        database: Database,
        frames: FrameStore,
        index: LiveIndex,
        lexical: LexicalIndex,
        settings: PackSettings,
    ) -> None:
        self._database = database
        self._frames = frames
        self._index = index
        self._lexical = lexical
        self._chunk_limit = settings.chunk_limit
        self._packing = Packing(folder, database, frames, settings)

    def run(
        self, *, batch_size: int, index: str, limit: int = 0, force: bool = False, progress: Progress | None = None
    ) -> BuildReport:
        """Bring packs, sealed terms and index up to date.

        Args:
            batch_size: chunks given to the encoder at once.
            index: ``auto`` or a kind.
            limit: chunks embedded at most; 0 is all.
            force: write packs and index anew also where they are in order.
            progress: called with the stages ``pack`` and ``embed``.

        Raises:
            DiskFullError: no space is left; the memory is as it was.
            MemoryCorruptError: a frame is damaged.
        """
        started = time.monotonic()
        packed = self._packing.run(force=force, progress=progress)
        sealed = seal_terms(self._lexical, self._frames, limit=self._chunk_limit, force=force)
        embedded = self._index.sync(
            limit=limit, batch_size=batch_size, save_every=SAVE_EVERY, kind=index, progress=progress
        )
        self._index.reshape(index, force=force and self._index.dead > 0)
        self._index.save()
        if packed.chunks or sealed or force:
            self._database.shrink()
        with self._database.read() as connection:
            count = count_chunks(connection)
        return BuildReport(
            chunks=count,
            packed=packed.chunks,
            embedded=embedded,
            own_dictionary=packed.own_dictionary,
            index=self._index.kind,
            seconds=time.monotonic() - started,
        )
