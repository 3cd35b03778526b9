"""Where the parts of a trained zstd dictionary lie (RFC 8878, section 5).

A dictionary is ``magic | id | Huffman table | offset, match-length and literal-length FSE tables | three repeat
offsets | content``. Only the content is text that matches can point into, and nothing in the file says where it
starts, so the four tables are walked here. They are measured, not built: whoever decodes frames builds them.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from cem_rag_app.errors import DictionaryError

DICTIONARY_MAGIC = 0xEC30A437
_FIXED_BYTES = 8
_REPEAT_BYTES = 12
_REMEDY = "Use a dictionary made by train_dictionary, or none."

# Largest accuracy log and largest symbol of the three FSE tables, in a dictionary's order (RFC 8878, 3.1.1.3.2.1).
_FSE_LIMITS = ((8, 31), (9, 52), (9, 35))


@dataclass(frozen=True, slots=True)
class DictionaryLayout:
    """Byte positions inside a trained dictionary."""

    dictionary_id: int
    entropy: slice
    """The Huffman table and the three FSE tables (offsets, match lengths, literal lengths), in that order."""
    repeat_offsets: tuple[int, int, int]
    """The offsets a frame starts with instead of 1, 4, 8."""
    content_start: int
    """Where the bytes begin that matches point into; they end with the dictionary."""


def locate_tables(data: bytes) -> DictionaryLayout:
    """Find the parts of a trained dictionary.

    Raises:
        DictionaryError: ``data`` is no trained zstd dictionary, or its tables are damaged.
    """
    if len(data) < _FIXED_BYTES:
        raise DictionaryError(f"A dictionary of {len(data)} bytes is too short.", remedy=_REMEDY)
    magic, dictionary_id = struct.unpack_from("<II", data)
    if magic != DICTIONARY_MAGIC:
        raise DictionaryError("These bytes do not start like a trained zstd dictionary.", remedy=_REMEDY)
    position = _skip_huffman(data, _FIXED_BYTES)
    for largest_log, largest_symbol in _FSE_LIMITS:
        position = _skip_fse(data, position, largest_log, largest_symbol)
    content_start = position + _REPEAT_BYTES
    if content_start >= len(data):
        raise DictionaryError("The dictionary ends inside its tables.", remedy=_REMEDY)
    first, second, third = struct.unpack_from("<III", data, position)
    if not all(0 < offset <= len(data) - content_start for offset in (first, second, third)):
        raise DictionaryError("A repeat offset of the dictionary points outside its content.", remedy=_REMEDY)
    return DictionaryLayout(dictionary_id, slice(_FIXED_BYTES, position), (first, second, third), content_start)


def _skip_huffman(data: bytes, position: int) -> int:
    """The position after a Huffman tree description (RFC 8878, 4.2.1)."""
    if position >= len(data):
        raise DictionaryError("The dictionary ends before its Huffman table.", remedy=_REMEDY)
    head = data[position]
    size = head if head < 128 else (head - 127 + 1) // 2  # FSE-compressed weights, or two 4-bit weights a byte
    return position + 1 + size


def _skip_fse(data: bytes, position: int, largest_log: int, largest_symbol: int) -> int:
    """The position after an FSE table description (RFC 8878, 4.1.1)."""
    # The largest description is 53 symbols of at most 10 bits and as many repeat flags: far below 128 bytes.
    bits = int.from_bytes(data[position : position + 128], "little")
    accuracy_log = (bits & 15) + 5
    if accuracy_log > largest_log:
        raise DictionaryError(f"An FSE table has accuracy {accuracy_log}, at most {largest_log} fits.", remedy=_REMEDY)
    remaining, symbol, used = 1 << accuracy_log, 0, 4
    while remaining > 0 and symbol <= largest_symbol:
        width = (remaining + 1).bit_length()
        value = (bits >> used) & ((1 << width) - 1)
        half = (1 << (width - 1)) - 1
        spare = (1 << width) - 1 - (remaining + 1)  # values small enough to be written with one bit less
        if value & half < spare:
            value &= half
            used += width - 1
        else:
            value -= spare if value > half else 0
            used += width
        probability = value - 1
        remaining -= abs(probability)  # -1 stands for "less than one" and takes one cell
        symbol += 1
        repeat = 3 if probability == 0 else 0
        while repeat == 3 and symbol <= largest_symbol:
            repeat = (bits >> used) & 3
            used += 2
            symbol += repeat
    if remaining or symbol > largest_symbol + 1:
        raise DictionaryError("An FSE table of the dictionary does not add up.", remedy=_REMEDY)
    return position + (used + 7) // 8
