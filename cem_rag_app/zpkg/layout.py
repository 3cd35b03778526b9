"""The fixed part of a pack: its 32-byte header, and the checks that need nothing else (``docs/zpkg-spec.md``)."""

from __future__ import annotations

import binascii
import struct
from dataclasses import dataclass

from cem_rag_app.errors import HeaderError, MagicError, TruncatedError, VersionError

MAGIC = b"ZPKG"
VERSION = 1
HEADER_BYTES = 32
OFFSET_BYTES = 4
LARGEST_PACK = 2**32 - 1
"""Bytes of the largest pack: its size and every offset fit uint32."""

_FIELDS = struct.Struct("<4sBBHIIIIII")
_CHECKSUM_AT = 6


@dataclass(frozen=True, slots=True)
class Header:
    """What the first 32 bytes of a pack say. All numbers are unsigned and little-endian."""

    chunk_count: int
    dictionary_size: int
    file_size: int
    dictionary_crc32: int
    table_crc32: int
    frames_crc32: int

    @property
    def table_start(self) -> int:
        """Byte at which the offset table begins."""
        return HEADER_BYTES + self.dictionary_size

    @property
    def frames_start(self) -> int:
        """Byte at which the first frame begins."""
        return self.table_start + OFFSET_BYTES * self.chunk_count

    def to_bytes(self) -> bytes:
        """The 32 bytes."""
        fields = (
            self.chunk_count,
            self.dictionary_size,
            self.file_size,
            self.dictionary_crc32,
            self.table_crc32,
            self.frames_crc32,
        )
        unsigned = _FIELDS.pack(MAGIC, VERSION, 0, 0, *fields)
        return _FIELDS.pack(MAGIC, VERSION, 0, _checksum(unsigned), *fields)


def parse_header(data: bytes, size: int) -> Header:
    """Read and check a header against the size of its file.

    Args:
        data: the first 32 bytes of the file, fewer if it has fewer.
        size: bytes of the whole file.

    Raises:
        MagicError: no pack. VersionError: a newer pack. TruncatedError: the file ends too early.
        HeaderError: a field is damaged or contradicts the file.
    """
    if not MAGIC.startswith(data[:4]) or (size >= 4 and len(data) < 4):
        raise MagicError(f"The file starts with {data[:4]!r}, not {MAGIC!r}.", remedy="Give a .zpkg file.")
    if size < HEADER_BYTES or len(data) < HEADER_BYTES:
        raise TruncatedError(f"The file has {size} bytes, a pack at least {HEADER_BYTES}.", remedy=_RESTORE)
    _, version, flags, checksum, *fields = _FIELDS.unpack(data[:HEADER_BYTES])
    if version != VERSION:
        raise VersionError(f"The pack is of version {version}, this release reads {VERSION}.", remedy="Update cem-rag.")
    if checksum != _checksum(data[:HEADER_BYTES]):
        raise HeaderError("The header does not match its checksum.", remedy=_RESTORE)
    if flags:
        raise HeaderError(f"The header has unknown flags {flags:#04x}.", remedy="Update cem-rag.")
    header = Header(*fields)
    if size < header.file_size:
        raise TruncatedError(f"The file has {size} of its {header.file_size} bytes.", remedy=_RESTORE)
    if size > header.file_size:
        raise HeaderError(f"{size - header.file_size} bytes follow the end of the pack.", remedy=_RESTORE)
    if header.frames_start > size or (header.chunk_count == 0 and header.frames_start != size):
        raise HeaderError(f"{header.chunk_count} chunks do not fit in {size} bytes.", remedy=_RESTORE)
    return header


def _checksum(header: bytes) -> int:
    """CRC-16/XMODEM of the header without its checksum field: finds every burst of up to 16 flipped bits."""
    return binascii.crc_hqx(header[:_CHECKSUM_AT] + header[_CHECKSUM_AT + 2 :], 0)


_RESTORE = "Restore the file from a copy, or rebuild the pack."
