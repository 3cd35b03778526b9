"""Macro sequences as bytes: a small header and a zstd frame. They are numbers, not text, and know no dictionary.

::

    byte 0      1 = int16, 2 = float32 (little-endian, row by row)
    bytes 1-2   rows
    bytes 3-4   columns
    bytes 5-8   CRC-32 of what is before and after it
    rest        zstd frame of the values, column by column: a column's neighbours are alike
"""

from __future__ import annotations

import hashlib
import struct
import zlib

import numpy as np
import zstandard

from cem_rag_app.errors import MemoryCorruptError
from cem_rag_app.schema import FloatArray

_HEADER = struct.Struct("<BHH")
_CHECKSUM = struct.Struct("<I")
_START = _HEADER.size + _CHECKSUM.size
_TYPES: dict[int, np.dtype[np.generic]] = {1: np.dtype("<i2"), 2: np.dtype("<f4")}
_LEVEL = 12


def pack_sequence(sequence: FloatArray) -> bytes:
    """Compress a (seq_len, 1 + n_args) sequence without loss: whole numbers in 16 bits, others as float32."""
    rows, columns = sequence.shape
    whole = bool((sequence == np.rint(sequence)).all() and (np.abs(sequence) <= 32_767).all())
    code = 1 if whole else 2
    values = np.ascontiguousarray(sequence.T).astype(_TYPES[code])
    compressed = zstandard.ZstdCompressor(level=_LEVEL, write_content_size=False).compress(values.tobytes())
    header = _HEADER.pack(code, rows, columns)
    return header + _CHECKSUM.pack(zlib.crc32(compressed, zlib.crc32(header))) + compressed


def unpack_sequence(frame: bytes) -> FloatArray:
    """Read a sequence back as (seq_len, 1 + n_args) float32.

    Raises:
        MemoryCorruptError: the bytes are damaged.
    """
    try:
        code, rows, columns = _HEADER.unpack_from(frame)
        (checksum,) = _CHECKSUM.unpack_from(frame, _HEADER.size)
        if checksum != zlib.crc32(frame[_START:], zlib.crc32(frame[: _HEADER.size])):
            raise ValueError("its checksum differs")
        kind = _TYPES[code]
        size = rows * columns * kind.itemsize
        raw = zstandard.ZstdDecompressor().decompress(frame[_START:], max_output_size=size)
        values = np.frombuffer(raw, dtype=kind).reshape(columns, rows)
    except (struct.error, KeyError, ValueError, zstandard.ZstdError) as error:
        raise MemoryCorruptError(
            f"A stored macro sequence is damaged ({error!r}).", remedy="Import its file again."
        ) from error
    return np.ascontiguousarray(values.T, dtype=np.float32)


def fingerprint(z: bytes, frame: bytes | None) -> int:
    """64 bits, signed, that name the content of an item."""
    digest = hashlib.blake2b(z, digest_size=8)
    digest.update(frame or b"")
    return int.from_bytes(digest.digest(), "little", signed=True)
