"""Verifying a memory: every file, every frame, every reference between them. Nothing is changed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from sqlalchemy import select

from cem_rag_app.errors import CemRagError, MemoryCorruptError, ZpkgError
from cem_rag_app.zpkg.reader import open_pack
from stores.catalog.chunks import Location, locations_after, position
from stores.catalog.database import Database
from stores.catalog.tables import dictionaries, packs
from stores.files import file_sha256
from stores.frames import FrameStore, pack_path
from stores.indexes.files import load_index
from stores.lexical.index import LexicalIndex
from stores.lexical.layout import REMEDY
from stores.tail import open_bytes

_PIECE = 1024
_RESTORE = "Restore the file from a copy."
_BUILD = "Run `cem-rag build`; nothing is lost."


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that is not as it should be."""

    severity: Literal["error", "note"]
    """An ``error`` means that something stored is damaged; a ``note`` mends itself."""
    file: str
    problem: str
    remedy: str


@dataclass(frozen=True, slots=True)
class CheckReport:
    """What a check looked at and found."""

    chunks: int
    packs: int
    findings: tuple[Finding, ...]

    @property
    def ok(self) -> bool:
        """Whether nothing stored is damaged."""
        return not any(finding.severity == "error" for finding in self.findings)


def check_memory(folder: Path, database: Database, frames: FrameStore, *, chunk_limit: int) -> CheckReport:
    """Read everything and compare it with every checksum and reference there is."""
    checked = Counter[str]()
    findings = [
        *_check_catalog(database),
        *_check_lexical(folder, database),
        *_check_packs(folder, database, checked),
        *_check_dictionaries(database, frames),
        *_check_chunks(database, frames, chunk_limit, checked),
        *_check_index(folder, database),
    ]
    return CheckReport(checked["chunks"], checked["packs"], tuple(findings))


def _check_catalog(database: Database) -> Iterator[Finding]:
    file = str(database.path)
    try:
        with database.read() as connection:
            problems = list(connection.exec_driver_sql("PRAGMA integrity_check").scalars())
            broken = connection.exec_driver_sql("PRAGMA foreign_key_check").all()
    except MemoryCorruptError as error:
        yield Finding("error", file, str(error), _RESTORE)
        return
    for problem in problems:
        if problem != "ok":
            yield Finding("error", file, str(problem), _RESTORE)
    for row in broken:
        yield Finding("error", file, f"Row {row[1]} of {row[0]} refers to a missing row of {row[2]}.", _RESTORE)


def _check_lexical(folder: Path, database: Database) -> Iterator[Finding]:
    try:
        for path, problem in LexicalIndex(folder / "lexical", database).check():
            yield Finding("error", str(path), problem, REMEDY)
    except MemoryCorruptError as error:
        yield Finding("error", str(database.path), str(error), _RESTORE)


def _check_packs(folder: Path, database: Database, checked: Counter[str]) -> Iterator[Finding]:
    with database.read() as connection:
        rows = connection.execute(select(packs.c.pack_number, packs.c.sha256, packs.c.chunks)).all()
    known = {pack_path(folder, row.pack_number) for row in rows}
    for row in rows:
        path = pack_path(folder, row.pack_number)
        checked["packs"] += 1
        if not path.exists():
            yield Finding("error", str(path), "The pack is missing.", _RESTORE)
            continue
        if file_sha256(path) != row.sha256:
            yield Finding("error", str(path), "The pack does not match its checksum.", _RESTORE)
        try:
            with open_pack(path) as reader:
                reader.verify()
                if len(reader) != row.chunks:
                    yield Finding("error", str(path), f"{len(reader)} chunks instead of {row.chunks}.", _RESTORE)
        except ZpkgError as error:
            yield Finding("error", str(path), str(error), _RESTORE)
    for path in sorted((folder / "packs").iterdir()):
        if path not in known:
            yield Finding("note", str(path), "No chunk lies in this file.", "The next `cem-rag build` removes it.")


def _check_dictionaries(database: Database, frames: FrameStore) -> Iterator[Finding]:
    with database.read() as connection:
        keys = list(connection.execute(select(dictionaries.c.dictionary_key)).scalars())
    for key in keys:
        try:
            frames.dictionary(key)
        except CemRagError as error:
            yield Finding("error", str(database.path), str(error), _RESTORE)


def _check_chunks(database: Database, frames: FrameStore, limit: int, checked: Counter[str]) -> Iterator[Finding]:
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
                yield Finding("error", str(file), f"Chunk {place.chunk_id}: {problem}", _RESTORE)


def _problem_of(place: Location, frames: FrameStore, limit: int) -> str:
    try:
        (stored,) = frames.read_here([place])
        raw = open_bytes(frames, stored, limit=limit)
        raw.decode()
    except (CemRagError, UnicodeDecodeError) as error:
        return str(error)
    return "" if place.raw_size in (0, len(raw)) else f"It holds {len(raw)} bytes instead of {place.raw_size}."


def _check_index(folder: Path, database: Database) -> Iterator[Finding]:
    index = folder / "index"
    try:
        saved = load_index(index)
    except MemoryCorruptError as error:
        yield Finding("note", str(index), str(error), _BUILD)
        return
    with database.read() as connection:
        now = position(connection)
    if saved is None:
        if now.chunk_id:
            yield Finding("note", str(index), "No index has been saved.", _BUILD)
    elif saved.covers.chunk_id > now.chunk_id or saved.covers.deletion > now.deletion:
        yield Finding("note", str(index), "The index covers chunks that the catalog never had.", _BUILD)
    for path in sorted(index.glob("*.tmp")):
        yield Finding("note", str(path), "Left by an interrupted build.", _BUILD)
