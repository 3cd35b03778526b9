"""``codes.bin``: a quantizer and the codes of a memory's vectors, mapped into memory and checked where it is read.

Layout, little-endian, every part padded to 64 bytes::

    magic "CEMC" | u32 version | u64 bytes of the head | u32 crc32 of the head
    head: u32 length, JSON (count, dimension, bits, coarse_octets, trained_on), mean f32, rotation f16, levels f32,
          crc32 of each block of 256 rows: of the coarse plane, then of the fine plane (u32)
    coarse plane: count rows
    fine plane: count rows

The head is checked when the file is opened, a block when it is first read: opening costs the same at any size, and
nothing is searched that does not match its checksum.
"""

from __future__ import annotations

import contextlib
import json
import os
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from cem_rag_app.errors import MemoryCorruptError
from stores.indexes.base import IntArray
from stores.indexes.codes.plan import CodePlan
from stores.indexes.codes.quantizer import CodeArray, Quantizer

BLOCK = 256
"""Rows under one checksum."""
_MAGIC = b"CEMC"
_VERSION = 1
_PREFIX = struct.Struct("<4sIQI")
_ALIGN = 64
_REMEDY = "Nothing is lost: it is rebuilt from the frames. `cem-rag build` saves the rebuilt index."


@dataclass(frozen=True, slots=True)
class StoredCodes:
    """What a file holds.

    Attributes:
        quantizer: that made the codes.
        trained_on: chunks in the memory when it was trained.
        coarse: (n, c) uint8, mapped.
        fine: (n, f) uint8, mapped.
        checksums: (2, blocks) uint32, coarse and fine.
    """

    quantizer: Quantizer
    trained_on: int
    coarse: CodeArray
    fine: CodeArray
    checksums: NDArray[np.uint32]


