"""Every byte of a memory's files, by what it is for: where bits are flipped and tails are torn."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from cem_rag_app.zpkg.layout import HEADER_BYTES
from cem_rag_app.zpkg.reader import open_pack

_LOG_HEADER, _LOG_FRAME_HEADER = 32, 24
_CATALOG_HEADER = 100
_TREE_HEADERS = {2: 12, 5: 12, 10: 8, 13: 8}
"""Bytes of the header of a b-tree page, by its type."""


@dataclass(frozen=True, slots=True)
class Region:
    """Some bytes of a file that serve one purpose."""

    file: str
    """Relative to the memory's folder."""
    name: str
    start: int
    end: int

    def __len__(self) -> int:
        return self.end - self.start


def regions(memory: Path) -> list[Region]:
    """All regions of all files of a memory that nobody has open; together they are every byte."""
    found: list[Region] = []
    for path in sorted(memory.rglob("*")):
        if path.is_file():
            name = str(path.relative_to(memory))
            found += [Region(name, region, start, end) for region, start, end in _parts(path) if end > start]
    return found


def _parts(path: Path) -> Iterator[tuple[str, int, int]]:
    size = path.stat().st_size
    if path.suffix == ".sqlite":
        yield from _catalog_parts(path)
    elif path.name.endswith("-wal"):
        page = int.from_bytes(path.read_bytes()[8:12], "big")
        yield "header", 0, _LOG_HEADER
        for number, start in enumerate(range(_LOG_HEADER, size, _LOG_FRAME_HEADER + page)):
            third = "first" if number * 3 < size // page else "later"
            yield f"header of a {third} frame", start, start + _LOG_FRAME_HEADER
            yield f"page of a {third} frame", start + _LOG_FRAME_HEADER, min(size, start + _LOG_FRAME_HEADER + page)
    elif path.suffix == ".zpkg":
        with open_pack(path) as pack:
            header = pack.header
        yield "header", 0, HEADER_BYTES
        yield "dictionary", HEADER_BYTES, header.table_start
        yield "table", header.table_start, header.frames_start
        yield "frames", header.frames_start, size
    else:
        edge = min(64, size)
        yield "beginning", 0, edge
        yield "body", edge, max(edge, size - 64)
        yield "end", max(edge, size - 64), size


def _catalog_parts(path: Path) -> Iterator[tuple[str, int, int]]:
    """The pages of a database by the table or index they belong to, where this SQLite can tell."""
    data = path.read_bytes()
    with closing(sqlite3.connect(f"file:{path}?mode=ro&immutable=1", uri=True)) as connection:
        page = int(connection.execute("PRAGMA page_size").fetchone()[0])
        try:
            owners = dict(connection.execute("SELECT pageno, name FROM dbstat WHERE pagetype <> 'overflow'").fetchall())
        except sqlite3.OperationalError:
            owners = {}
    yield "file header", 0, _CATALOG_HEADER
    for number, start in enumerate(range(0, len(data), page), start=1):
        begin = start + (_CATALOG_HEADER if number == 1 else 0)
        header = _TREE_HEADERS.get(data[begin])
        if number not in owners or header is None:
            yield "overflow or free pages", begin, start + page
            continue
        cells = int.from_bytes(data[begin + 3 : begin + 5], "big")
        content = start + (int.from_bytes(data[begin + 5 : begin + 7], "big") or page)
        pointers = begin + header + 2 * cells
        yield f"{owners[number]}, page header", begin, pointers
        yield "unused", pointers, content
        yield f"{owners[number]}, rows", content, start + page
