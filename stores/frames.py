"""Frames by chunk id, wherever they lie, each checked against its checksum; never their text."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from sqlalchemy import Connection, select

from cem_rag_app.errors import ChunkIndexError, MemoryCorruptError, ZpkgError
from cem_rag_app.zpkg.compress import Compressor
from cem_rag_app.zpkg.dictionary import Dictionary
from cem_rag_app.zpkg.reader import Reader, open_pack
from stores.catalog.chunks import Location, locations
from stores.catalog.database import Database
from stores.catalog.notes import get_value, set_value
from stores.catalog.tables import dictionaries, packs

CURRENT_DICTIONARY = "dictionary"
_T = TypeVar("_T")
_REMEDY = "Run `cem-rag check`, and restore the file from a copy."


@dataclass(frozen=True, slots=True)
class StoredFrame:
    """A chunk's compressed bytes and the dictionary they need, which a repack meanwhile cannot take away."""

    chunk_id: int
    frame: bytes
    dictionary_key: int
    dictionary: Dictionary
    raw_size: int


class FrameStore:
    """Reads frames and dictionaries of one memory; thread-safe.

    Packs are immutable and never renumbered, so a reader keeps its maps open across a repack by another process: it
    either sees the old catalog and the old packs, or reads the catalog again.
    """

    def __init__(self, folder: Path, database: Database, level: int) -> None:
        self.folder = folder
        self._database = database
        self._level = level
        self._lock = threading.RLock()
        self._packs: dict[int, Reader] = {}
        self._dictionaries: dict[int, Dictionary] = {}
        self._compressors: dict[int, Compressor] = {}

    def frames(self, chunk_ids: Iterable[int]) -> dict[int, StoredFrame]:
        """Frames by chunk id; a chunk that does not exist is left out.

        Raises:
            MemoryCorruptError: a frame or its pack is damaged or missing.
        """
        wanted = list(chunk_ids)
        return _in_a_later_snapshot(lambda: self._snapshot(wanted))

    def read_here(self, where: Iterable[Location]) -> list[StoredFrame]:
        """Frames at known places, for a caller who holds the writer lock, so that no pack can vanish.

        Raises:
            MemoryCorruptError: a frame or its pack is damaged or missing.
        """
        try:
            return [self._read(place, self.dictionary(place.dictionary_key)) for place in where]
        except FileNotFoundError as error:
            raise MemoryCorruptError(f"{error.filename} is missing.", remedy=_REMEDY) from error

    def dictionary(self, key: int) -> Dictionary:
        """A dictionary by its key, compared with its digest: a damaged one would turn frames into other text.

        Raises:
            MemoryCorruptError: it is missing or damaged.
        """
        with self._lock:
            found = self._dictionaries.get(key)
        if found is not None:
            return found

        def load() -> Dictionary:
            with self._database.read() as connection:
                return self._dictionary(connection, key)

        return _in_a_later_snapshot(load)

    def compressor(self) -> tuple[int, Compressor]:
        """The key of the memory's current dictionary and a compressor for it.

        Raises:
            MemoryCorruptError: the dictionary is missing or damaged.
        """
        return _in_a_later_snapshot(self._current)

    def pack_path(self, number: int) -> Path:
        """The file of a pack."""
        return pack_path(self.folder, number)

    def release(self) -> None:
        """Let go of packs and dictionaries that the catalog no longer knows, so that no file lives on unseen."""
        with self._database.read() as connection:
            known_packs = set(connection.execute(select(packs.c.pack_number)).scalars())
            known_keys = set(connection.execute(select(dictionaries.c.dictionary_key)).scalars())
        with self._lock:
            for number in self._packs.keys() - known_packs:
                del self._packs[number]  # closed when the last who reads in it is done
            for key in self._dictionaries.keys() - known_keys:
                del self._dictionaries[key]
            for key in self._compressors.keys() - known_keys:
                del self._compressors[key]

    def close(self) -> None:
        """Close the maps."""
        with self._lock:
            for reader in self._packs.values():
                reader.close()
            self._packs.clear()

    def _snapshot(self, wanted: list[int]) -> dict[int, StoredFrame]:
        with self._database.read() as connection:
            where = locations(connection, wanted)
            # Now: a repack may drop them from the catalog before they are asked for.
            known = {
                key: self._dictionary(connection, key) for key in {place.dictionary_key for place in where.values()}
            }
        return {chunk_id: self._read(place, known[place.dictionary_key]) for chunk_id, place in where.items()}

    def _current(self) -> tuple[int, Compressor]:
        with self._database.read() as connection:
            key = int(get_value(connection, CURRENT_DICTIONARY))
            dictionary = self._dictionary(connection, key)
        with self._lock:
            if key not in self._compressors:
                self._compressors[key] = Compressor(dictionary, self._level)
            return key, self._compressors[key]

    def _dictionary(self, connection: Connection, key: int) -> Dictionary:
        with self._lock:
            if key not in self._dictionaries:
                self._dictionaries[key] = self._load_dictionary(connection, key)
            return self._dictionaries[key]

    def _read(self, place: Location, dictionary: Dictionary) -> StoredFrame:
        frame = place.frame
        if frame is None:
            assert place.pack_number is not None and place.pack_index is not None
            try:
                frame = self._pack(place.pack_number)[place.pack_index]
            except ChunkIndexError as error:
                raise MemoryCorruptError(
                    f"{self.pack_path(place.pack_number)} has no chunk {place.pack_index}.", remedy=_REMEDY
                ) from error
        if place.checksum_of(frame) != place.checksum:
            file = self._database.path if place.pack_number is None else self.pack_path(place.pack_number)
            raise MemoryCorruptError(
                f"{file} is damaged: the frame of chunk {place.chunk_id} does not match its checksum.", remedy=_REMEDY
            )
        return StoredFrame(place.chunk_id, frame, place.dictionary_key, dictionary, place.raw_size)

    def _pack(self, number: int) -> Reader:
        with self._lock:
            reader = self._packs.get(number)
            if reader is None:
                path = self.pack_path(number)
                try:
                    reader = open_pack(path)
                except ZpkgError as error:
                    raise MemoryCorruptError(f"{path} is damaged: {error}", remedy=_REMEDY) from error
                self._packs[number] = reader
            return reader

    def _load_dictionary(self, connection: Connection, key: int) -> Dictionary:
        row = connection.execute(
            select(dictionaries.c.digest, dictionaries.c.data).where(dictionaries.c.dictionary_key == key)
        ).one_or_none()
        if row is None:
            raise MemoryCorruptError(f"{self._database.path} has no dictionary {key}.", remedy=_REMEDY)
        if row.data is not None:
            dictionary, file = Dictionary(row.data), self._database.path
        else:
            number = connection.execute(
                select(packs.c.pack_number).where(packs.c.dictionary_key == key).order_by(packs.c.pack_number)
            ).scalar()
            if number is None:
                raise MemoryCorruptError(f"No pack holds dictionary {key}.", remedy=_REMEDY)
            file = self.pack_path(number)
            try:
                dictionary = self._pack(number).dictionary
            except ZpkgError as error:
                raise MemoryCorruptError(f"{file} is damaged: {error}", remedy=_REMEDY) from error
        if dictionary.digest != row.digest:
            raise MemoryCorruptError(f"{file} is damaged: its dictionary does not match its digest.", remedy=_REMEDY)
        return dictionary


