"""Spans to words, word pairs and, for unknown words, letter n-grams: read across the borders of spans.

The reader walks over the spans in order and keeps a window: the hash of the word so far, that of the word before it,
and the last five letters. That is how the words that lie across a match boundary are won back without a buffer of
text; with the option ``EDGES`` off the window is forgotten at each border, which measures what it is worth.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from cem_rag_app.cem.symbols.characters import BREAK, IDEOGRAPH, LETTER, character_class, decode_step, fold_latin
from cem_rag_app.cem.symbols.lookup import PAIR_SEED, WORD_SEED, find, finish, mix, pair_hash
from cem_rag_app.cem.symbols.options import BUCKETS, EDGES, PAIRS, VOCABULARY
from cem_rag_app.cem.symbols.types import Bytes, Integer, Integers, Table

_LONGEST_WORD = 40
_PIECES = 2 * _LONGEST_WORD + 8


@njit(cache=True, nogil=True)
def _end_word(
    word: Integer,
    before: Integer,
    pieces: Integers,
    piece_count: Integer,
    options: Integers,
    keys: Integers,
    rows: Table,
    found: Table,
    count: Integer,
) -> Integer:
    """Write the rows of a finished word and of its pair with the word before; return the new count."""
    row = find(finish(word), keys, rows)
    if row >= 0:
        found[count] = row
        count += 1
    elif options[BUCKETS] > 0:
        for i in range(piece_count):
            found[count] = options[VOCABULARY] + (pieces[i] & 0x7FFFFFFF) % options[BUCKETS]
            count += 1
        if piece_count == 0:
            found[count] = options[VOCABULARY] + (finish(word) & 0x7FFFFFFF) % options[BUCKETS]
            count += 1
    if before != 0 and options[PAIRS] == 1:
        row = find(pair_hash(before, word), keys, rows)
        if row >= 0:
            found[count] = row
            count += 1
    return count


@njit(cache=True, nogil=True)
def _add_pieces(letters: Integer, window: Integer, pieces: Integers, piece_count: Integer) -> Integer:
    """Hash the letter n-grams that end with the latest letter: the first 3, then 4 and 5 of them."""
    if letters == 3:
        pieces[0] = finish(mix(PAIR_SEED, window))
        return 1
    if 4 <= letters <= _LONGEST_WORD:
        pieces[piece_count] = finish(mix(PAIR_SEED, window & 0xFFFFFFFFFFFF))
        piece_count += 1
        if letters >= 5:
            pieces[piece_count] = finish(mix(PAIR_SEED, ~window))
            piece_count += 1
    return piece_count


@njit(cache=True, nogil=True)
def read_words(
    literals: Bytes,
    content: Bytes,
    spans: Table,
    span_count: Integer,
    options: Integers,
    keys: Integers,
    rows: Table,
    found: Table,
    ends: Table,
) -> tuple[Integer, Integer]:
    """Write the rows of the words of one chunk, in order of reading, repeats included.

    Args:
        literals: uint8, the frame's literals.
        content: uint8, the dictionary's content.
        spans: (>= span_count, 3) int32, see ``symbols.spans``.
        span_count: rows that are filled.
        options: (OPTIONS,) int64.
        keys: int64, lookup table, 0 for free slots.
        rows: int32, the rows the keys stand for.
        found: int32, at least 4 entries for each byte the chunk stands for; overwritten.
        ends: int32, at least one entry for each byte and one more; overwritten: where in ``found`` each word ends.

    Returns:
        How many entries of ``found`` and of ``ends`` were written.
    """
    count: Integer = 0
    words: Integer = 0
    word: Integer = np.int64(WORD_SEED)
    letters = 0
    before: Integer = np.int64(0)
    code: Integer = np.int64(0)
    wanted: Integer = 0
    pieces = np.empty(_PIECES, dtype=np.int64)
    piece_count: Integer = 0
    # The last five letters of the word, 12 bits each.
    window: Integer = np.int64(0)
    for index in range(span_count + 1):
        closing = index == span_count
        origin = np.int64(0) if closing else np.int64(spans[index, 0])
        size = 0 if closing else np.int64(spans[index, 1])
        for step in range(-1 if closing or options[EDGES] == 0 else 0, size):
            if step < 0:
                # A break at the border ends the word and clears the window.
                code = np.int64(0)
                wanted = 0
            else:
                byte = np.int64(literals[origin + step]) if origin >= 0 else np.int64(content[-origin - 1 + step])
                code, wanted = decode_step(byte, code, wanted)
                if wanted > 0:
                    continue
            folded = fold_latin(code)
            kind = character_class(folded)
            if kind == LETTER:
                word = mix(word, folded)
                letters += 1
                window = ((window << 12) | (folded & 0xFFF)) & 0xFFFFFFFFFFFFFFF
                piece_count = _add_pieces(letters, window, pieces, piece_count)
                continue
            if letters > 0:
                count = _end_word(word, before, pieces, piece_count, options, keys, rows, found, count)
                ends[words] = count
                words += 1
                before = word
                word = np.int64(WORD_SEED)
                letters = 0
                piece_count = 0
                window = np.int64(0)
            if kind == IDEOGRAPH:
                word = mix(word, folded)
                count = _end_word(word, before, pieces, 0, options, keys, rows, found, count)
                ends[words] = count
                words += 1
                before = word
                word = np.int64(WORD_SEED)
            elif kind == BREAK:
                before = np.int64(0)
    return count, words
