"""Finite state entropy (RFC 8878, 4.1): reading a distribution and building its decoding table.

A table is a row of int32: ``baseline << 16 | bits << 8 | symbol`` for each state.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from cem_rag_app.cem.symbols.constants import ERROR_FSE, ERROR_TRUNCATED, OK
from cem_rag_app.cem.symbols.types import Bytes, Integer, Integers, Table


@njit(cache=True, nogil=True)
def highest_bit(value: Integer) -> Integer:
    """Position of the highest set bit; ``value`` must be positive."""
    bit = 0
    while value > 1:
        value >>= 1
        bit += 1
    return bit


@njit(cache=True, nogil=True)
def _peek(source: Bytes, end: Integer, bit: Integer, count: Integer) -> Integer:
    """Read ``count`` (at most 16) bits at position ``bit`` of a little-endian bit stream; beyond ``end`` lie zeros."""
    byte = bit >> 3
    value: Integer = 0
    for i in range(3):
        if byte + i < end:
            value |= np.int64(source[byte + i]) << (8 * i)
    return (value >> (bit & 7)) & ((1 << count) - 1)


@njit(cache=True, nogil=True)
def read_distribution(
    source: Bytes, start: Integer, end: Integer, max_symbol: Integer, max_log: Integer, counts: Integers
) -> tuple[Integer, Integer, Integer]:
    """Read a probability distribution into ``counts`` (-1: less than one).

    Returns:
        ``(next position, accuracy log, symbols described)``; a negative first value is an error code.
    """
    bit: Integer = start * 8
    log = _peek(source, end, bit, 4) + 5
    bit += 4
    if log > max_log:
        return ERROR_FSE, 0, 0
    remaining: Integer = (1 << log) + 1
    threshold = 1 << log
    width = log + 1
    symbol: Integer = 0
    previous_zero = False
    while remaining > 1 and symbol <= max_symbol:
        if previous_zero:
            repeat: Integer = 3
            while repeat == 3:
                repeat = _peek(source, end, bit, 2)
                bit += 2
                # Beyond the end lie zeros, so this loop ends by itself.
                for _ in range(repeat):
                    if symbol > max_symbol:
                        return ERROR_FSE, 0, 0
                    counts[symbol] = 0
                    symbol += 1
            if symbol > max_symbol:
                return ERROR_FSE, 0, 0
        spare = 2 * threshold - 1 - remaining
        value = _peek(source, end, bit, width)
        if (value & (threshold - 1)) < spare:
            count = value & (threshold - 1)
            bit += width - 1
        else:
            count = value & (2 * threshold - 1)
            if count >= threshold:
                count -= spare
            bit += width
        count -= 1
        remaining -= abs(count)
        if remaining < 1:
            return ERROR_FSE, 0, 0
        counts[symbol] = count
        symbol += 1
        previous_zero = count == 0
        while remaining < threshold and width > 1:
            width -= 1
            threshold >>= 1
    if remaining != 1:
        return ERROR_FSE, 0, 0
    position = (bit + 7) >> 3
    if position > end:
        return ERROR_TRUNCATED, 0, 0
    return position, log, symbol


@njit(cache=True, nogil=True)
def build_table(counts: Integers, symbols: Integer, log: Integer, table: Table) -> Integer:
    """Fill ``table[: 1 << log]`` from a distribution that sums to ``1 << log``."""
    size = 1 << log
    following = np.zeros(256, dtype=np.int64)
    high = size - 1
    for symbol in range(symbols):
        if counts[symbol] == -1:
            if high < 0:
                return ERROR_FSE
            table[high] = symbol
            high -= 1
            following[symbol] = 1
        else:
            following[symbol] = counts[symbol]
    step = (size >> 1) + (size >> 3) + 3
    mask = size - 1
    position = 0
    for symbol in range(symbols):
        for _ in range(max(0, counts[symbol])):
            table[position] = symbol
            position = (position + step) & mask
            guard = 0
            while position > high:
                position = (position + step) & mask
                guard += 1
                if guard > size:
                    return ERROR_FSE
    if position != 0:
        return ERROR_FSE
    for state in range(size):
        symbol = table[state]
        value = following[symbol]
        following[symbol] += 1
        if value < 1:
            return ERROR_FSE
        bits = log - highest_bit(value)
        baseline = (value << bits) - size
        table[state] = np.int32((baseline << 16) | (bits << 8) | symbol)
    return OK
