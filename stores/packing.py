"""Sealing fresh frames into packs, with a dictionary of the memory's own once it is large enough.

The new packs are complete on disk before one catalog transaction switches to them; the old ones are removed after
it. A crash before the switch leaves packs nobody refers to, which the next build removes; a crash after it, old ones.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterator
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path

from sqlalchemy import Connection, func, select

from cem_rag_app.errors import DictionaryError, PackFullError
from cem_rag_app.files import sync_folder
from cem_rag_app.settings import PackSettings
from cem_rag_app.zpkg.compress import Compressor
from cem_rag_app.zpkg.dictionary import Dictionary, dictionary_size_for, train_dictionary
from cem_rag_app.zpkg.repack import recompress
from cem_rag_app.zpkg.writer import PackInfo, PackWriter
from stores.catalog.checksums import row_checksum
from stores.catalog.chunks import Location, Position, count_chunks, locations_after, position
from stores.catalog.database import Database
from stores.catalog.notes import get_value, set_value
from stores.catalog.tables import chunks, dictionaries, packs
from stores.frames import CURRENT_DICTIONARY, FrameStore, add_dictionary, pack_path
from stores.live_index import GENERATION
from stores.profile import Progress
from stores.tail import NO_DICTIONARY, open_bytes

TRAINED_AT = "dictionary_trained_at"
"""State key: chunks in the memory when its own dictionary was trained; 0 before."""

TRAINED_THROUGH = "dictionary_trained_through"
"""State key: the position up to which its own dictionary may have learned; missing where none was trained.

