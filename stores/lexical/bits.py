"""Bits, numbers and ascending lists of numbers in a byte array, least significant bit first.

A strictly ascending list is written by binary interpolative coding (Moffat and Stuiver 2000): its middle number, then
the two halves, each number in as few bits as the range left for it needs. Runs cost nothing, clusters little.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

Bytes = NDArray[np.uint8]
Integers = NDArray[Any]
Integer = Any
"""An integer inside a compiled function, where numba infers its own type."""

STACK_ROWS = 64
"""Halves that wait while a list is read: more than the logarithm of any list."""


@njit(cache=True, nogil=True)
def read_bits(data: Bytes, position: Integer, count: Integer) -> Integer:
    """Read ``count`` (at most 56) bits; beyond the end of the data lie zeros."""
    byte = position >> 3
    shift = position & 7
    value = np.int64(0)
    if shift + count <= 32 and byte + 4 <= data.size:
        value = np.int64(data[byte]) | np.int64(data[byte + 1]) << 8
        value |= np.int64(data[byte + 2]) << 16 | np.int64(data[byte + 3]) << 24
    else:
        for i in range((shift + count + 7) >> 3):
            if byte + i < data.size:
                value |= np.int64(data[byte + i]) << (8 * i)
    return (value >> shift) & ((np.int64(1) << count) - 1)


@njit(cache=True, nogil=True)
def write_bits(data: Bytes, position: Integer, value: Integer, count: Integer) -> Integer:
    """Write ``count`` (at most 56) bits into zeroed bytes; returns the position after them."""
    byte = position >> 3
    left = np.int64(value) << (position & 7)
    for i in range(((position & 7) + count + 7) >> 3):
        data[byte + i] |= np.uint8((left >> (8 * i)) & 255)
    return position + count


@njit(cache=True, nogil=True)
def bit_length(value: Integer) -> Integer:
    """Bits that a number needs; 0 for 0."""
    count = 0
    if value >= 65536:
        value >>= 16
        count = 16
        if value >= 65536:
            value >>= 16
            count = 32
    if value >= 256:
        value >>= 8
        count += 8
    if value >= 16:
        value >>= 4
        count += 4
    while value > 0:
        value >>= 1
        count += 1
    return count


@njit(cache=True, nogil=True)
def read_gamma(data: Bytes, position: Integer) -> tuple[Integer, Integer]:
    """Read a number from 1 on in Elias's gamma code: ``(number, next position)``."""
    zeros = 0
    while zeros < 48 and read_bits(data, position + zeros, 1) == 0:
        zeros += 1
    low = read_bits(data, position + zeros + 1, zeros)
    return (np.int64(1) << zeros) | low, position + 2 * zeros + 1


@njit(cache=True, nogil=True)
def write_gamma(data: Bytes, position: Integer, value: Integer) -> Integer:
    """Write a number from 1 on; returns the position after it."""
    zeros = bit_length(value) - 1
    position = write_bits(data, position + zeros, 1, 1)
    return write_bits(data, position, value & ((np.int64(1) << zeros) - 1), zeros)


@njit(cache=True, nogil=True)
def read_rice(data: Bytes, position: Integer, low: Integer) -> tuple[Integer, Integer]:
    """Read a number from 0 on whose ``low`` lowest bits are written as they are: ``(number, next position)``."""
    high = 0
    while high < (1 << 20) and read_bits(data, position + high, 1) == 1:
        high += 1
    position += high + 1
    return (np.int64(high) << low) | read_bits(data, position, low), position + low


@njit(cache=True, nogil=True)
def write_rice(data: Bytes, position: Integer, value: Integer, low: Integer) -> Integer:
    """Write a number from 0 on; returns the position after it."""
    for _ in range(value >> low):
        position = write_bits(data, position, 1, 1)
    position = write_bits(data, position, 0, 1)
    return write_bits(data, position, value & ((np.int64(1) << low) - 1), low)


@njit(cache=True, nogil=True)
def _read_below(data: Bytes, position: Integer, limit: Integer) -> tuple[Integer, Integer]:
    """Read a number below ``limit`` (at least 2); those in the middle are a bit shorter."""
    bits = bit_length(limit - 1)
    shorter = (np.int64(1) << bits) - limit
    both = read_bits(data, position, bits)
    code = both & ((np.int64(1) << (bits - 1)) - 1)
    position += bits - 1
    if code >= shorter:
        code = ((code << 1) | (both >> (bits - 1))) - shorter
        position += 1
    value = code + ((limit - shorter) >> 1)
    return value - limit if value >= limit else value, position


@njit(cache=True, nogil=True)
def _write_below(data: Bytes, position: Integer, value: Integer, limit: Integer) -> Integer:
    bits = bit_length(limit - 1)
    shorter = (np.int64(1) << bits) - limit
    code = value - ((limit - shorter) >> 1)
    if code < 0:
        code += limit
    if code < shorter:
        return write_bits(data, position, code, bits - 1)
    code += shorter
    position = write_bits(data, position, code >> 1, bits - 1)
    return write_bits(data, position, code & 1, 1)


@njit(cache=True, nogil=True)
def read_ascending(
    data: Bytes,
    position: Integer,
    out: Integers,
    start: Integer,
    count: Integer,
    lowest: Integer,
    highest: Integer,
    stack: Integers,
) -> Integer:
    """Read ``count`` ascending numbers between ``lowest`` and ``highest`` into ``out[start:]``.

    ``stack`` is scratch space of (STACK_ROWS, 4) int64. Returns the position after them.
    """
    depth = 0
    first, behind, low, high = np.int64(start), np.int64(start + count), np.int64(lowest), np.int64(highest)
    while True:
        while behind > first:
            spare = high - low + 1 - (behind - first)
            if spare <= 0:  # as many numbers as places: nothing is written
                for i in range(first, behind):
                    out[i] = low + (i - first)
                break
            middle = (first + behind) >> 1
            value, position = _read_below(data, position, spare + 1)
            number = low + (middle - first) + value
            out[middle] = number
            if middle + 1 < behind:
                stack[depth, 0], stack[depth, 1] = middle + 1, behind
                stack[depth, 2], stack[depth, 3] = number + 1, high
                depth += 1
            behind, high = middle, number - 1
        if depth == 0:
            return position
        depth -= 1
        first, behind = stack[depth, 0], stack[depth, 1]
        low, high = stack[depth, 2], stack[depth, 3]


@njit(cache=True, nogil=True)
def write_ascending(
    data: Bytes,
    position: Integer,
    numbers: Integers,
    start: Integer,
    count: Integer,
    lowest: Integer,
    highest: Integer,
    stack: Integers,
) -> Integer:
    """Write what :func:`read_ascending` reads; returns the position after it."""
    depth = 0
    first, behind, low, high = np.int64(start), np.int64(start + count), np.int64(lowest), np.int64(highest)
    while True:
        while behind > first:
            spare = high - low + 1 - (behind - first)
            if spare <= 0:
                break
            middle = (first + behind) >> 1
            number = np.int64(numbers[middle])
            position = _write_below(data, position, number - low - (middle - first), spare + 1)
            if middle + 1 < behind:
                stack[depth, 0], stack[depth, 1] = middle + 1, behind
                stack[depth, 2], stack[depth, 3] = number + 1, high
                depth += 1
            behind, high = middle, number - 1
        if depth == 0:
            return position
        depth -= 1
        first, behind = stack[depth, 0], stack[depth, 1]
        low, high = stack[depth, 2], stack[depth, 3]
