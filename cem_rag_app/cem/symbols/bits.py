"""The backward bit reader of RFC 8878, 4.1: streams are written forwards and read from their end.

State is ``(place, held, count)``: the next byte to take, the bits taken and not yet read, and how many they are.
It is passed and returned because a compiled function cannot keep it. Below the stream's start lie zeros; callers
keep count of the bits that are left and refuse a stream that was over-read.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from cem_rag_app.cem.symbols.fse import highest_bit
from cem_rag_app.cem.symbols.types import Bytes, Integer


@njit(cache=True, nogil=True)
def stream_bits(source: Bytes, start: Integer, end: Integer) -> Integer:
    """Count the data bits of the stream ``source[start:end]``; negative without its end mark."""
    if end <= start or source[end - 1] == 0:
        return -1
    return (end - 1 - start) * 8 + highest_bit(np.int64(source[end - 1]))


@njit(cache=True, nogil=True)
def open_stream(source: Bytes, end: Integer) -> tuple[Integer, Integer, Integer]:
    """State at the head of a stream that `stream_bits` accepted."""
    last = np.int64(source[end - 1])
    count = highest_bit(last)
    return end - 2, last & ((1 << count) - 1), count


@njit(cache=True, nogil=True)
def refill(
    source: Bytes, start: Integer, place: Integer, held: Integer, count: Integer
) -> tuple[Integer, Integer, Integer]:
    """Take bytes until at least 41 bits are held."""
    while count <= 40:
        held <<= 8
        if place >= start:
            held |= np.int64(source[place])
        place -= 1
        count += 8
    return place, held, count
