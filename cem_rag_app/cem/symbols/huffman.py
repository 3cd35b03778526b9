"""Huffman-coded literals (RFC 8878, 4.2): reading a tree, decoding its streams.

The decoding table is int32: ``bits << 8 | symbol``, indexed by the next ``log`` bits.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from cem_rag_app.cem.symbols.bits import open_stream, refill, stream_bits
from cem_rag_app.cem.symbols.constants import (
    ERROR_HUFFMAN,
    ERROR_TRUNCATED,
    HUFFMAN_LOG,
    OK,
    WEIGHTS_LOG,
)
from cem_rag_app.cem.symbols.fse import build_table, highest_bit, read_distribution
from cem_rag_app.cem.symbols.types import Bytes, Integer, Integers, Table


@njit(cache=True, nogil=True)
def _read_weights(source: Bytes, start: Integer, end: Integer, weights: Integers) -> Integer:
    """Read FSE-coded weights from ``source[start:end]`` and return how many, or an error code."""
    counts = np.zeros(256, dtype=np.int64)
    position, log, symbols = read_distribution(source, start, end, 255, WEIGHTS_LOG, counts)
    if position < 0:
        return ERROR_HUFFMAN
    table = np.zeros(1 << WEIGHTS_LOG, dtype=np.int32)
    if build_table(counts, symbols, log, table) != OK:
        return ERROR_HUFFMAN
    left = stream_bits(source, position, end)
    if left < 2 * log:
        return ERROR_HUFFMAN
    place, held, count = open_stream(source, end)
    states = np.zeros(2, dtype=np.int64)
    for i in range(2):
        place, held, count = refill(source, position, place, held, count)
        count -= log
        states[i] = (held >> count) & ((1 << log) - 1)
        held &= (1 << count) - 1
        left -= log
    # Two states take turns. The stream ends when one of them needs more bits than there are: the other one's
    # symbol is then the last.
    total = 0
    turn = 0
    while True:
        if total >= 254:
            return ERROR_HUFFMAN
        entry = table[states[turn]]
        weights[total] = entry & 255
        total += 1
        bits = (entry >> 8) & 255
        if left < bits:
            weights[total] = table[states[1 - turn]] & 255
            return total + 1
        place, held, count = refill(source, position, place, held, count)
        count -= bits
        states[turn] = (entry >> 16) + ((held >> count) & ((1 << bits) - 1))
        held &= (1 << count) - 1
        left -= bits
        turn = 1 - turn


@njit(cache=True, nogil=True)
def read_tree(source: Bytes, start: Integer, end: Integer, table: Table) -> tuple[Integer, Integer]:
    """Read a tree description and fill ``table``.

    Returns:
        ``(next position, log)``; a negative first value is an error code.
    """
    if start >= end:
        return ERROR_TRUNCATED, 0
    weights = np.zeros(256, dtype=np.int64)
    header = np.int64(source[start])
    position = start + 1
    if header >= 128:
        total: Integer = header - 127
        if position + (total + 1) // 2 > end:
            return ERROR_TRUNCATED, 0
        for i in range(total):
            byte = np.int64(source[position + i // 2])
            weights[i] = byte >> 4 if i % 2 == 0 else byte & 15
        position += (total + 1) // 2
    else:
        if position + header > end:
            return ERROR_TRUNCATED, 0
        total = _read_weights(source, position, position + header, weights)
        if total < 0:
            return ERROR_HUFFMAN, 0
        position += header
    # The last weight is not written: it fills the tree up to a power of two.
    filled = 0
    for i in range(total):
        if weights[i] > HUFFMAN_LOG:
            return ERROR_HUFFMAN, 0
        if weights[i] > 0:
            filled += 1 << (weights[i] - 1)
    if filled == 0:
        return ERROR_HUFFMAN, 0
    log = highest_bit(filled) + 1
    if log > HUFFMAN_LOG:
        return ERROR_HUFFMAN, 0
    rest = (1 << log) - filled
    last = highest_bit(rest)
    if rest != 1 << last:
        return ERROR_HUFFMAN, 0
    weights[total] = last + 1
    place = 0
    for weight in range(1, log + 1):
        for symbol in range(total + 1):
            if weights[symbol] == weight:
                entry = np.int32(((log + 1 - weight) << 8) | symbol)
                for _ in range(1 << (weight - 1)):
                    table[place] = entry
                    place += 1
    return position, log


@njit(cache=True, nogil=True)
def decode_stream(
    source: Bytes, start: Integer, end: Integer, table: Table, log: Integer, literals: Bytes, at: Integer, size: Integer
) -> Integer:
    """Decode one stream into ``literals[at : at + size]``; it must be used up exactly."""
    left = stream_bits(source, start, end)
    if left < 0:
        return ERROR_HUFFMAN
    place, held, count = open_stream(source, end)
    mask = (1 << log) - 1
    for i in range(size):
        if count < log:
            place, held, count = refill(source, start, place, held, count)
        entry = table[(held >> (count - log)) & mask]
        bits = entry >> 8
        count -= bits
        held &= (1 << count) - 1
        left -= bits
        if left < 0:
            return ERROR_HUFFMAN
        literals[at + i] = entry & 255
    return OK if left == 0 else ERROR_HUFFMAN