Its ``chunk_id`` is the last chunk that may have been a sample, its ``deletion`` the last one that was surely none.
"""

PACKED_THROUGH = "packed_through"
"""State key: the same of the packs: the last chunk in one, and the last deletion that they are surely without."""

RETRAIN_FACTOR = 4
REWRITE_SHARE = 8
"""Packs are written anew when fresh chunks are more than one to this many packed ones: few packs, little rewriting."""

SAMPLES_PER_DICTIONARY_BYTE = 100
_PIECE = 1024
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Packed:
    """What packing did."""

    chunks: int = 0
    packs: int = 0
    own_dictionary: bool = False
    """Whether a new dictionary was trained."""


class Packing:
    """Packs of one memory; the caller holds the writer lock.

    Args:
        folder: of the memory.
        database: its catalog.
        frames: its frames.
        settings: sizes and level.
        largest: bytes of a pack at most, well below the 4 GiB that the format ends at.
    """

    def __init__(
        self, folder: Path, database: Database, frames: FrameStore, settings: PackSettings, *, largest: int = 1 << 30
    ) -> None:
        self._folder = folder
        self._database = database
        self._frames = frames
        self._settings = settings
        self._largest = largest

    def run(
        self,
        *,
        force: bool = False,
        without: Collection[int] = (),
        start: Dictionary = NO_DICTIONARY,
        progress: Progress | None = None,
    ) -> Packed:
        """Pack what is worth packing; with ``force``, write all packs anew.

        Args:
            force: also packs that are in order, and the last one of a memory that holds nothing any more.
            without: keys of dictionaries that no frame may need afterwards. A current one among them is trained
                anew, or gives way to ``start`` where too little is left to train on.
            start: what a memory too small for a dictionary of its own begins with.
            progress: called now and then with the stage ``pack``.

        Raises:
            DiskFullError: no space is left; the memory is as it was.
            MemoryCorruptError: a frame is damaged.
        """
        self.remove_orphans()
        with self._database.read() as connection:
            count = count_chunks(connection)
            fresh = int(
                connection.execute(
                    select(func.count()).select_from(chunks).where(chunks.c.pack_number.is_(None))
                ).scalar_one()
            )
            trained_at = int(get_value(connection, TRAINED_AT) or 0)
            through = get_value(connection, TRAINED_THROUGH)
            unwanted = int(get_value(connection, CURRENT_DICTIONARY)) in without
            deletion = position(connection).deletion
        train = count >= self._settings.own_dictionary_from and (
            trained_at == 0 or count >= RETRAIN_FACTOR * trained_at or unwanted
        )
        if not force and (not count or not (train or fresh * REWRITE_SHARE > count)):
            return Packed()
        dictionary = self._frames.compressor()[1].dictionary
        if unwanted:
            dictionary, trained_at, through = start, 0, None
        if train:
            try:
                dictionary, trained_at = self._train(), count
                through = asdict(Position(self._newest(), deletion))
            except DictionaryError as error:
                # Texts too short or too alike to learn from also gain nothing by it: the present dictionary stays.
                _log.info("The memory keeps its dictionary. %s", error)
                train = False
        if not (train or force or fresh * REWRITE_SHARE > count):
            return Packed()
        number = self._next_number()
        written, places = self._write(dictionary, number, count, progress)
        with self._database.write() as connection:
            self._switch(connection, dictionary, written, places)
            set_value(connection, TRAINED_AT, trained_at)
            set_value(connection, TRAINED_THROUGH, through)
            set_value(connection, PACKED_THROUGH, asdict(Position(max(places, default=0), deletion)))
        self.remove_orphans()
        return Packed(chunks=len(places), packs=len(written), own_dictionary=train)

    def remove_orphans(self) -> list[Path]:
        """Remove files in ``packs/`` that the catalog does not refer to: left by a crash, or replaced."""
        with self._database.read() as connection:
            known = {pack_path(self._folder, n) for n in connection.execute(select(packs.c.pack_number)).scalars()}
        folder = self._folder / "packs"
        removed = [file for file in folder.iterdir() if file not in known]
        for file in removed:
            file.unlink()
        if removed:
            sync_folder(folder)
        return removed

    def _train(self) -> Dictionary:
        """Learn a dictionary from chunks spread over the whole memory."""
        with self._database.read() as connection:
            sizes = connection.execute(select(chunks.c.chunk_id, chunks.c.raw_size).order_by(chunks.c.chunk_id)).all()
        total = sum(row.raw_size for row in sizes)
        wanted = SAMPLES_PER_DICTIONARY_BYTE * self._settings.dictionary_size
        step = max(1, total // max(1, wanted))
        chosen = [row.chunk_id for row in sizes[::step]]
        samples: list[bytes] = []
        for start in range(0, len(chosen), _PIECE):
            stored = self._frames.frames(chosen[start : start + _PIECE]).values()
            samples += [open_bytes(self._frames, frame, limit=self._settings.chunk_limit) for frame in stored]
        return train_dictionary(samples, dictionary_size_for(total, self._settings.dictionary_size))

    def _write(
        self, dictionary: Dictionary, number: int, total: int, progress: Progress | None
    ) -> tuple[list[PackInfo], dict[int, tuple[int, int, int]]]:
        """Write all chunks into new packs; returns them and chunk id -> (pack number, index, checksum)."""
        folder = self._folder / "packs"
        places: dict[int, tuple[int, int, int]] = {}
        written: list[PackInfo] = []
        with ExitStack() as stack:
            writer = stack.enter_context(PackWriter(pack_path(self._folder, number), dictionary, largest=self._largest))
            for place, frame in self._frames_in(dictionary):
                try:
                    index = writer.add(frame)
                except PackFullError:
                    written.append(writer.seal())
                    number += 1
                    writer = stack.enter_context(
                        PackWriter(folder / f"{number:06d}.zpkg", dictionary, largest=self._largest)
                    )
                    index = writer.add(frame)
                places[place.chunk_id] = (number, index, place.packed_checksum_of(frame))
                if progress is not None and len(places) % _PIECE == 0:
                    progress("pack", len(places), total)
            if places:
                written.append(writer.seal())
        if progress is not None:
            progress("pack", len(places), total)
        return written, places

    def _frames_in(self, dictionary: Dictionary) -> Iterator[tuple[Location, bytes]]:
        """Where all chunks lie, by id, and their frames in ``dictionary``: as they are where they were in it."""
        compressor = Compressor(dictionary, self._settings.level)
        last = 0
        while True:
            with self._database.read() as connection:
                where = locations_after(connection, last, _PIECE)
            if not where:
                return
            for place, stored in zip(where, self._frames.read_here(where), strict=True):
                old = stored.dictionary
                if old.digest == dictionary.digest:
                    yield place, stored.frame
                else:
                    limit = self._settings.chunk_limit
                    yield place, next(recompress([stored.frame], old, compressor, limit=limit))
            last = where[-1].chunk_id

    def _switch(
        self,
        connection: Connection,
        dictionary: Dictionary,
        written: list[PackInfo],
        places: dict[int, tuple[int, int, int]],
    ) -> None:
        """Let the catalog refer to the new packs and forget the old ones, all at once."""
        old_packs = list(connection.execute(select(packs.c.pack_number)).scalars())
        bytes_of = {
            key: self._frames.dictionary(key).data
            for key in connection.execute(select(dictionaries.c.dictionary_key)).scalars()
        }
        before = get_value(connection, CURRENT_DICTIONARY)
        key = add_dictionary(connection, dictionary, current=True)
        for info in written:
            row = (int(info.path.stem), info.sha256, info.count, info.size, key)
            connection.execute(packs.insert().values((*row, row_checksum(*row))))
        update = connection.connection.cursor()
        update.executemany(
            "UPDATE chunks SET pack_number = ?, pack_index = ?, checksum = ?, dictionary_key = NULL, frame = NULL"
            " WHERE chunk_id = ?",
            [(pack, index, checksum, chunk_id) for chunk_id, (pack, index, checksum) in places.items()],
        )
        connection.execute(packs.delete().where(packs.c.pack_number.in_(old_packs)))
        # A message remembered while the packs were written is still fresh and needs the dictionary it was given.
        fresh = select(chunks.c.dictionary_key).where(chunks.c.pack_number.is_(None)).distinct()
        used = set(connection.execute(fresh).scalars()) | {key}
        for other, data in bytes_of.items():
            row = dictionaries.c.dictionary_key == other
            if other not in used:
                connection.execute(dictionaries.delete().where(row))
            elif other != key:
                connection.execute(dictionaries.update().where(row).values(data=data))
        kept = None if written else dictionary.data  # a pack carries it
        connection.execute(dictionaries.update().where(dictionaries.c.dictionary_key == key).values(data=kept))
        if before != key:
            set_value(connection, GENERATION, int(get_value(connection, GENERATION)) + 1)

    def _newest(self) -> int:
        with self._database.read() as connection:
            return position(connection).chunk_id

    def _next_number(self) -> int:
        with self._database.read() as connection:
            last = connection.exec_driver_sql("SELECT seq FROM sqlite_sequence WHERE name = 'packs'").scalar()
        return int(last or 0) + 1
