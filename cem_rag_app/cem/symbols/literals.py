"""The literals section of a compressed block (RFC 8878, 3.1.1.3.1)."""

from __future__ import annotations

import numpy as np
from numba import njit

from cem_rag_app.cem.symbols.constants import (
    ERROR_LITERALS,
    ERROR_NO_TABLE,
    ERROR_TOO_LARGE,
    ERROR_TRUNCATED,
    MAX_BLOCK,
    OK,
    STATE_HUFFMAN_LOG,
)
from cem_rag_app.cem.symbols.huffman import decode_stream, read_tree
from cem_rag_app.cem.symbols.types import Bytes, Integer, Integers, Table

_RAW, _RLE = 0, 1
_TREELESS = 3


@njit(cache=True, nogil=True)
def read_literals(
    source: Bytes, start: Integer, end: Integer, huffman: Table, state: Integers, literals: Bytes, at: Integer
) -> tuple[Integer, Integer]:
    """Decode the literals of the block ``source[start:end]`` into ``literals[at:]``.

    Returns:
        ``(next position, literals written)``; a negative first value is an error code.
    """
    if start >= end:
        return ERROR_TRUNCATED, 0
    first = np.int64(source[start])
    kind = first & 3
    shape = (first >> 2) & 3
    if kind <= _RLE:
        width: Integer = 1 if shape & 1 == 0 else 2 if shape == 1 else 3
        if start + width > end:
            return ERROR_TRUNCATED, 0
        header = np.int64(0)
        for i in range(width):
            header |= np.int64(source[start + i]) << (8 * i)
        size = header >> (3 if width == 1 else 4)
        position = start + width
        if size > MAX_BLOCK:
            return ERROR_LITERALS, 0
        if at + size > literals.size:
            return ERROR_TOO_LARGE, 0
        if kind == _RAW:
            if position + size > end:
                return ERROR_TRUNCATED, 0
            literals[at : at + size] = source[position : position + size]
            return position + size, size
        if position >= end:
            return ERROR_TRUNCATED, 0
        literals[at : at + size] = source[position]
        return position + 1, size

    width = 3 if shape <= 1 else shape + 2
    if start + width > end:
        return ERROR_TRUNCATED, 0
    header = np.int64(0)
    for i in range(width):
        header |= np.int64(source[start + i]) << (8 * i)
    bits = 10 if shape <= 1 else 14 if shape == 2 else 18
    size = (header >> 4) & ((1 << bits) - 1)
    packed = (header >> (4 + bits)) & ((1 << bits) - 1)
    position = start + width
    if size > MAX_BLOCK or packed == 0:
        return ERROR_LITERALS, 0
    if at + size > literals.size:
        return ERROR_TOO_LARGE, 0
    if position + packed > end:
        return ERROR_TRUNCATED, 0
    stop = position + packed
    if kind == _TREELESS:
        if state[STATE_HUFFMAN_LOG] <= 0:
            return ERROR_NO_TABLE, 0
    else:
        position, log = read_tree(source, position, stop, huffman)
        if position < 0:
            return position, 0
        state[STATE_HUFFMAN_LOG] = log
    if shape == 0:
        result = decode_stream(source, position, stop, huffman, state[STATE_HUFFMAN_LOG], literals, at, size)
        return (stop if result == OK else result), size

    # Four streams behind a table of the first three's sizes.
    if position + 6 > stop or size < 4:
        return ERROR_LITERALS, 0
    jump = position
    position += 6
    part = (size + 3) // 4
    for i in range(4):
        if i < 3:
            finish = position + np.int64(source[jump + 2 * i]) + (np.int64(source[jump + 2 * i + 1]) << 8)
            count = part
        else:
            finish = stop
            count = size - 3 * part
        if finish > stop or count < 0:
            return ERROR_LITERALS, 0
        result = decode_stream(
            source, position, finish, huffman, state[STATE_HUFFMAN_LOG], literals, at + i * part, count
        )
        if result != OK:
            return result, 0
        position = finish
    return stop, size
