"""UTF-8 bytes to n-gram keys: the features of the embedded Chinese encoder, computable in one pass over bytes.

1. Bytes are decoded as UTF-8; a byte that starts no valid sequence is a separator.
2. Each code point below 0x10000 goes through a table of 65,536 entries that ships with the artefact (`build_fold`:
   single-character NFKC, lower case, traditional to simplified Han; 0 for everything that is neither letter nor
   number). Code points from 0x10000 (rare Han, emoji) stay as they are.
3. *Tokens*: a run of folded ASCII letters and digits is one token, ``0x110000 + FNV-1a-32(run) mod 0xF0000``; every
   other folded code point is a token of its own, its code. A 0 ends the run and breaks n-grams.
4. *n-grams* of 1, 2 and 3 consecutive tokens; the key of ``t1 t2 t3`` is ``t1 << 42 | t2 << 21 | t3``, with absent
   leading tokens 0. Keys of Han n-grams are exact, nothing collides.

5. An n-gram of the vocabulary has its row. A single token outside of it (a name, a rare word) shares one of
   ``buckets[0]`` rows after the vocabulary's, a pair of tokens one of the ``buckets[1]`` rows after those, by
   ``(key * 0x9E3779B97F4A7C15 mod 2**64 >> 32) mod buckets[i]``; an unknown triple counts for nothing.

Nothing looks back further than two tokens, so a reader that sees a text in pieces can produce the same keys.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

Keys = NDArray[np.int64]

Integer = Any
"""An int64 inside compiled code; Python and NumPy have different names for it."""

WORD_BASE = 0x110000
WORD_BUCKETS = 0xF0000
_FNV_OFFSET = 0x811C9DC5
_FNV_PRIME = 0x01000193


def build_fold(simplified: Mapping[str, str]) -> NDArray[np.uint16]:
    """Make the folding table: ``(65536,)`` uint16, 0 where a code point separates.

    Args:
        simplified: traditional to simplified characters.
    """
    import unicodedata

    fold = np.zeros(65536, dtype=np.uint16)
    for code in range(65536):
        folded = unicodedata.normalize("NFKC", chr(code)).lower() if not 0xD800 <= code <= 0xDFFF else ""
        folded = simplified.get(folded, folded)
        if len(folded) == 1 and unicodedata.category(folded)[0] in "LN" and ord(folded) < 65536:
            fold[code] = ord(folded)
    return fold


@njit(cache=True, nogil=True)
def ngram_keys(data: NDArray[np.uint8], fold: NDArray[np.uint16]) -> Keys:
    """All n-gram keys of a text in order of their last token; ``data`` is its UTF-8, uint8 ``(n,)``."""
    keys = np.empty(3 * data.size + 3, dtype=np.int64)
    count = 0
    before: Integer = np.int64(0)
    last: Integer = np.int64(0)
    word = np.uint32(0)
    position = 0
    while True:
        token: Integer = np.int64(0)
        separator = True
        if position < data.size:
            code, width = _decode(data, position)
            position += width
            folded = np.int64(fold[code]) if code < 65536 else code
            if 0 < folded < 128:
                if word == 0:
                    word = np.uint32(_FNV_OFFSET)
                word = np.uint32((np.uint64(word ^ np.uint32(folded)) * np.uint64(_FNV_PRIME)) & np.uint64(0xFFFFFFFF))
                continue
            separator = folded == 0
            token = folded
        if word != 0:
            count = _emit(keys, count, before, last, WORD_BASE + np.int64(word) % WORD_BUCKETS)
            before, last = last, WORD_BASE + np.int64(word) % WORD_BUCKETS
            word = np.uint32(0)
        if separator:
            before = last = np.int64(0)
            if position >= data.size:
                break
        else:
            count = _emit(keys, count, before, last, token)
            before, last = last, token
    return keys[:count]


@njit(cache=True, nogil=True)
def _emit(keys: Keys, count: Integer, before: Integer, last: Integer, token: Integer) -> Integer:
    keys[count] = token
    count += 1
    if last != 0:
        keys[count] = (last << 21) | token
        count += 1
        if before != 0:
            keys[count] = (before << 42) | (last << 21) | token
            count += 1
    return count


@njit(cache=True, nogil=True)
def _decode(data: NDArray[np.uint8], position: Integer) -> tuple[Integer, Integer]:
    """One code point and its width in bytes; code 0 and width 1 for a byte that starts no valid sequence."""
    first = np.int64(data[position])
    if first < 0x80:
        return first, 1
    if 0xC2 <= first < 0xE0:
        width, code = 2, first & 0x1F
    elif 0xE0 <= first < 0xF0:
        width, code = 3, first & 0x0F
    elif 0xF0 <= first < 0xF5:
        width, code = 4, first & 0x07
    else:
        return np.int64(0), 1
    if position + width > data.size:
        return np.int64(0), 1
    for offset in range(1, width):
        byte = np.int64(data[position + offset])
        if byte & 0xC0 != 0x80:
            return np.int64(0), 1
        code = (code << 6) | (byte & 0x3F)
    if (width == 3 and code < 0x800) or (width == 4 and code < 0x10000) or code > 0x10FFFF:
        return np.int64(0), 1
    return code, width


@njit(cache=True, nogil=True)
def build_slots(keys: Keys, slots: NDArray[np.int32]) -> None:
    """Fill an open-addressing table (its size a power of two, -1 where free) with the row of each key."""
    mask = slots.size - 1
    for row in range(keys.size):
        slot = _slot(keys[row], mask)
        while slots[slot] >= 0:
            slot = (slot + 1) & mask
        slots[slot] = row


@njit(cache=True, nogil=True)
def find_row(key: Integer, keys: Keys, slots: NDArray[np.int32]) -> Integer:
    """The row of a key, or -1."""
    mask = slots.size - 1
    slot = _slot(key, mask)
    while slots[slot] >= 0:
        if keys[slots[slot]] == key:
            return slots[slot]
        slot = (slot + 1) & mask
    return -1


@njit(cache=True, nogil=True)
def _slot(key: Integer, mask: Integer) -> Integer:
    return _mix(key) & mask


@njit(cache=True, nogil=True)
def _mix(key: Integer) -> Integer:
    return np.int64((np.uint64(key) * np.uint64(0x9E3779B97F4A7C15)) >> np.uint64(32))


@njit(cache=True, nogil=True)
def rows_of(
    data: NDArray[np.uint8],
    fold: NDArray[np.uint16],
    keys: Keys,
    slots: NDArray[np.int32],
    buckets: NDArray[np.int32],
) -> NDArray[np.int32]:
    """Rows of the n-grams of a text, int32, in order, with repetitions; see point 5 of the module."""
    found = ngram_keys(data, fold)
    rows = np.empty(found.size, dtype=np.int32)
    count = 0
    for key in found:
        row = find_row(key, keys, slots)
        if row < 0:
            if key < 1 << 21 and buckets[0] > 0:
                row = keys.size + _mix(key) % buckets[0]
            elif key < 1 << 42 and key >= 1 << 21 and buckets[1] > 0:
                row = keys.size + buckets[0] + _mix(key) % buckets[1]
        if row >= 0:
            rows[count] = row
            count += 1
    return rows[:count]


@njit(cache=True, nogil=True)
def add_rows(
    rows: NDArray[np.int32], table: NDArray[np.int8], scales: NDArray[np.float32], out: NDArray[np.float32]
) -> None:
    """``out += sum(scales[r] * table[r] for r in rows)``; table (n, d) int8, scales (n,) and out (d,) float32."""
    for row in rows:
        scale = scales[row]
        for column in range(out.size):
            out[column] += scale * table[row, column]
