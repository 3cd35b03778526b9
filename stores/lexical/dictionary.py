"""The terms of a sealed index: sorted, front-coded, Huffman-coded, in blocks of 64.

A block begins with the byte where its first long list lies (40 bits) and its first term in full; each further term
says how many bytes it shares with the one before. A term's bytes, behind the shared ones, are coded in the context of
the byte before, and end with a zero. Then come the number of postings and, for a short list, the list itself; for a
long one, its bytes.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from stores.lexical.bits import STACK_ROWS, Bytes, Integer, Integers, read_bits, read_gamma, write_bits, write_gamma
from stores.lexical.huffman import Model, read_symbol, write_symbol
from stores.lexical.lists import INLINE, read_block, write_block

TERMS_OF_BLOCK = 64
START_BITS = 40
OFFSET_BYTES = 5
MOST_SHARED = 255


@njit(cache=True, nogil=True)
def shared_lengths(terms: Bytes, starts: Integers) -> Integers:
    """(n) bytes that each term shares with the one before it in its block; 0 for the first."""
    total = starts.size - 1
    out = np.zeros(total, dtype=np.int64)
    for row in range(total):
        if row % TERMS_OF_BLOCK == 0:
            continue
        before, here = starts[row - 1], starts[row]
        most = min(MOST_SHARED, here - before, starts[row + 1] - here)
        same = 0
        while same < most and terms[before + same] == terms[here + same]:
            same += 1
        out[row] = same
    return out


@njit(cache=True, nogil=True)
def count_symbols(terms: Bytes, starts: Integers, shared: Integers) -> tuple[Integers, Integers]:
    """How often each shared length (256) and, behind each byte, each byte (256, 256) will be written."""
    lengths = np.zeros(256, dtype=np.int64)
    follows = np.zeros((256, 256), dtype=np.int64)
    for row in range(starts.size - 1):
        if row % TERMS_OF_BLOCK:
            lengths[shared[row]] += 1
        first = starts[row] + shared[row]
        before = terms[first - 1] if shared[row] else np.uint8(0)
        for i in range(first, starts[row + 1]):
            follows[before, terms[i]] += 1
            before = terms[i]
        follows[before, 0] += 1
    return lengths, follows


@njit(cache=True, nogil=True)
def write_terms(
    terms: Bytes,
    starts: Integers,
    shared: Integers,
    counts_of: Integers,
    sizes: Integers,
    postings_at: Integer,
    short_chunks: Integers,
    short_counts: Integers,
    all_chunks: Integer,
    code_lengths: Bytes,
    codes: Integers,
    contexts: Integers,
) -> tuple[Bytes, Integers]:
    """Write all terms.

    Args:
        terms: their bytes, one after the other, ascending.
        starts: (n + 1) where each begins.
        shared: (n) see :func:`shared_lengths`.
        counts_of: (n) postings of each.
        sizes: (n) bytes of each long list.
        postings_at: where the first long list lies.
        short_chunks: the postings of the short lists, one list after the other.
        short_counts: their counts.
        all_chunks: chunks of the index.
        code_lengths: see :class:`Model`, like the next two.
        codes: bits of each symbol.
        contexts: context behind each byte.

    Returns:
        The bytes, and where each block begins.
    """
    stack = np.empty((STACK_ROWS, 4), dtype=np.int64)
    total = starts.size - 1
    blocks = np.zeros((total + TERMS_OF_BLOCK - 1) // TERMS_OF_BLOCK, dtype=np.int64)
    out = np.zeros(terms.size * 2 + short_chunks.size * 16 + total * 24 + 4096, dtype=np.uint8)
    position = np.int64(0)
    short = 0
    for row in range(total):
        if row % TERMS_OF_BLOCK == 0:
            position = (position + 7) >> 3 << 3
            blocks[row // TERMS_OF_BLOCK] = position >> 3
            position = write_bits(out, position, postings_at, START_BITS)
        else:
            position = write_symbol(out, position, code_lengths, codes, 0, shared[row])
        first = starts[row] + shared[row]
        before = terms[first - 1] if shared[row] else np.uint8(0)
        for i in range(first, starts[row + 1]):
            position = write_symbol(out, position, code_lengths, codes, contexts[before], terms[i])
            before = terms[i]
        position = write_symbol(out, position, code_lengths, codes, contexts[before], 0)
        count = counts_of[row]
        position = write_gamma(out, position, count)
        if count <= INLINE:
            position = write_block(out, position, short_chunks, short_counts, short, count, 0, all_chunks - 1, 0, stack)
            short += count
        else:
            position = write_gamma(out, position, sizes[row])
            postings_at += sizes[row]
    return out[: (position + 7) >> 3].copy(), blocks


@njit(cache=True, nogil=True)
def _read_suffix(
    data: Bytes,
    position: Integer,
    term: Bytes,
    length: Integer,
    first_codes: Integers,
    first_places: Integers,
    symbols: Bytes,
    contexts: Integers,
) -> tuple[Integer, Integer]:
    """Read a term's bytes behind the shared ones into ``term``: ``(its length, next position)``."""
    before = term[length - 1] if length else np.uint8(0)
    while True:
        symbol, position = read_symbol(data, position, first_codes, first_places, symbols, contexts[before])
        if symbol == 0 or length >= term.size:
            return length, position
        term[length] = symbol
        before = np.uint8(symbol)
        length += 1


