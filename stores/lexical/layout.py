"""The file of a sealed lexical index: a header, six sections, and a checksum for every 4 KiB (``docs/lexical.md``)."""

from __future__ import annotations

import struct
import zlib
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import BinaryIO

from cem_rag_app.errors import MemoryCorruptError, MemoryVersionError

MAGIC = b"CEMLEX\r\n"
VERSION = 1
PAGE = 4096
"""Bytes that share a checksum."""

REMEDY = "Nothing is lost: `cem-rag build` makes the full-text index again from the frames."

_FIELDS = struct.Struct("<8sI4x13QI")
_CHECKSUM = struct.Struct("<I")
HEADER_BYTES = _FIELDS.size + _CHECKSUM.size


@dataclass(frozen=True, slots=True)
class Header:
    """What a file says of itself; positions in bytes from its beginning. The postings follow the header."""

    chunks: int
    terms: int
    total_length: int
    """Terms of all chunks, repeats included."""
    last_chunk: int
    """Every chunk up to this id is in here, is deleted, or never had terms."""
    longest_term: int
    term_bytes: int
    terms_at: int
    blocks_at: int
    model_at: int
    lengths_at: int
    runs_at: int
    pages_at: int
    size: int
    pages_crc32: int

    def to_bytes(self) -> bytes:
        """The header as it lies in the file."""
        fields = _FIELDS.pack(MAGIC, VERSION, *astuple(self))
        return fields + _CHECKSUM.pack(zlib.crc32(fields))


def parse_header(data: bytes, size: int, path: Path) -> Header:
    """Read a header.

    Args:
        data: the first ``HEADER_BYTES`` of the file.
        size: bytes of the file.
        path: of the file, for errors.

    Raises:
        MemoryCorruptError: the file is none, or is torn.
        MemoryVersionError: it was written by a newer release.
    """
    if len(data) < HEADER_BYTES or data[: len(MAGIC)] != MAGIC:
        raise corrupt(path, "it does not begin like a lexical index")
    (checksum,) = _CHECKSUM.unpack_from(data, _FIELDS.size)
    if zlib.crc32(data[: _FIELDS.size]) != checksum:
        raise corrupt(path, "its header does not match its checksum")
    _, version, *fields = _FIELDS.unpack_from(data)
    if version > VERSION:
        raise MemoryVersionError(
            f"{path} has version {version}; this release knows versions up to {VERSION}.",
            remedy="It was made by a newer release: upgrade cem-rag. Nothing was changed.",
        )
    header = Header(*fields)
    if header.size != size:
        raise corrupt(path, f"it has {size} bytes instead of {header.size}")
    places = (HEADER_BYTES, header.terms_at, header.blocks_at, header.model_at, header.lengths_at, header.runs_at)
    if list(places) != sorted(places) or not header.runs_at <= header.pages_at <= size:
        raise corrupt(path, "its sections overlap")
    return header


def corrupt(path: Path, problem: str) -> MemoryCorruptError:
    """The error for a damaged file."""
    return MemoryCorruptError(f"{path} is damaged: {problem}.", remedy=REMEDY)


class PagedWriter:
    """Writes everything behind the header and keeps a checksum of each page of it."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._pending = bytearray()
        self._checksums = bytearray()
        self.position = HEADER_BYTES
        file.seek(HEADER_BYTES)

    def write(self, data: bytes) -> None:
        """Append bytes."""
        self._file.write(data)
        self.position += len(data)
        self._pending += data
        whole = len(self._pending) // PAGE * PAGE
        for at in range(0, whole, PAGE):
            self._checksums += _CHECKSUM.pack(zlib.crc32(self._pending[at : at + PAGE]))
        del self._pending[:whole]

    def finish(self) -> tuple[int, int, int]:
        """Append the checksums: ``(where they lie, bytes of the file, their own checksum)``."""
        if self._pending:
            self._checksums += _CHECKSUM.pack(zlib.crc32(self._pending))
        pages_at = self.position
        self._file.write(self._checksums)
        return pages_at, pages_at + len(self._checksums), zlib.crc32(self._checksums)
