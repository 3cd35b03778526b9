"""One term's postings: ascending chunk numbers and how often the term stands in each.

A list of up to ``BLOCK`` postings is one block. A longer one starts with a table of its blocks - the last chunk number
and the bits of each - so that a reader can pass over blocks.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from stores.lexical.bits import (
    STACK_ROWS,
    Bytes,
    Integer,
    Integers,
    bit_length,
    read_ascending,
    read_bits,
    read_gamma,
    read_rice,
    write_ascending,
    write_bits,
    write_gamma,
    write_rice,
)

BLOCK = 128
"""Postings of a block."""

DENSE_BLOCK = 64
"""Postings of a block where one chunk in ``DENSE`` holds the term: such lists are looked into, seldom read whole."""

DENSE = 16

INLINE = 8
"""Lists of up to this many postings lie in the dictionary, beside their term."""

HIGHEST_IMPACT = 255
TABLE_WIDTH_BITS = 6
"""Bits that tell how the lengths of a table's blocks are written."""


@njit(cache=True, nogil=True)
def read_block(
    data: Bytes,
    position: Integer,
    chunks: Integers,
    counts: Integers,
    start: Integer,
    count: Integer,
    lowest: Integer,
    highest: Integer,
    last_known: Integer,
    stack: Integers,
) -> Integer:
    """Read ``count`` postings of chunks from ``lowest`` to ``highest``; returns the position after them.

    ``last_known`` is 1 where the last chunk number is ``highest`` itself, as the table of a long list tells; else 0.
    """
    total, position = read_gamma(data, position)
    total += count - 1
    chunks[start + count - 1] = highest
    position = read_ascending(data, position, chunks, start, count - last_known, lowest, highest - last_known, stack)
    return read_counts(data, position, counts, start, count, total, stack)


@njit(cache=True, nogil=True)
def read_counts(
    data: Bytes,
    position: Integer,
    counts: Integers,
    start: Integer,
    count: Integer,
    total: Integer,
    stack: Integers,
) -> Integer:
    """Read the counts of a block, which are ``total`` together; returns the position after them."""
    # Running sums ascend too; where every count is one, they cost nothing.
    position = read_ascending(data, position, counts, start, count - 1, 1, total - 1, stack)
    counts[start + count - 1] = total
    for i in range(start + count - 1, start, -1):
        counts[i] -= counts[i - 1]
    return position


@njit(cache=True, nogil=True)
def write_block(
    data: Bytes,
    position: Integer,
    chunks: Integers,
    counts: Integers,
    start: Integer,
    count: Integer,
    lowest: Integer,
    highest: Integer,
    last_known: Integer,
    stack: Integers,
) -> Integer:
    """Write what :func:`read_block` reads; returns the position after it."""
    sums = np.empty(count, dtype=np.int64)
    total = np.int64(0)
    for i in range(count):
        total += np.int64(counts[start + i])
        sums[i] = total
    position = write_gamma(data, position, total - count + 1)
    position = write_ascending(data, position, chunks, start, count - last_known, lowest, highest - last_known, stack)
    return write_ascending(data, position, sums, 0, count - 1, 1, total - 1, stack)


@njit(cache=True, nogil=True)
def block_size(all_chunks: Integer, count: Integer) -> Integer:
    """Postings of each block of a list but its last."""
    return DENSE_BLOCK if count * DENSE > all_chunks else BLOCK


