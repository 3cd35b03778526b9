"""The sequences section of a compressed block (RFC 8878, 3.1.1.3.2): read, never executed."""

from __future__ import annotations

import numpy as np
from numba import njit

from cem_rag_app.cem.symbols.bits import open_stream, refill, stream_bits
from cem_rag_app.cem.symbols.constants import (
    DEFAULT_LITERAL_LENGTHS,
    DEFAULT_LOG,
    DEFAULT_MATCH_LENGTHS,
    DEFAULT_OFFSETS,
    ERROR_FSE,
    ERROR_NO_TABLE,
    ERROR_OFFSET,
    ERROR_SEQUENCES,
    ERROR_TOO_LARGE,
    ERROR_TRUNCATED,
    FSE_SIZE,
    LITERAL_LENGTH_BASE,
    LITERAL_LENGTH_BITS,
    LITERAL_LENGTHS,
    MATCH_LENGTH_BASE,
    MATCH_LENGTH_BITS,
    MATCH_LENGTHS,
    MAX_LOG,
    MAX_SYMBOL,
    OFFSETS,
    OK,
    STATE_FSE_LOG,
    STATE_OFFSETS,
)
from cem_rag_app.cem.symbols.fse import build_table, read_distribution
from cem_rag_app.cem.symbols.types import Bytes, Integer, Integers, Table

_PREDEFINED, _SINGLE, _DESCRIBED = 0, 1, 2
_FARTHEST = 1 << 30
"""Farther than any dictionary and chunk that are taken here; keeps offsets within int32."""


def predefined_tables() -> Table:
    """Decoding tables of the three predefined distributions, ``(3, 512)`` int32."""
    tables = np.zeros((3, FSE_SIZE), dtype=np.int32)
    for row, counts in enumerate((DEFAULT_LITERAL_LENGTHS, DEFAULT_OFFSETS, DEFAULT_MATCH_LENGTHS)):
        build_table(counts, counts.size, int(DEFAULT_LOG[row]), tables[row])
    return tables


@njit(cache=True, nogil=True)
def _read_table(
    source: Bytes,
    position: Integer,
    end: Integer,
    mode: Integer,
    row: Integer,
    fse: Table,
    predefined: Table,
    state: Integers,
) -> Integer:
    """Set ``fse[row]`` as the block's mode says; return the next position or an error code."""
    if mode == _PREDEFINED:
        fse[row] = predefined[row]
        state[STATE_FSE_LOG + row] = DEFAULT_LOG[row]
        return position
    if mode == _SINGLE:
        if position >= end:
            return ERROR_TRUNCATED
        symbol = np.int64(source[position])
        if symbol > MAX_SYMBOL[row]:
            return ERROR_FSE
        fse[row, 0] = symbol
        state[STATE_FSE_LOG + row] = 0
        return position + 1
    if mode == _DESCRIBED:
        counts = np.zeros(64, dtype=np.int64)
        position, log, symbols = read_distribution(source, position, end, MAX_SYMBOL[row], MAX_LOG[row], counts)
        if position < 0:
            return position
        if build_table(counts, symbols, log, fse[row]) != OK:
            return ERROR_FSE
        state[STATE_FSE_LOG + row] = log
        return position
    return position if state[STATE_FSE_LOG + row] >= 0 else ERROR_NO_TABLE