class BlockChecks:
    """Remembers which blocks of a mapped file have been compared with their checksums."""

    def __init__(self, path: Path, stored: StoredCodes) -> None:
        self._path = path
        self._planes = (stored.coarse, stored.fine)
        self._checksums = stored.checksums
        self._sound = np.zeros(stored.checksums.shape, dtype=bool)

    def check(self, plane: int, rows: IntArray | None = None) -> None:
        """Compare the blocks that hold ``rows``, all of them with None, of plane 0 (coarse) or 1 (fine).

        Raises:
            MemoryCorruptError: one does not match.
        """
        sound = self._sound[plane]
        blocks = np.arange(len(sound)) if rows is None else np.unique(rows // BLOCK)
        for block in blocks[~sound[blocks]].tolist():
            data = self._planes[plane][block * BLOCK : (block + 1) * BLOCK]
            if zlib.crc32(data.data) != self._checksums[plane, block]:
                raise MemoryCorruptError(f"{self._path} is damaged in block {block}.", remedy=_REMEDY)
            sound[block] = True


def write_codes(path: Path, quantizer: Quantizer, trained_on: int, coarse: CodeArray, fine: CodeArray) -> None:
    """Write a file; making it durable and letting it appear is the caller's business."""
    head = _head(quantizer, trained_on, coarse, fine)
    with path.open("wb") as file:
        file.write(_PREFIX.pack(_MAGIC, _VERSION, len(head), zlib.crc32(head)))
        file.write(head)
        for plane in (coarse, fine):
            _pad(file)
            for start in range(0, len(plane), 16 * BLOCK):
                file.write(np.ascontiguousarray(plane[start : start + 16 * BLOCK]).data)


def head_bytes(path: Path) -> bytes:
    """The part of a file that names everything else in it by checksum.

    Raises:
        MemoryCorruptError: there is no such file, or it is damaged or of another kind.
    """
    with _opened(path) as file:
        return _read_head(path, file)


def read_codes(path: Path) -> StoredCodes:
    """Open a file: its head is read and checked, its planes are mapped. One opening: it may be replaced meanwhile.

    Raises:
        MemoryCorruptError: it is damaged, cut short, or of another kind.
    """
    with _opened(path) as file:
        head = _read_head(path, file)[_PREFIX.size :]
        size = os.fstat(file.fileno()).st_size
        mapped = np.memmap(file, dtype=np.uint8, mode="r").view(np.ndarray)
    (length,) = struct.unpack_from("<I", head)
    told = json.loads(head[4 : 4 + length])
    plan = CodePlan(np.array(told["bits"], dtype=np.int64), int(told["coarse_octets"]))
    count, dimension = int(told["count"]), int(told["dimension"])
    at = 4 + length
    arrays: list[NDArray[np.generic]] = []
    blocks = -(-count // BLOCK)
    levels = int((8 << plan.bits).sum())
    for dtype, items in (("<f4", dimension), ("<f2", dimension * plan.axes), ("<f4", levels), ("<u4", 2 * blocks)):
        arrays.append(np.frombuffer(head, dtype=dtype, count=items, offset=at))
        at += items * np.dtype(dtype).itemsize
    mean, rotation, values, checksums = arrays
    quantizer = Quantizer(
        mean.astype(np.float32),
        rotation.astype(np.float16).reshape(dimension, plan.axes),
        plan,
        values.astype(np.float32),
    )
    start = _aligned(_PREFIX.size + len(head))
    second = _aligned(start + count * plan.coarse_bytes)
    end = second + count * plan.fine_bytes
    if size != end:
        raise MemoryCorruptError(f"{path} has not the length that its head tells.", remedy=_REMEDY)
    coarse = mapped[start : start + count * plan.coarse_bytes].reshape(count, plan.coarse_bytes)
    fine = mapped[second:end].reshape(count, plan.fine_bytes)
    return StoredCodes(quantizer, int(told["trained_on"]), coarse, fine, checksums.astype(np.uint32).reshape(2, blocks))


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[BinaryIO]:
    try:
        with path.open("rb") as file:
            yield file
    except (OSError, struct.error) as error:
        raise MemoryCorruptError(f"{path} cannot be read ({error}).", remedy=_REMEDY) from error


def _read_head(path: Path, file: BinaryIO) -> bytes:
    prefix = file.read(_PREFIX.size)
    magic, version, length, checksum = _PREFIX.unpack(prefix)
    head = file.read(length) if length <= os.fstat(file.fileno()).st_size else b""
    if magic != _MAGIC or version != _VERSION:
        raise MemoryCorruptError(f"{path} is no code index of version {_VERSION}.", remedy=_REMEDY)
    if len(head) != length or zlib.crc32(head) != checksum:
        raise MemoryCorruptError(f"The head of {path} does not match its checksum.", remedy=_REMEDY)
    return prefix + head


def _head(quantizer: Quantizer, trained_on: int, coarse: CodeArray, fine: CodeArray) -> bytes:
    told = json.dumps(
        {
            "count": len(coarse),
            "dimension": quantizer.dimension,
            "bits": quantizer.plan.bits.tolist(),
            "coarse_octets": quantizer.plan.coarse_octets,
            "trained_on": trained_on,
        }
    ).encode()
    checksums = [
        zlib.crc32(np.ascontiguousarray(plane[start : start + BLOCK]).data)
        for plane in (coarse, fine)
        for start in range(0, len(plane), BLOCK)
    ]
    return b"".join(
        (
            struct.pack("<I", len(told)),
            told,
            quantizer.mean.astype("<f4").tobytes(),
            quantizer.rotation.astype("<f2").tobytes(),
            quantizer.levels.astype("<f4").tobytes(),
            np.array(checksums, dtype="<u4").tobytes(),
        )
    )


def _aligned(position: int) -> int:
    return -(-position // _ALIGN) * _ALIGN


def _pad(file: BinaryIO) -> None:
    file.write(bytes(_aligned(file.tell()) - file.tell()))
