"""Checking what lies beside the catalog: packs, dictionaries, frames, the sealed terms, the index."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import numpy as np
from sqlalchemy import select

from cem_rag_app.errors import CemRagError, MemoryCorruptError, ZpkgError
from cem_rag_app.zpkg.reader import open_pack
from stores.catalog.chunks import Location, locations_after, position
from stores.catalog.database import Database
from stores.catalog.tables import chunks, dictionaries, packs
from stores.checking.report import BUILD, RESTORE, Finding
from stores.files import file_sha256
from stores.frames import FrameStore, pack_path
from stores.indexes.files import SavedIndex, load_index
from stores.lexical.index import LexicalIndex
from stores.lexical.layout import REMEDY
from stores.tail import open_bytes

_PIECE: Final = 1024


def check_sealed_terms(folder: Path, database: Database) -> Iterator[Finding]:
    """The sealed part of the full-text index, and which chunks it and the fresh part hold."""
    for path, problem in LexicalIndex(folder / "lexical", database).check():
        yield Finding("error", str(path), problem, REMEDY)


def check_packs(folder: Path, database: Database, checked: Counter[str]) -> Iterator[Finding]:
    """Every pack against its checksums, and files that are none."""
    with database.read() as connection:
        rows = connection.execute(select(packs.c.pack_number, packs.c.sha256, packs.c.chunks)).all()
    known = {pack_path(folder, row.pack_number) for row in rows}
    for row in rows:
        path = pack_path(folder, row.pack_number)
        checked["packs"] += 1
        if not path.exists():
            yield Finding("error", str(path), "The pack is missing.", RESTORE)
            continue
        if file_sha256(path) != row.sha256:
            yield Finding("error", str(path), "The pack does not match its checksum.", RESTORE)
        try:
            with open_pack(path) as reader:
                reader.verify()
                if len(reader) != row.chunks:
                    yield Finding("error", str(path), f"{len(reader)} chunks instead of {row.chunks}.", RESTORE)
        except ZpkgError as error:
            yield Finding("error", str(path), str(error), RESTORE)
    for path in sorted((folder / "packs").iterdir()):
        if path not in known:
            yield Finding("note", str(path), "No chunk lies in this file.", "The next `cem-rag build` removes it.")


def check_dictionaries(database: Database, frames: FrameStore) -> Iterator[Finding]:
    """Every dictionary against its digest."""
    with database.read() as connection:
        keys = list(connection.execute(select(dictionaries.c.dictionary_key)).scalars())
    for key in keys:
        try:
            frames.dictionary(key)
        except CemRagError as error:
            yield Finding("error", str(database.path), str(error), RESTORE)


def check_chunks(database: Database, frames: FrameStore, limit: int, checked: Counter[str]) -> Iterator[Finding]:
    """Every frame against its checksum; each is opened."""
    last = 0
    while True:
        with database.read() as connection:
            places = locations_after(connection, last, _PIECE)
        if not places:
            return
        last = places[-1].chunk_id
        checked["chunks"] += len(places)
        for place in places:
            problem = _problem_of(place, frames, limit)
            if problem:
                file = database.path if place.pack_number is None else frames.pack_path(place.pack_number)
                yield Finding("error", str(file), f"Chunk {place.chunk_id}: {problem}", RESTORE)


def _problem_of(place: Location, frames: FrameStore, limit: int) -> str:
    try:
        (stored,) = frames.read_here([place])
        raw = open_bytes(frames, stored, limit=limit)
        raw.decode()
    except (CemRagError, UnicodeDecodeError) as error:
        return str(error)
    return "" if place.raw_size in (0, len(raw)) else f"It holds {len(raw)} bytes instead of {place.raw_size}."


def check_index(folder: Path, database: Database) -> Iterator[Finding]:
    """The saved index: its files, and whether it is one of this catalog. It mends itself, so these are notes."""
    index = folder / "index"
    try:
        saved = load_index(index)
        if saved is not None:
            for start in range(0, len(saved.index), _PIECE):
                saved.index.vectors(np.arange(start, min(start + _PIECE, len(saved.index))))
    except MemoryCorruptError as error:
        yield Finding("note", str(index), str(error), BUILD)
        return
    with database.read() as connection:
        now = position(connection)
        statement = select(chunks.c.chunk_id).order_by(chunks.c.chunk_id)
        present = np.fromiter(connection.execute(statement).scalars(), dtype=np.int64)
    if saved is None:
        if now.chunk_id:
            yield Finding("note", str(index), "No index has been saved.", BUILD)
    elif saved.covers.chunk_id > now.chunk_id or saved.covers.deletion > now.deletion:
        yield Finding("note", str(index), "The index covers chunks that the catalog never had.", BUILD)
    elif saved.covers.deletion == now.deletion and not _same_chunks(saved, present):
        yield Finding("note", str(index), "The index holds other chunks than the catalog.", BUILD)
    for path in sorted(index.glob("*.tmp")):
        yield Finding("note", str(path), "Left by an interrupted build.", BUILD)


def _same_chunks(saved: SavedIndex, present: np.ndarray[tuple[int], np.dtype[np.int64]]) -> bool:
    return np.array_equal(saved.chunk_ids[saved.live], present[present <= saved.covers.chunk_id])
