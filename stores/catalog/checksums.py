"""Checksums of rows: SQLite sees a page that is no page, not a time or a name in which a bit has flipped.

A chunk's checksum covers its frame and what its row says of it; the first message of a chunk carries one over all the
messages of that chunk, with their speakers; a document's covers its row and its source. Facets have none: they are
made again from all these and compared. They are CRC-32, kept signed, which takes SQLite four bytes instead of six.
"""

from __future__ import annotations

import json
import struct
import zlib
from typing import Any

_CHUNK = struct.Struct("<qBIqdq")

SUMMED_TABLES = {
    "memory_state": ("key", "value"),
    "preferences": ("key", "value"),
    "persona": ("id", "rules"),
    "packs": ("pack_number", "sha256", "chunks", "bytes", "dictionary_key"),
    "feedback": ("message_id", "good", "marked_at"),
    "turn_records": ("turn_id", "frame"),
}
"""Small tables whose rows carry their own checksum, and the columns that it is over; the first is the key."""


def signed(crc: int) -> int:
    """An unsigned 32-bit number as the signed one with the same bits."""
    return crc - (1 << 32) if crc >= 1 << 31 else crc


def chunk_checksum(
    chunk_id: int, kind: int, frame_crc: int, raw_size: int, timestamp: float, dictionary_key: int | None
) -> int:
    """Of a chunk.

    Args:
        chunk_id: its id.
        kind: its code.
        frame_crc: CRC-32 of its frame, unsigned.
        raw_size: bytes of its text.
        timestamp: seconds since the epoch.
        dictionary_key: of its frame; None where a pack holds it, and knows its dictionary.
    """
    return signed(zlib.crc32(_CHUNK.pack(chunk_id, kind & 255, frame_crc, raw_size, timestamp, dictionary_key or 0)))


def row_checksum(*values: Any) -> int:
    """Of a row of texts, numbers, bytes and None."""
    plain = [value.hex() if isinstance(value, bytes) else value for value in values]
    return signed(zlib.crc32(json.dumps(plain, ensure_ascii=False).encode(errors="surrogatepass")))
