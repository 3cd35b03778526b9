"""Forgetting: the rows at once, then the bytes; what a crash interrupts, the next open or build finishes."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import select

from cem_rag_app.errors import CemRagError, MemoryBusyError, ModelError
from cem_rag_app.settings import Settings
from cem_rag_app.zpkg.dictionary import Dictionary
from stores.catalog.database import Database
from stores.catalog.notes import get_value
from stores.catalog.tables import dictionaries, packs
from stores.files import writer_lock
from stores.forgetting.checkpoints import clear_checkpoints
from stores.forgetting.erasing import Eraser, Pending, Prepare, clear_pending, load_pending
from stores.forgetting.selection import Selection, find
from stores.frames import CURRENT_DICTIONARY, FrameStore
from stores.lexical.index import LexicalIndex
from stores.live_index import LiveIndex
from stores.packing import Packing
from stores.points import reached
from stores.profile import Progress
from stores.sealing import seal_terms

_OURS = frozenset({"catalog.sqlite", "catalog.sqlite-wal", "catalog.sqlite-shm", "lock", "packs", "index", "lexical"})
_FOLDERS = ("", "packs", "index", "lexical")
"""Where files are written beside the ones that they replace."""
_UNFINISHED = re.compile(r"(tmp|codes\.bin|faiss_index\.bin)[a-z0-9_]{8}(\.zpkg)?\.tmp")
"""Their names: what :mod:`cem_rag_app.files` and :mod:`stores.indexes.files` ask :mod:`tempfile` for."""
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ForgetReport:
    """What was forgotten, and what that took."""

    messages: int = 0
    items: int = 0
    chunks: int = 0
    """Frames that held some of it."""
    moved_messages: int = 0
    """Messages that shared a frame with a forgotten one and were compressed anew without it."""
    records: int = 0
    """Turns whose record showed some of it."""
    marks: int = 0
    preferences: int = 0
    checkpoints: int = 0
    """Graph threads kept in the folder; all of them go."""
    packs_rewritten: bool = False
    new_dictionary: bool = False
    """Whether the dictionary had learned from it, so that every frame was compressed anew with another."""
    elsewhere: tuple[str, ...] = ()
    """Names in the folder that are not the memory's own; they were not looked into."""


