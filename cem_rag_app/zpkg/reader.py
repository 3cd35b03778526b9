"""Chunks of a pack, compressed, each in O(1). It cannot decompress: see :mod:`cem_rag_app.zpkg.late`."""

from __future__ import annotations

import mmap
import os
import zlib
from collections.abc import Callable, Iterator
from functools import cached_property
from pathlib import Path
from types import TracebackType

import numpy as np

from cem_rag_app.errors import ChunkIndexError, DictionaryError, FrameError, OffsetError, TruncatedError, ZpkgError
from cem_rag_app.zpkg.dictionary import Dictionary
from cem_rag_app.zpkg.frame import SMALLEST_FRAME
from cem_rag_app.zpkg.layout import HEADER_BYTES, OFFSET_BYTES, Header, parse_header

_RESTORE = "Restore the file from a copy, or rebuild the pack."
_VERIFY_PIECE = 1 << 20


class Reader:
    """A pack behind any source of bytes: a file, a memory map, an object store.

    Opening reads the header and the offset table and checks both; the dictionary is read when it is first asked
    for; a chunk costs one ``get_bytes`` of exactly its own bytes. Safe to share between threads if ``get_bytes`` is.

    Args:
        get_bytes: ``(start, length) -> bytes`` of the file.
        size: bytes of the file.

    Raises:
        MagicError, VersionError, TruncatedError, HeaderError, OffsetError: the file is no sound pack.
    """

    def __init__(self, get_bytes: Callable[[int, int], bytes], size: int) -> None:
        self._get_bytes = get_bytes
        self._header = parse_header(get_bytes(0, min(HEADER_BYTES, size)), size)
        self._ends = _read_table(get_bytes, self._header)
        self._count = self._header.chunk_count
        self._close: Callable[[], None] | None = None

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, index: int) -> bytes:
        """The frame of chunk ``index``, 0 to ``len - 1``.

        Raises:
            ChunkIndexError: there is no such chunk.
        """
        if not 0 <= index < self._count:
            raise ChunkIndexError(f"The pack has chunks 0 to {self._count - 1}, not {index}.", remedy=_CATALOG)
        start: int = self._ends[index]
        return self._read(start, self._ends[index + 1] - start)

    def __iter__(self) -> Iterator[bytes]:
        return (self[index] for index in range(self._count))

    @property
    def header(self) -> Header:
        """What the pack says of itself."""
        return self._header

    @cached_property
    def dictionary(self) -> Dictionary:
        """The shared dictionary; ``Dictionary(b"")`` if the pack has none.

        Raises:
            DictionaryError: it is damaged.
        """
        data = self._read(HEADER_BYTES, self._header.dictionary_size)
        if zlib.crc32(data) != self._header.dictionary_crc32:
            raise DictionaryError("The dictionary of the pack does not match its checksum.", remedy=_RESTORE)
        dictionary = Dictionary(data)
        _ = dictionary.layout  # a pack written around something that is no dictionary is named here, not in a frame
        return dictionary

    def verify(self) -> None:
        """Read the whole pack and compare every checksum; O(file), a few hundred MB a second or more.

        Raises:
            DictionaryError: the dictionary is damaged.
            FrameError: at least one frame is damaged. Which one, the catalog's checksum a chunk tells.
        """
        _ = self.dictionary
        checksum, position = 0, self._header.frames_start
        while position < self._header.file_size:
            piece = self._read(position, min(_VERIFY_PIECE, self._header.file_size - position))
            checksum = zlib.crc32(piece, checksum)
            position += len(piece)
        if checksum != self._header.frames_crc32:
            raise FrameError("The frames of the pack do not match their checksum.", remedy=_RESTORE)

    def close(self) -> None:
        """Give back the memory map, if :func:`open_pack` made one. Frames already read stay valid."""
        if self._close is not None:
            self._get_bytes = _refuse
            self._close()
            self._close = None

    def __enter__(self) -> Reader:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _read(self, start: int, length: int) -> bytes:
        data = self._get_bytes(start, length)
        if len(data) != length:
            raise TruncatedError(f"{len(data)} of {length} bytes came back at byte {start}.", remedy=_RESTORE)
        return data


def open_pack(path: str | Path) -> Reader:
    """Open a pack file through a read-only memory map; use it as a context manager or ``close`` it.

    Raises:
        ZpkgError: as :class:`Reader`; messages name the file.
        OSError: the file cannot be opened.
    """
    with Path(path).open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        # An empty file cannot be mapped; the reader names the trouble.
        mapped: mmap.mmap | bytes = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) if size else b""
    try:
        reader = Reader(lambda start, length: mapped[start : start + length], size)
    except BaseException:
        if isinstance(mapped, mmap.mmap):
            mapped.close()
        raise
    if isinstance(mapped, mmap.mmap):
        reader._close = mapped.close
    return reader


def _read_table(get_bytes: Callable[[int, int], bytes], header: Header) -> memoryview:
    """Offsets of all chunks and, last, the end of the file; checked to rise from the first frame's byte to it."""
    data = get_bytes(header.table_start, OFFSET_BYTES * header.chunk_count)
    if len(data) != OFFSET_BYTES * header.chunk_count:
        raise TruncatedError("The file ends inside the offset table.", remedy=_RESTORE)
    if zlib.crc32(data) != header.table_crc32:
        raise OffsetError("The offset table does not match its checksum.", remedy=_RESTORE)
    ends = np.empty(header.chunk_count + 1, dtype=np.uint32)
    ends[:-1] = np.frombuffer(data, dtype="<u4")
    ends[-1] = header.file_size
    lengths = np.diff(ends.astype(np.int64))
    if ends[0] != header.frames_start or (lengths < SMALLEST_FRAME).any():
        raise OffsetError("The offset table decreases or points outside the frames.", remedy=_RESTORE)
    return ends.data  # indexing it gives plain int, and faster than an array does


def _refuse(start: int, length: int) -> bytes:
    raise ZpkgError("The pack is closed.", remedy="Open it again.")


_CATALOG = "Run `cem-rag check`: the catalog points at a chunk that is not there."
