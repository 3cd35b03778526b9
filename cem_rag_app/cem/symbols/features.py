"""Spans to features: words, word pairs, character n-grams, read across the borders of spans.

The reader walks over the spans in order and keeps a window: the hash of the word so far, of the word before it, and
the last characters. That is how the n-grams that lie across a match boundary are won back without a buffer of text;
`EDGES` off forgets the window at each border, for measuring what it is worth.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from cem_rag_app.cem.symbols.characters import BREAK, IDEOGRAPH, LETTER, character_class, fold
from cem_rag_app.cem.symbols.fse import Bytes, Integers, Table

# Places in the array of options.
EDGES = 0
"""1: the window lives across span borders."""
LONGEST_GRAM = 1
"""Ideograph n-grams up to this length: 1, 2 or 3."""
PAIRS = 2
"""1: pairs of neighbouring words."""
BUCKETS = 3
"""Rows behind the vocabulary that unknown words' letter 4- and 5-grams are hashed into; 0: dropped."""
OPTIONS = 4

WORD_SEED = 1469598103934665603
GRAM_SEED = 7809847782465536322
_PRIME = 1099511628211
_LONGEST_WORD = 40
_PIECES = 2 * _LONGEST_WORD + 8


@njit(cache=True, nogil=True)
def mix(state: int, value: int) -> int:
    """One FNV-1a step over a 64-bit value; integers wrap."""
    return (state ^ value) * _PRIME


@njit(cache=True, nogil=True)
def finish(state: int) -> int:
    """Spread the entropy into the low bits; never 0, which marks a free slot."""
    state ^= (state >> 29) & 0x7FFFFFFFF
    state *= -4658895280553007687
    state ^= (state >> 32) & 0xFFFFFFFF
    return state if state != 0 else 1


@njit(cache=True, nogil=True)
def pair_hash(left: int, right: int) -> int:
    """Hash of two neighbouring words, from their unfinished hashes."""
    return finish(mix(mix(GRAM_SEED, left), right))


@njit(cache=True, nogil=True)
def gram_hash(third: int, second: int, first: int, length: int) -> int:
    """Hash of an ideograph n-gram; ``first`` is the latest character, those beyond ``length`` are not read."""
    state = mix(GRAM_SEED, length)
    if length > 2:
        state = mix(state, third)
    if length > 1:
        state = mix(state, second)
    return finish(mix(state, first))


@njit(cache=True, nogil=True)
def build_lookup(hashes: Integers, keys: Integers, rows: Table) -> None:
    """Fill an open-addressing table (a power of two, at least twice as large) with hash -> row."""
    mask = keys.size - 1
    for row in range(hashes.size):
        slot = hashes[row] & mask
        while keys[slot] != 0:
            slot = (slot + 1) & mask
        keys[slot] = hashes[row]
        rows[slot] = row


@njit(cache=True, nogil=True)
def find(key: int, keys: Integers, rows: Table) -> int:
    """Row of a hash, or -1."""
    mask = keys.size - 1
    slot = key & mask
    while keys[slot] != 0:
        if keys[slot] == key:
            return np.int64(rows[slot])
        slot = (slot + 1) & mask
    return -1


@njit(cache=True, nogil=True)
def _end_word(
    word: int,
    letters: int,
    before: int,
    pieces: Integers,
    piece_count: int,
    options: Integers,
    keys: Integers,
    rows: Table,
    found: Table,
    count: int,
) -> int:
    """Write the rows of a finished word and of its pair with the word before; return the new count."""
    row = find(finish(word), keys, rows)
    if row >= 0:
        found[count] = row
        count += 1
    elif options[BUCKETS] > 0 and letters > 2:
        first = options[OPTIONS]
        for i in range(piece_count):
            found[count] = first + (pieces[i] & 0x7FFFFFFF) % options[BUCKETS]
            count += 1
    if before != 0 and options[PAIRS] == 1:
        row = find(pair_hash(before, word), keys, rows)
        if row >= 0:
            found[count] = row
            count += 1
    return count