class Forgetter:
    """Forgets in one memory.

    Args:
        folder: of the memory.
        database: its catalog.
        frames: its frames.
        index: its vectors.
        lexical: its terms.
        settings: how frames and vectors are made.
        start: the dictionary of a memory too small for one of its own.
        prepare: compresses the text of those who stay.
    """

    def __init__(
        self,
        folder: Path,
        database: Database,
        frames: FrameStore,
        index: LiveIndex,
        lexical: LexicalIndex,
        settings: Settings,
        start: Dictionary,
        prepare: Prepare,
    ) -> None:
        self._folder = folder
        self._database = database
        self._frames = frames
        self._index = index
        self._lexical = lexical
        self._start = start
        self._wanted = settings.index
        self._packing = Packing(folder, database, frames, settings.pack)
        self._limit = settings.pack.chunk_limit
        self._eraser = Eraser(frames, prepare, limit=self._limit)

    def matching(self, selection: Selection) -> ForgetReport:
        """What a selection means now, and nothing is changed: its messages, documents, chunks and those who move."""
        with self._database.read() as connection:
            targets = find(connection, selection)
        return ForgetReport(
            messages=len(targets.message_ids),
            items=len(targets.item_keys),
            chunks=len(targets.chunk_ids),
            moved_messages=sum(len(rows) for rows in targets.survivors.values()),
        )

    def run(self, selection: Selection, progress: Progress | None = None) -> ForgetReport:
        """Forget for good; the caller holds the writer lock.

        Raises:
            MemoryBusyError: another process still reads what was there before; the rest is done at the next open.
            DiskFullError: no space is left; the rest is done at the next open.
            MemoryCorruptError: a frame is damaged.
        """
        self.finish(progress)
        with self._database.read() as connection:
            targets = find(connection, selection)
            if targets.nothing:
                return ForgetReport()
            ready = self._eraser.compress_survivors(connection, targets)
        with self._database.write() as connection:
            erased = self._eraser.erase(connection, find(connection, selection), ready)
        reached("forget: erased")
        scrubbed = self.finish(progress, keep_index=True)
        return ForgetReport(
            messages=erased.messages,
            items=erased.items,
            chunks=erased.chunks,
            moved_messages=erased.moved_messages,
            records=erased.records,
            marks=erased.marks,
            preferences=erased.preferences,
            checkpoints=scrubbed.checkpoints,
            packs_rewritten=scrubbed.packs_rewritten,
            new_dictionary=scrubbed.new_dictionary,
            elsewhere=tuple(sorted(path.name for path in self._folder.iterdir() if path.name not in _OURS)),
        )

    def finish_interrupted(self) -> None:
        """Finish what a crash left, as far as that is possible now; what is in the way is told in the log."""
        with self._database.read() as connection:
            if load_pending(connection) is None:
                return
        try:
            with writer_lock(self._folder):
                self.finish()
        except CemRagError as error:
            _log.warning("A forgetting was interrupted and cannot be finished yet. %s", error)

    def finish(self, progress: Progress | None = None, *, keep_index: bool = False) -> ForgetReport:
        """Scrub what a forgetting has left on the disk; nothing when none has. The caller holds the writer lock.

        Args:
            progress: called with the stages ``pack`` and ``embed``.
            keep_index: write the index anew without what is forgotten, which may need the encoders; without it the
                index is removed, and the next build or search makes it again.

        Raises:
            MemoryBusyError: another process still reads what was there before.
            DiskFullError: no space is left.
            MemoryCorruptError: a frame is damaged.
        """
        with self._database.read() as connection:
            pending = load_pending(connection)
        if pending is None:
            return ForgetReport()
        trained = self._scrub_packs(pending, progress)
        self._frames.release()
        reached("forget: packs scrubbed")
        self._scrub_terms()
        reached("forget: terms scrubbed")
        self._scrub_index(progress, keep=keep_index)
        reached("forget: index scrubbed")
        threads = clear_checkpoints(self._folder, self._database.path)
        for path in _unfinished(self._folder):
            path.unlink(missing_ok=True)  # of a process that died: whoever writes one holds the lock that we hold
        reached("forget: folder scrubbed")
        if not self._database.shrink():
            raise MemoryBusyError(
                "What was to be forgotten is gone from every answer, but another process still reads the state before,"
                " so the database file keeps pages of it.",
                remedy="Close that process, then run `cem-rag build`: it finishes this.",
            )
        reached("forget: database scrubbed")
        with self._database.write() as connection:
            clear_pending(connection)
        return ForgetReport(
            checkpoints=threads,
            packs_rewritten=bool(pending.packs_through or pending.dictionaries),
            new_dictionary=trained,
        )

    def _scrub_packs(self, pending: Pending, progress: Progress | None) -> bool:
        """Write packs anew until no file and no dictionary is left that may hold pieces; returns whether one is new."""
        unclean = set(pending.dictionaries)
        replaced = False
        while True:
            with self._database.read() as connection:
                current = int(get_value(connection, CURRENT_DICTIONARY))
                keys = unclean.intersection(connection.execute(select(dictionaries.c.dictionary_key)).scalars())
                old = connection.execute(
                    select(packs.c.pack_number).where(packs.c.pack_number <= pending.packs_through)
                ).first()
            if not keys and old is None:
                self._packing.remove_orphans()
                return replaced
            # A chat in another process may store one more frame of the old dictionary before it sees the new one: once
            # more, then.
            packed = self._packing.run(force=True, without=keys, start=self._start, progress=progress)
            replaced |= current in keys
            if packed.own_dictionary:
                with self._database.read() as connection:
                    # Trained on what is left: clean, even where it came out as the one before, byte by byte.
                    unclean.discard(int(get_value(connection, CURRENT_DICTIONARY)))

    def _scrub_terms(self) -> None:
        """Seal the terms without those of forgotten chunks, and merge the fresh ones into one piece.

        Until then a removed row's terms stand in the full-text table twice, as removed.
        """
        seal_terms(self._lexical, self._frames, limit=self._limit, force=True)
        with self._database.write() as connection:
            connection.exec_driver_sql("INSERT INTO lexical (lexical) VALUES ('optimize')")

    def _scrub_index(self, progress: Progress | None, *, keep: bool) -> None:
        """Write the vectors without those of forgotten chunks, or remove them: they are derived."""
        if not self._index.saved:
            self._index.drop()
            return
        if not keep:
            self._index.remove()
            return
        try:
            self._index.sync(progress=progress)
            self._index.reshape(self._wanted, force=True)
            self._index.save()
        except ModelError as error:
            _log.info("The vectors are removed and made again by the next build. %s", error)
            self._index.remove()


def _unfinished(folder: Path) -> Iterator[Path]:
    """What the memory's own writers have begun; files of others may end alike and are theirs."""
    for place in _FOLDERS:
        for path in (folder / place).glob("*.tmp"):
            if _UNFINISHED.fullmatch(path.name) and path.is_file() and not path.is_symlink():
                yield path