def _in_a_later_snapshot(read: Callable[[], _T]) -> _T:
    """What ``read`` finds, in a second snapshot where the first one speaks of a pack that is no longer there.

    Another process re-packed since the first and removed old packs: the catalog knows the new ones.
    """
    try:
        return read()
    except FileNotFoundError:
        pass
    try:
        return read()
    except FileNotFoundError as error:
        raise MemoryCorruptError(f"{error.filename} is missing.", remedy=_REMEDY) from error


def pack_path(folder: Path, number: int) -> Path:
    """Where a pack lies in a memory's folder."""
    return folder / "packs" / f"{number:06d}.zpkg"


def add_dictionary(connection: Connection, dictionary: Dictionary, *, current: bool) -> int:
    """Register a dictionary, with its bytes, and return its key.

    Args:
        connection: a transaction.
        dictionary: the dictionary.
        current: whether new frames are compressed with it from now on.
    """
    key = connection.execute(
        select(dictionaries.c.dictionary_key).where(dictionaries.c.digest == dictionary.digest)
    ).scalar()
    if key is None:
        _ = dictionary.layout  # bytes that are no dictionary are refused before anything depends on them
        result = connection.execute(dictionaries.insert().values(digest=dictionary.digest, data=dictionary.data))
        key = int(result.lastrowid)
    if current:
        set_value(connection, CURRENT_DICTIONARY, key)
    return key


def dictionary_exists(connection: Connection, key: int) -> bool:
    """Whether frames compressed with this dictionary can still be stored: a build may have replaced it."""
    statement = select(dictionaries.c.dictionary_key).where(dictionaries.c.dictionary_key == key)
    return connection.execute(statement).scalar() is not None