@njit(cache=True, nogil=True)
def gap_width(all_chunks: Integer, count: Integer) -> Integer:
    """Low bits of the table's gaps: what is usual for a list of this length."""
    return max(bit_length((all_chunks - count) * block_size(all_chunks, count) // count) - 1, 0)


@njit(cache=True, nogil=True)
def read_list(
    data: Bytes,
    position: Integer,
    count: Integer,
    all_chunks: Integer,
    chunks: Integers,
    counts: Integers,
    start: Integer,
    stack: Integers,
) -> Integer:
    """Read a whole list into ``chunks[start:]`` and ``counts[start:]``; returns the position after it."""
    if count > INLINE:
        position += 8  # the impact
    if count <= BLOCK:
        return read_block(data, position, chunks, counts, start, count, 0, all_chunks - 1, 0, stack)
    gap_low = gap_width(all_chunks, count)
    bits_low = read_bits(data, position, TABLE_WIDTH_BITS)
    table_bits, table = read_gamma(data, position + TABLE_WIDTH_BITS)
    position = table + table_bits
    block = block_size(all_chunks, count)
    lowest = np.int64(0)
    done = 0
    while done < count:
        size = min(block, count - done)
        gap, table = read_rice(data, table, gap_low)
        bits, table = read_rice(data, table, bits_low)
        last = lowest + size - 1 + gap
        read_block(data, position, chunks, counts, start + done, size, lowest, last, 1, stack)
        position += bits
        lowest = last + 1
        done += size
    return position


@njit(cache=True, nogil=True)
def _write_list(
    data: Bytes,
    position: Integer,
    chunks: Integers,
    counts: Integers,
    start: Integer,
    count: Integer,
    all_chunks: Integer,
    stack: Integers,
) -> Integer:
    if count <= BLOCK:
        return write_block(data, position, chunks, counts, start, count, 0, all_chunks - 1, 0, stack)
    usual = block_size(all_chunks, count)
    blocks = (count + usual - 1) // usual
    body = np.zeros((8 * count + 16 * blocks) + 64, dtype=np.uint8)
    ends = np.empty(blocks, dtype=np.int64)
    end = np.int64(0)
    lowest = np.int64(0)
    for block in range(blocks):
        size = min(usual, count - block * usual)
        last = np.int64(chunks[start + block * usual + size - 1])
        end = write_block(body, end, chunks, counts, start + block * usual, size, lowest, last, 1, stack)
        ends[block] = end
        lowest = last + 1
    gap_low = gap_width(all_chunks, count)
    bits_low = max(bit_length(end // blocks) - 1, 0)
    longest = (all_chunks >> gap_low) + (end >> bits_low) + blocks * (gap_low + bits_low + 2)
    table = np.zeros((longest >> 3) + 64, dtype=np.uint8)
    table_end = np.int64(0)
    lowest = np.int64(0)
    before = np.int64(0)
    for block in range(blocks):
        size = min(usual, count - block * usual)
        last = np.int64(chunks[start + block * usual + size - 1])
        table_end = write_rice(table, table_end, last - lowest - size + 1, gap_low)
        table_end = write_rice(table, table_end, ends[block] - before, bits_low)
        lowest = last + 1
        before = ends[block]
    position = write_bits(data, position, bits_low, TABLE_WIDTH_BITS)
    position = write_gamma(data, position, table_end)
    position = _append(data, position, table, table_end)
    return _append(data, position, body, end)


@njit(cache=True, nogil=True)
def _append(data: Bytes, position: Integer, source: Bytes, bits: Integer) -> Integer:
    at = np.int64(0)
    while at < bits:
        some = min(48, bits - at)
        position = write_bits(data, position, read_bits(source, at, some), some)
        at += some
    return position


@njit(cache=True, nogil=True)
def write_lists(
    starts: Integers, chunks: Integers, counts: Integers, all_chunks: Integer, impacts: Bytes
) -> tuple[Bytes, Integers]:
    """Write the lists that are too long for the dictionary, each from a whole byte on.

    Args:
        starts: (n + 1) where each list begins in ``chunks`` and ``counts``.
        chunks: chunk numbers, ascending within each list.
        counts: how often the term stands in each.
        all_chunks: chunks of the index.
        impacts: (n) the highest impact of each list, in steps of 1/255 rounded up.

    Returns:
        Their bytes one after the other, and (n) the bytes of each; 0 for a list that lies in the dictionary.
    """
    stack = np.empty((STACK_ROWS, 4), dtype=np.int64)
    total = starts.size - 1
    sizes = np.zeros(total, dtype=np.int64)
    out = np.zeros((starts[total] - starts[0]) * 8 + 4096, dtype=np.uint8)
    end = np.int64(0)
    for row in range(total):
        count = starts[row + 1] - starts[row]
        if count <= INLINE:
            continue
        needed = end + count * 16 + (all_chunks >> 3) + 4096
        if needed > out.size:
            grown = np.zeros(needed * 2, dtype=np.uint8)
            grown[:end] = out[:end]
            out = grown
        position = write_bits(out, end * 8, impacts[row], 8)
        position = _write_list(out, position, chunks, counts, starts[row], count, all_chunks, stack)
        after = (position + 7) >> 3
        sizes[row] = after - end
        end = after
    return out[:end].copy(), sizes


@njit(cache=True, nogil=True)
def read_lists(
    data: Bytes, positions: Integers, counts_of: Integers, all_chunks: Integer
) -> tuple[Integers, Integers, Integers]:
    """Read many lists: where each begins, (n + 1), and all their chunk numbers and counts."""
    stack = np.empty((STACK_ROWS, 4), dtype=np.int64)
    starts = np.zeros(positions.size + 1, dtype=np.int64)
    for row in range(positions.size):
        starts[row + 1] = starts[row] + counts_of[row]
    chunks = np.empty(starts[positions.size], dtype=np.int64)
    counts = np.empty(starts[positions.size], dtype=np.int64)
    for row in range(positions.size):
        read_list(data, positions[row], counts_of[row], all_chunks, chunks, counts, starts[row], stack)
    return starts, chunks, counts
