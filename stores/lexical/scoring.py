"""The best chunks of a sealed index for a question: exact BM25, by the rarest terms first.

The highest score that a term can give is known before its list is read. As soon as the terms that are left could not
lift a new chunk among the best, their lists are no longer read: only the blocks that hold a candidate are (MaxScore,
Turtle and Flood 1995).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from stores.lexical.bits import STACK_ROWS, Bytes, Integer, Integers, read_ascending, read_bits, read_gamma, read_rice
from stores.lexical.lengths import LENGTHS
from stores.lexical.lists import BLOCK, HIGHEST_IMPACT, TABLE_WIDTH_BITS, block_size, gap_width, read_counts, read_list

K1 = 1.2
B = 0.75

_ROUNDING = 1e-9
"""Sums taken in another order may differ by this share; a bound is never trusted to more."""

_NEAR = 2.0
_MANY = 4
"""With this many times the candidates wanted, and the terms left worth at most this many times what is reached, the
best so far are looked up in all lists that are left: what they reach in the end is what the others must reach."""

Floats = NDArray[np.float64]


def inverse_frequency(chunks: float, holding: float) -> float:
    """What a term counts that ``holding`` of ``chunks`` hold, never negative (Lucene's form)."""
    return float(np.log1p((chunks - holding + 0.5) / (holding + 0.5)))


def length_norms(average: float) -> Floats:
    """(256,) what stands beside the term frequency in BM25's denominator, for each length code."""
    return np.asarray(K1 * (1.0 - B + B * LENGTHS / max(average, 1e-9)), dtype=np.float64)


@njit(cache=True, nogil=True)
def highest_impacts(starts: Integers, chunks: Integers, counts: Integers, codes: Bytes, norms: Floats) -> Bytes:
    """The highest ``tf / (tf + norm)`` of each list (n), in steps of 1/255, rounded up."""
    out = np.zeros(starts.size - 1, dtype=np.uint8)
    for row in range(starts.size - 1):
        highest = 0.0
        for i in range(starts[row], starts[row + 1]):
            impact = counts[i] / (counts[i] + norms[codes[chunks[i]]])
            highest = max(highest, impact)
        out[row] = min(HIGHEST_IMPACT, int(np.ceil(highest * HIGHEST_IMPACT + 1e-6)))
    return out


@njit(cache=True, nogil=True)
def best_chunks(
    data: Bytes,
    positions: Integers,
    counts_of: Integers,
    weights: Floats,
    bounds: Floats,
    all_chunks: Integer,
    norms: Floats,
    lengths_at: Integer,
    mask: Bytes,
    given: Integers,
    closed: Any,
    limit: Integer,
) -> tuple[Integers, Floats]:
    """Candidates with their scores, the best ``limit`` among them.

    Args:
        data: the file.
        positions: (t) where each term's list lies, in bits; the terms are in the order they are read in.
        counts_of: (t) postings of each list.
        weights: (t) what a term's impact is multiplied with.
        bounds: (t) the most that a term can give.
        all_chunks: chunks of the index.
        norms: (256,) see :func:`length_norms`.
        lengths_at: where the length codes lie, in bytes.
        mask: a bit for each chunk that may be found; empty allows all.
        given: with ``closed``, the only chunks that may be found, ascending.
        closed: whether ``given`` counts.
        limit: how many are wanted.

    Returns:
        Ascending chunk numbers and their scores; a score of 0 means that no term was found in it.
    """
    stack = np.empty((STACK_ROWS, 4), dtype=np.int64)
    found = given.copy()
    scores = np.zeros(found.size, dtype=np.float64)
    rest = 0.0
    for bound in bounds:
        rest += bound
    enough = -1.0  # a score that the best chunks are known to reach
    hopeful = last = True
    for row in range(positions.size):
        if found.size >= limit:
            enough = max(enough, _kth_largest(scores, limit) * (1.0 - _ROUNDING))
            closes = closed or rest < enough
            many = found.size > _MANY * limit and row > 0
            if many and ((closes and last) or (hopeful and rest < _NEAR * enough)):
                hopeful, last = False, last and not closes
                top, sums = _top(found, scores, limit)
                for later in range(row, positions.size):
                    _look_up(
                        data, positions, counts_of, weights, later, all_chunks, norms, lengths_at, top, sums, stack
                    )
                enough = max(enough, sums.min() * (1.0 - _ROUNDING))
            closed = closed or rest < enough
            if closed:
                kept = 0
                for i in range(found.size):
                    if scores[i] + rest >= enough:
                        found[kept], scores[kept] = found[i], scores[i]
                        kept += 1
                found, scores = found[:kept], scores[:kept]
        rest = max(rest - bounds[row], 0.0) if row + 1 < positions.size else 0.0
        if closed:
            _look_up(data, positions, counts_of, weights, row, all_chunks, norms, lengths_at, found, scores, stack)
            continue
        size = counts_of[row]
        chunks = np.empty(size, dtype=np.int64)
        counts = np.empty(size, dtype=np.int64)
        read_list(data, positions[row], size, all_chunks, chunks, counts, 0, stack)
        found, scores = _merge(data, found, scores, chunks, counts, weights[row], norms, lengths_at, mask)
    return found, scores


@njit(cache=True, nogil=True)
def _top(found: Integers, scores: Floats, limit: Integer) -> tuple[Integers, Floats]:
    """The ``limit`` best so far, ascending by their numbers."""
    lowest = _kth_largest(scores, limit)
    top = np.empty(limit, dtype=np.int64)
    sums = np.empty(limit, dtype=np.float64)
    spare = limit
    for score in scores:
        spare -= score > lowest
    size = 0
    for i in range(found.size):
        if scores[i] > lowest or (scores[i] == lowest and spare > 0):
            spare -= scores[i] == lowest
            top[size], sums[size] = found[i], scores[i]
            size += 1
    return top, sums


@njit(cache=True, nogil=True)
def _kth_largest(scores: Floats, k: Integer) -> Any:
    """The k-th largest, by a heap of the k largest so far: most scores fail at its root."""
    heap = scores[:k].copy()
    for start in range(k // 2 - 1, -1, -1):
        _sink(heap, start)
    for i in range(k, scores.size):
        if scores[i] > heap[0]:
            heap[0] = scores[i]
            _sink(heap, 0)
    return heap[0]


@njit(cache=True, nogil=True)
def _sink(heap: Floats, at: Integer) -> None:
    while 2 * at + 1 < heap.size:
        child = 2 * at + 1
        if child + 1 < heap.size and heap[child + 1] < heap[child]:
            child += 1
        if heap[at] <= heap[child]:
            return
        heap[at], heap[child] = heap[child], heap[at]
        at = child


@njit(cache=True, nogil=True)
def _merge(
    data: Bytes,
    found: Integers,
    scores: Floats,
    chunks: Integers,
    counts: Integers,
    weight: Any,
    norms: Floats,
    lengths_at: Integer,
    mask: Bytes,
) -> tuple[Integers, Floats]:
    """Add a whole list: chunks found before get its share, new ones are put in their places."""
    merged = np.empty(found.size + chunks.size, dtype=np.int64)
    sums = np.empty(merged.size, dtype=np.float64)
    at, size = 0, 0
    for i in range(chunks.size):
        chunk = chunks[i]
        while at < found.size and found[at] < chunk:
            merged[size], sums[size] = found[at], scores[at]
            at += 1
            size += 1
        before = 0.0
        if at < found.size and found[at] == chunk:
            before = scores[at]
            at += 1
        elif mask.size and not (mask[chunk >> 3] >> (chunk & 7)) & 1:
            continue
        merged[size] = chunk
        sums[size] = before + weight * counts[i] / (counts[i] + norms[data[lengths_at + chunk]])
        size += 1
    while at < found.size:
        merged[size], sums[size] = found[at], scores[at]
        at += 1
        size += 1
    return merged[:size].copy(), sums[:size].copy()


@njit(cache=True, nogil=True)
def _look_up(
    data: Bytes,
    positions: Integers,
    counts_of: Integers,
    weights: Floats,
    row: Integer,
    all_chunks: Integer,
    norms: Floats,
    lengths_at: Integer,
    found: Integers,
    scores: Floats,
    stack: Integers,
) -> None:
    """Add a list's share to the chunks found before; blocks without any of them are passed over."""
    position, count, weight = positions[row], counts_of[row], weights[row]
    chunks = np.empty(BLOCK, dtype=np.int64)
    counts = np.empty(BLOCK, dtype=np.int64)
    if count <= BLOCK:
        read_list(data, position, count, all_chunks, chunks, counts, 0, stack)
        _add(data, chunks, counts, count, weight, norms, lengths_at, found, scores, 0)
        return
    position += 8  # the impact
    gap_low = gap_width(all_chunks, count)
    bits_low = read_bits(data, position, TABLE_WIDTH_BITS)
    table_bits, table = read_gamma(data, position + TABLE_WIDTH_BITS)
    position = table + table_bits
    lowest = np.int64(0)
    block = block_size(all_chunks, count)
    done = at = 0
    while done < count and at < found.size:
        size = min(block, count - done)
        gap, table = read_rice(data, table, gap_low)
        bits, table = read_rice(data, table, bits_low)
        last = lowest + size - 1 + gap
        if found[at] <= last:
            total, inside = read_gamma(data, position)
            chunks[size - 1] = last
            inside = read_ascending(data, inside, chunks, 0, size - 1, lowest, last - 1, stack)
            if _shared(chunks, size, found, at):
                read_counts(data, inside, counts, 0, size, total + size - 1, stack)
                at = _add(data, chunks, counts, size, weight, norms, lengths_at, found, scores, at)
            else:
                while at < found.size and found[at] <= last:
                    at += 1
        position += bits
        lowest = last + 1
        done += size


@njit(cache=True, nogil=True)
def _shared(chunks: Integers, size: Integer, found: Integers, at: Integer) -> Any:
    """Whether a block holds any of the chunks found, from the one ``at`` on."""
    i = 0
    while at < found.size and i < size:
        if chunks[i] == found[at]:
            return True
        if chunks[i] < found[at]:
            i += 1
        else:
            at += 1
    return False


@njit(cache=True, nogil=True)
def _add(
    data: Bytes,
    chunks: Integers,
    counts: Integers,
    size: Integer,
    weight: Any,
    norms: Floats,
    lengths_at: Integer,
    found: Integers,
    scores: Floats,
    at: Integer,
) -> Integer:
    """Add a block's share; returns the first chunk found that lies behind the block."""
    i = 0
    while at < found.size and i < size:
        if chunks[i] < found[at]:
            i += 1
        else:
            if chunks[i] == found[at]:
                scores[at] += weight * counts[i] / (counts[i] + norms[data[lengths_at + chunks[i]]])
            at += 1
    return at
