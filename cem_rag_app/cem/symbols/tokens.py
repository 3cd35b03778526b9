"""Spans to the n-grams of ``cem_rag_app.cem.teachers.ngrams``: 1 to 3 tokens, a token a Han character or a Latin run.

The keys are the teacher's, exactly, also where they lie across the borders of spans: nothing there looks back further
than two tokens and the hash of the word so far, so that is all this reader keeps.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from cem_rag_app.cem.symbols.characters import decode_step
from cem_rag_app.cem.symbols.lookup import find, finish
from cem_rag_app.cem.symbols.options import BUCKETS, EDGES, PAIR_BUCKETS, VOCABULARY
from cem_rag_app.cem.symbols.types import Bytes, Integer, Integers, Table
from cem_rag_app.cem.teachers.ngrams import WORD_BASE, WORD_BUCKETS

_FNV_OFFSET = 0x811C9DC5
_FNV_PRIME = 0x01000193


@njit(cache=True, nogil=True)
def _bucket(key: Integer, buckets: Integer) -> Integer:
    return np.int64((np.uint64(key) * np.uint64(0x9E3779B97F4A7C15)) >> np.uint64(32)) % buckets


@njit(cache=True, nogil=True)
def _end_token(
    token: Integer,
    last: Integer,
    before: Integer,
    options: Integers,
    keys: Integers,
    rows: Table,
    found: Table,
    count: Integer,
) -> Integer:
    """Write the rows of the n-grams that end with a token; return the new count."""
    row = find(finish(token), keys, rows)
    if row < 0 and options[BUCKETS] > 0:
        row = options[VOCABULARY] + _bucket(token, options[BUCKETS])
    if row >= 0:
        found[count] = row
        count += 1
    if last != 0:
        key = (last << 21) | token
        row = find(finish(key), keys, rows)
        if row < 0 and options[PAIR_BUCKETS] > 0:
            row = options[VOCABULARY] + options[BUCKETS] + _bucket(key, options[PAIR_BUCKETS])
        if row >= 0:
            found[count] = row
            count += 1
        if before != 0:
            row = find(finish((before << 42) | key), keys, rows)
            if row >= 0:
                found[count] = row
                count += 1
    return count


@njit(cache=True, nogil=True)
def read_tokens(
    literals: Bytes,
    content: Bytes,
    spans: Table,
    span_count: Integer,
    options: Integers,
    fold: NDArray[np.uint16],
    keys: Integers,
    rows: Table,
    found: Table,
) -> Integer:
    """Write the rows of the n-grams of one chunk, in order of reading, repeats included.

    Args:
        literals: uint8, the frame's literals.
        content: uint8, the dictionary's content.
        spans: (>= span_count, 3) int32, see ``symbols.spans``.
        span_count: rows that are filled.
        options: (OPTIONS,) int64.
        fold: (65536,) uint16, the folded character or 0 for a separator.
        keys: int64, lookup table, 0 for free slots.
        rows: int32, the rows the keys stand for.
        found: int32, at least 4 entries for each byte the chunk stands for; overwritten.

    Returns:
        How many entries of ``found`` were written.
    """
    count: Integer = 0
    before: Integer = np.int64(0)
    last: Integer = np.int64(0)
    word: Integer = np.int64(0)
    code: Integer = np.int64(0)
    wanted: Integer = 0
    for index in range(span_count + 1):
        closing = index == span_count
        origin = np.int64(0) if closing else np.int64(spans[index, 0])
        size = 0 if closing else np.int64(spans[index, 1])
        for step in range(-1 if closing or options[EDGES] == 0 else 0, size):
            if step < 0:
                # A separator at the border ends the word and clears the window.
                code = np.int64(0)
                wanted = 0
            else:
                byte = np.int64(literals[origin + step]) if origin >= 0 else np.int64(content[-origin - 1 + step])
                code, wanted = decode_step(byte, code, wanted)
                if wanted > 0:
                    continue
            folded = np.int64(fold[code]) if code < 65536 else code
            if 0 < folded < 128:
                if word == 0:
                    word = np.int64(_FNV_OFFSET)
                word = ((word ^ folded) * _FNV_PRIME) & 0xFFFFFFFF
                continue
            if word != 0:
                token = WORD_BASE + word % WORD_BUCKETS
                count = _end_token(token, last, before, options, keys, rows, found, count)
                before = last
                last = token
                word = np.int64(0)
            if folded == 0:
                before = np.int64(0)
                last = np.int64(0)
            else:
                count = _end_token(folded, last, before, options, keys, rows, found, count)
                before = last
                last = folded
    return count
