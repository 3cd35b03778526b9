"""Many frames to patches: short runs of words in order of reading, in one compiled call that holds no lock.

A patch is a word, together with the very common words (*of*, *the*, *is*) right before it. Patches are cut by words and
not by the frame's sequences, so that they are the same at every level and with every dictionary.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from cem_rag_app.cem.symbols.constants import MIN_MATCH
from cem_rag_app.cem.symbols.frame import read_frame
from cem_rag_app.cem.symbols.options import VOCABULARY
from cem_rag_app.cem.symbols.spans import resolve_spans
from cem_rag_app.cem.symbols.types import Bytes, Integer, Integers, Table
from cem_rag_app.cem.symbols.words import read_words
from cem_rag_app.schema import FloatArray

_MOST_JOINED = 4
"""Common words that join a patch at most, so that a list of them does not become one patch."""


@njit(cache=True, nogil=True)
def cut_patches(
    found: Table, ends: Table, words: Integer, joined: Integer, vocabulary: Integer, last: Table, weights: FloatArray
) -> Integer:
    """Say where each patch of one chunk ends.

    Args:
        found: rows of the words, see ``symbols.words``.
        ends: (words,) where in ``found`` each word ends.
        words: how many there are.
        joined: rows below this one are common words.
        vocabulary: rows from this one on are pieces of unknown words.
        last: int32, at least ``words`` long; overwritten with where in ``found`` each patch ends.
        weights: float32, as long as ``found``; overwritten: 1 for a word, 1 / sqrt(n) for each of the n pieces of one.

    Returns:
        The number of patches.
    """
    patches = 0
    waiting = 0
    start = 0
    for word in range(words):
        end = ends[word]
        pieces = end - start
        known = pieces == 1 and found[start] < vocabulary
        weight = np.float32(1.0) if pieces <= 1 else np.float32(1.0 / np.sqrt(pieces))
        for i in range(start, end):
            weights[i] = weight
        if known and found[start] < joined and waiting < _MOST_JOINED:
            waiting += 1
        elif pieces > 0:
            last[patches] = end
            patches += 1
            waiting = 0
        start = end
    if waiting > 0:
        last[patches] = start
        patches += 1
    return patches


@njit(cache=True, nogil=True)
def extract_patches(
    source: Bytes,
    starts: Integers,
    content: Bytes,
    dictionary_id: Integer,
    huffman: Table,
    fse: Table,
    predefined: Table,
    state: Integers,
    options: Integers,
    keys: Integers,
    rows: Table,
    joined: Integer,
    limit: Integer,
) -> tuple[Integer, Integer, Integers, Integers, Table, FloatArray]:
    """Parse frames, resolve their spans, cut their words into patches.

    Args:
        source: uint8, the frames one behind another.
        starts: (n + 1,) int64, where each begins; the last is where the last ends.
        content: uint8, the dictionary's content.
        dictionary_id: the id a frame may name.
        huffman: the dictionary's tree, see `read_frame`; not changed, like the next three.
        fse: its FSE tables.
        predefined: the format's own FSE tables.
        state: the entropy coder's state at the head of a frame.
        options: see ``symbols.options``; pairs must be off.
        keys: lookup table of words, see ``symbols.lookup``.
        rows: its values.
        joined: rows below this one are common words.
        limit: bytes a frame may stand for.

    Returns:
        ``(code, frame, bounds, entries, indices, weights)``: 0, or the error code and number of the first damaged
        frame; frame ``i`` has the patches ``bounds[i]:bounds[i + 1]``, patch ``p`` the table rows
        ``indices[entries[p]:entries[p + 1]]`` with as many ``weights``.
    """
    frames = starts.size - 1
    own_huffman = huffman.copy()
    own_fse = fse.copy()
    own_state = state.copy()
    literals = np.empty(limit, dtype=np.uint8)
    sequences = np.empty((limit // MIN_MATCH + 1, 3), dtype=np.int32)
    spans = np.empty((limit + 1, 3), dtype=np.int32)
    found = np.empty(4 * limit + 16, dtype=np.int32)
    found_weights = np.empty(4 * limit + 16, dtype=np.float32)
    ends = np.empty(limit + 2, dtype=np.int32)
    last = np.empty(limit + 2, dtype=np.int32)
    bounds = np.zeros(frames + 1, dtype=np.int64)
    entries = np.zeros(128 * frames + 1024, dtype=np.int64)
    indices = np.empty(256 * frames + 1024, dtype=np.int32)
    weights = np.empty(256 * frames + 1024, dtype=np.float32)
    used = 0
    patches = 0
    for number in range(frames):
        # A tree or table that a frame brought itself must not leak into the next frame.
        if number > 0:
            own_huffman[:] = huffman
            own_fse[:] = fse
            own_state[:] = state
        literal_count, sequence_count = read_frame(
            source,
            starts[number],
            starts[number + 1],
            dictionary_id,
            own_huffman,
            own_fse,
            predefined,
            own_state,
            literals,
            sequences,
            limit,
        )
        if literal_count < 0:
            return literal_count, number, bounds, entries[:1], indices[:0], weights[:0]
        span_count = resolve_spans(sequences, sequence_count, content.size, spans)
        if span_count < 0:
            return span_count, number, bounds, entries[:1], indices[:0], weights[:0]
        total, words = read_words(literals, content, spans, span_count, options, keys, rows, found, ends)
        own = cut_patches(found, ends, words, joined, options[VOCABULARY], last, found_weights)
        if used + total > indices.size:
            grown = np.empty(2 * (used + total), dtype=np.int32)
            grown[:used] = indices[:used]
            indices = grown
            grown_weights = np.empty(2 * (used + total), dtype=np.float32)
            grown_weights[:used] = weights[:used]
            weights = grown_weights
        if patches + own + 1 > entries.size:
            grown_entries = np.zeros(2 * (patches + own + 1), dtype=np.int64)
            grown_entries[: patches + 1] = entries[: patches + 1]
            entries = grown_entries
        indices[used : used + total] = found[:total]
        weights[used : used + total] = found_weights[:total]
        for i in range(own):
            entries[patches + 1 + i] = used + last[i]
        used += total
        patches += own
        entries[patches] = used
        bounds[number + 1] = patches
    return 0, 0, bounds, entries[: patches + 1], indices[:used], weights[:used]