@njit(cache=True, nogil=True)
def read_features(
    literals: Bytes,
    content: Bytes,
    spans: Table,
    span_count: int,
    options: Integers,
    keys: Integers,
    rows: Table,
    found: Table,
) -> int:
    """Write the rows of the features of one chunk, in order of reading, repeats included.

    Args:
        literals: uint8, the frame's literals.
        content: uint8, the dictionary's content.
        spans: (>= span_count, 3) int32, see ``symbols.spans``.
        span_count: rows that are filled.
        options: (5,) int64; the last is the first row of the hashed buckets.
        keys: int64, lookup table, 0 for free slots.
        rows: int32, the rows the keys stand for.
        found: int32, at least 4 entries for each byte the chunk stands for; overwritten.

    Returns:
        How many entries of ``found`` were written.
    """
    count = 0
    word = np.int64(WORD_SEED)
    letters = 0
    before = np.int64(0)
    second = np.int64(0)
    third = np.int64(0)
    code = np.int64(0)
    wanted = 0
    pieces = np.empty(_PIECES, dtype=np.int64)
    piece_count = 0
    # The last five letters of the word, 12 bits each: hashed only where two strange letters share 12 bits.
    window = np.int64(0)
    for index in range(span_count + 1):
        closing = index == span_count
        origin = np.int64(0) if closing else np.int64(spans[index, 0])
        size = np.int64(1) if closing else np.int64(spans[index, 1])
        forget = closing or (options[EDGES] == 0)
        for step in range(-1 if forget else 0, 0 if closing else size):
            if step < 0:
                # A break at the border: ends the word and clears the window.
                code = np.int64(0)
                wanted = 0
            else:
                byte = np.int64(literals[origin + step]) if origin >= 0 else np.int64(content[-origin - 1 + step])
                if byte < 0x80:
                    code = byte
                    wanted = 0
                elif byte < 0xC0:
                    if wanted == 0:
                        continue
                    code = (code << 6) | (byte & 0x3F)
                    wanted -= 1
                else:
                    wanted = 1 if byte < 0xE0 else 2 if byte < 0xF0 else 3
                    code = byte & (0x1F if byte < 0xE0 else 0x0F if byte < 0xF0 else 0x07)
                if wanted > 0:
                    continue
            code = fold(code)
            kind = character_class(code)
            if kind == LETTER:
                word = mix(word, code)
                letters += 1
                window = ((window << 12) | (code & 0xFFF)) & 0xFFFFFFFFFFFFFFF
                if letters >= 4 and letters <= _LONGEST_WORD and options[BUCKETS] > 0:
                    pieces[piece_count] = finish(mix(GRAM_SEED, window & 0xFFFFFFFFFFFF))
                    piece_count += 1
                    if letters >= 5:
                        pieces[piece_count] = finish(mix(GRAM_SEED, ~window))
                        piece_count += 1
                elif letters == 3:
                    pieces[0] = finish(mix(GRAM_SEED, window))
                    piece_count = 1
                second = np.int64(0)
                third = np.int64(0)
                continue
            if letters > 0:
                count = _end_word(word, letters, before, pieces, piece_count, options, keys, rows, found, count)
                before = word
                word = np.int64(WORD_SEED)
                letters = 0
                piece_count = 0
                window = np.int64(0)
            if kind == IDEOGRAPH:
                for length in range(1, 4):
                    if length > options[LONGEST_GRAM] or (length > 1 and second == 0) or (length > 2 and third == 0):
                        break
                    row = find(gram_hash(third, second, code, length), keys, rows)
                    if row >= 0:
                        found[count] = row
                        count += 1
                third = second
                second = code
                before = np.int64(0)
            else:
                second = np.int64(0)
                third = np.int64(0)
                if kind == BREAK:
                    before = np.int64(0)
    return count