@njit(cache=True, nogil=True)
def read_sequences(
    source: Bytes,
    start: Integer,
    end: Integer,
    fse: Table,
    predefined: Table,
    state: Integers,
    sequences: Table,
    at: Integer,
) -> Integer:
    """Decode the sequences of the block ``source[start:end]`` into rows ``sequences[at:]``.

    A row is ``(literal length, match length, offset)``, the offset resolved against the recent ones. ``state`` and
    ``fse`` carry what later blocks may repeat.

    Returns:
        How many sequences were read, or an error code.
    """
    if start >= end:
        return ERROR_TRUNCATED
    total = np.int64(source[start])
    position = start + 1
    if total == 0:
        return 0 if position == end else ERROR_SEQUENCES
    if total == 255:
        if position + 2 > end:
            return ERROR_TRUNCATED
        total = np.int64(source[position]) + (np.int64(source[position + 1]) << 8) + 0x7F00
        position += 2
    elif total >= 128:
        if position >= end:
            return ERROR_TRUNCATED
        total = ((total - 128) << 8) + np.int64(source[position])
        position += 1
    if position >= end:
        return ERROR_TRUNCATED
    if at + total > sequences.shape[0]:
        return ERROR_TOO_LARGE
    modes = np.int64(source[position])
    position += 1
    if modes & 3:
        return ERROR_SEQUENCES
    for row in range(3):
        mode = (modes >> (6 - 2 * row)) & 3
        position = _read_table(source, position, end, mode, row, fse, predefined, state)
        if position < 0:
            return position

    left = stream_bits(source, position, end)
    if left < 0:
        return ERROR_SEQUENCES
    place, held, count = open_stream(source, end)
    states = np.zeros(3, dtype=np.int64)
    for row in range(3):
        bits = state[STATE_FSE_LOG + row]
        place, held, count = refill(source, position, place, held, count)
        count -= bits
        states[row] = (held >> count) & ((1 << bits) - 1)
        held &= (1 << count) - 1
        left -= bits
    if left < 0:
        return ERROR_SEQUENCES
    for i in range(total):
        literal_code = fse[LITERAL_LENGTHS, states[LITERAL_LENGTHS]] & 255
        offset_code = fse[OFFSETS, states[OFFSETS]] & 255
        match_code = fse[MATCH_LENGTHS, states[MATCH_LENGTHS]] & 255

        bits = np.int64(offset_code)
        place, held, count = refill(source, position, place, held, count)
        count -= bits
        offset_value = (np.int64(1) << bits) + ((held >> count) & ((np.int64(1) << bits) - 1))
        held &= (np.int64(1) << count) - 1
        left -= bits

        bits = MATCH_LENGTH_BITS[match_code]
        place, held, count = refill(source, position, place, held, count)
        count -= bits
        match_length = MATCH_LENGTH_BASE[match_code] + ((held >> count) & ((1 << bits) - 1))
        left -= bits

        bits = LITERAL_LENGTH_BITS[literal_code]
        held &= (np.int64(1) << count) - 1
        place, held, count = refill(source, position, place, held, count)
        count -= bits
        literal_length = LITERAL_LENGTH_BASE[literal_code] + ((held >> count) & ((1 << bits) - 1))
        held &= (np.int64(1) << count) - 1
        left -= bits

        offset = _resolve_offset(offset_value, literal_length, state)
        if left < 0:
            return ERROR_SEQUENCES
        if offset <= 0 or offset > _FARTHEST:
            return ERROR_OFFSET
        sequences[at + i, 0] = literal_length
        sequences[at + i, 1] = match_length
        sequences[at + i, 2] = offset

        if i + 1 < total:
            place, held, count = refill(source, position, place, held, count)
            for row in (LITERAL_LENGTHS, MATCH_LENGTHS, OFFSETS):
                entry = np.int64(fse[row, states[row]])
                bits = (entry >> 8) & 255
                count -= bits
                states[row] = (entry >> 16) + ((held >> count) & ((1 << bits) - 1))
                held &= (np.int64(1) << count) - 1
                left -= bits
            if left < 0:
                return ERROR_SEQUENCES
    return total if left == 0 else ERROR_SEQUENCES


@njit(cache=True, nogil=True)
def _resolve_offset(value: Integer, literal_length: Integer, state: Integers) -> Integer:
    """Turn a coded offset into a distance and update the recent ones (RFC 8878, 3.1.1.5)."""
    first = state[STATE_OFFSETS]
    second = state[STATE_OFFSETS + 1]
    if value > 3:
        offset = value - 3
    else:
        recent = value - 1 + (1 if literal_length == 0 else 0)
        if recent == 0:
            return int(first)
        if recent == 1:
            state[STATE_OFFSETS] = second
            state[STATE_OFFSETS + 1] = first
            return int(second)
        offset = state[STATE_OFFSETS + 2] if recent == 2 else first - 1
    state[STATE_OFFSETS + 2] = second
    state[STATE_OFFSETS + 1] = first
    state[STATE_OFFSETS] = offset
    return int(offset)