@njit(cache=True, nogil=True)
def _compare(one: Bytes, length: Integer, other: Bytes) -> Integer:
    for i in range(min(length, other.size)):
        if one[i] != other[i]:
            return -1 if one[i] < other[i] else 1
    return length - other.size


@njit(cache=True, nogil=True)
def _block_at(data: Bytes, blocks_at: Integer, block: Integer) -> Integer:
    """Where a block begins, in bits behind the first."""
    return read_bits(data, (blocks_at + block * OFFSET_BYTES) * 8, OFFSET_BYTES * 8) * 8


@njit(cache=True, nogil=True)
def find_term(
    data: Bytes,
    wanted: Bytes,
    total: Integer,
    terms_at: Integer,
    blocks_at: Integer,
    longest: Integer,
    all_chunks: Integer,
    first_codes: Integers,
    first_places: Integers,
    symbols: Bytes,
    contexts: Integers,
) -> tuple[Integer, Integer, Integer]:
    """Look a term up: ``(postings, bit where its list lies, bytes of a long list)``; no postings when it is missing."""
    stack = np.empty((STACK_ROWS, 4), dtype=np.int64)
    term = np.empty(longest + 1, dtype=np.uint8)
    chunks = np.empty(INLINE, dtype=np.int64)
    counts = np.empty(INLINE, dtype=np.int64)
    low, high = 0, (total + TERMS_OF_BLOCK - 1) // TERMS_OF_BLOCK
    while high - low > 1:
        middle = (low + high) >> 1
        position = terms_at * 8 + _block_at(data, blocks_at, middle) + START_BITS
        length, _ = _read_suffix(data, position, term, 0, first_codes, first_places, symbols, contexts)
        if _compare(term, length, wanted) <= 0:
            low = middle
        else:
            high = middle
    position = terms_at * 8 + _block_at(data, blocks_at, low)
    postings_at = read_bits(data, position, START_BITS)
    position += START_BITS
    length = np.int64(0)
    for row in range(low * TERMS_OF_BLOCK, min((low + 1) * TERMS_OF_BLOCK, total)):
        if row % TERMS_OF_BLOCK:
            length, position = read_symbol(data, position, first_codes, first_places, symbols, 0)
        length, position = _read_suffix(data, position, term, length, first_codes, first_places, symbols, contexts)
        order = _compare(term, length, wanted)
        if order > 0:
            break
        count, position = read_gamma(data, position)
        if count <= INLINE:
            if order == 0:
                return count, position, 0
            position = read_block(data, position, chunks, counts, 0, count, 0, all_chunks - 1, 0, stack)
        else:
            size, position = read_gamma(data, position)
            if order == 0:
                return count, postings_at * 8, size
            postings_at += size
    return 0, 0, 0


@njit(cache=True, nogil=True)
def read_terms(
    data: Bytes,
    total: Integer,
    total_bytes: Integer,
    terms_at: Integer,
    blocks_at: Integer,
    longest: Integer,
    all_chunks: Integer,
    first_codes: Integers,
    first_places: Integers,
    symbols: Bytes,
    contexts: Integers,
) -> tuple[Bytes, Integers, Integers, Integers]:
    """All terms: their bytes, (n + 1) where each begins, (n) postings, (n) the bit where each list lies."""
    stack = np.empty((STACK_ROWS, 4), dtype=np.int64)
    term = np.empty(longest + 1, dtype=np.uint8)
    chunks = np.empty(INLINE, dtype=np.int64)
    counts = np.empty(INLINE, dtype=np.int64)
    terms = np.empty(total_bytes, dtype=np.uint8)
    starts = np.zeros(total + 1, dtype=np.int64)
    counts_of = np.zeros(total, dtype=np.int64)
    positions = np.zeros(total, dtype=np.int64)
    position = np.int64(0)
    postings_at = np.int64(0)
    length = np.int64(0)
    for row in range(total):
        if row % TERMS_OF_BLOCK == 0:
            position = terms_at * 8 + _block_at(data, blocks_at, row // TERMS_OF_BLOCK)
            postings_at = read_bits(data, position, START_BITS)
            position += START_BITS
            length = np.int64(0)
        else:
            length, position = read_symbol(data, position, first_codes, first_places, symbols, 0)
        length, position = _read_suffix(data, position, term, length, first_codes, first_places, symbols, contexts)
        starts[row + 1] = min(starts[row] + length, total_bytes)
        for i in range(starts[row + 1] - starts[row]):
            terms[starts[row] + i] = term[i]
        count, position = read_gamma(data, position)
        counts_of[row] = count
        if count <= INLINE:
            positions[row] = position
            position = read_block(data, position, chunks, counts, 0, count, 0, all_chunks - 1, 0, stack)
        else:
            size, position = read_gamma(data, position)
            positions[row] = postings_at * 8
            postings_at += size
    return terms, starts, counts_of, positions


def make_model(terms: Bytes, starts: Integers, shared: Integers) -> Model:
    """The codes that suit these terms best."""
    lengths, follows = count_symbols(terms, starts, shared)
    return Model.of(lengths, follows)
