"""Frames -> a sealed pack file: streamed, and there whole or not at all."""

from __future__ import annotations

import contextlib
import hashlib
import sys
import zlib
from array import array
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import BinaryIO

from cem_rag_app.errors import PackFullError, ZpkgError
from cem_rag_app.files import create_temporary, discard, full_disk_named, publish
from cem_rag_app.zpkg.dictionary import Dictionary
from cem_rag_app.zpkg.frame import check_frame
from cem_rag_app.zpkg.layout import HEADER_BYTES, LARGEST_PACK, OFFSET_BYTES, Header

_PIECE = 1 << 20


@dataclass(frozen=True, slots=True)
class PackInfo:
    """A sealed pack."""

    path: Path
    count: int
    size: int
    """Bytes of the file."""
    sha256: str


class PackWriter:
    """Writes one pack. Frames are spooled beside it, because the offset table that precedes them is known last.

    ::

        with PackWriter(path, dictionary) as writer:
            for frame in frames:
                writer.add(frame)
            info = writer.seal()

    Leaving the block without :meth:`seal` leaves no file behind. Memory: four bytes a chunk.

    Args:
        path: where the pack will appear, replacing what is there.
        dictionary: the dictionary its frames were compressed with.
        create: makes an empty temporary file in a folder and returns it, open for writing and reading.
        largest: bytes the pack may have; the format allows 2**32 - 1.

    Raises:
        DictionaryError: the dictionary is damaged.
        DiskFullError: there is no space; nothing is left behind.
    """

    def __init__(
        self,
        path: str | Path,
        dictionary: Dictionary,
        *,
        create: Callable[[Path], BinaryIO] | None = None,
        largest: int = LARGEST_PACK,
    ) -> None:
        _ = dictionary.layout
        self.path = Path(path)
        self.dictionary = dictionary
        self._create = create or create_temporary
        self._largest = min(largest, LARGEST_PACK)
        self._starts = array("I" if array("I").itemsize == OFFSET_BYTES else "L")  # relative to the first frame
        self._frames_size = 0
        self._frames_crc32 = 0
        self._open = True
        with full_disk_named(self.path):
            self._spool = self._create(self.path.parent)

    def add(self, frame: bytes) -> int:
        """Append a frame; returns its chunk number.

        Raises:
            FrameError: it is no zpkg frame.
            PackFullError: the pack would grow beyond its limit; it is unchanged and can be sealed.
            DiskFullError: there is no space.
        """
        if not self._open:
            raise ZpkgError(f"{self.path} is sealed.", remedy="Packs are immutable: write another one.")
        check_frame(frame)
        index = len(self._starts)
        size = self._size(index + 1, self._frames_size + len(frame))
        if size > self._largest:
            raise PackFullError(f"{self.path} would have {size} bytes.", remedy="Seal it and start another pack.")
        with full_disk_named(self.path):
            self._spool.write(frame)
        self._starts.append(self._frames_size)
        self._frames_size += len(frame)
        self._frames_crc32 = zlib.crc32(frame, self._frames_crc32)
        return index

    def seal(self) -> PackInfo:
        """Assemble the pack, make it durable (fsync of file and folder), and let it appear under its name.

        Raises:
            DiskFullError: there is no space; nothing is left behind.
        """
        if not self._open:
            raise ZpkgError(f"{self.path} is already sealed.", remedy="Packs are immutable: write another one.")
        digest = hashlib.sha256()
        with full_disk_named(self.path), contextlib.ExitStack() as cleanup:
            target = self._create(self.path.parent)
            cleanup.callback(discard, target)
            for piece in self._pieces():
                digest.update(piece)
                target.write(piece)
            publish(target, self.path)
        self.close()
        size = self._size(len(self._starts), self._frames_size)
        return PackInfo(self.path, len(self._starts), size, digest.hexdigest())

    def close(self) -> None:
        """Give up what is not sealed."""
        if self._open:
            self._open = False
            discard(self._spool)

    def __len__(self) -> int:
        return len(self._starts)

    def __enter__(self) -> PackWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _size(self, count: int, frames_size: int) -> int:
        return HEADER_BYTES + len(self.dictionary.data) + OFFSET_BYTES * count + frames_size

    def _pieces(self) -> Iterator[bytes]:
        """The bytes of the file, in order."""
        count, dictionary = len(self._starts), self.dictionary.data
        frames_start = self._size(count, 0)
        table = array(self._starts.typecode, (start + frames_start for start in self._starts))
        if sys.byteorder == "big":
            table.byteswap()
        table_bytes = table.tobytes()
        yield Header(
            chunk_count=count,
            dictionary_size=len(dictionary),
            file_size=frames_start + self._frames_size,
            dictionary_crc32=zlib.crc32(dictionary),
            table_crc32=zlib.crc32(table_bytes),
            frames_crc32=self._frames_crc32,
        ).to_bytes()
        yield dictionary
        yield table_bytes
        self._spool.flush()
        self._spool.seek(0)
        while piece := self._spool.read(_PIECE):
            yield piece
