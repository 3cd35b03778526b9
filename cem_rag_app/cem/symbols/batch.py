"""Many frames to sparse feature counts in one compiled call that holds no lock (the GIL is released)."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from cem_rag_app.cem.symbols.constants import MIN_MATCH
from cem_rag_app.cem.symbols.frame import read_frame
from cem_rag_app.cem.symbols.options import BUCKETS, KIND, PAIR_BUCKETS, VOCABULARY
from cem_rag_app.cem.symbols.spans import resolve_spans
from cem_rag_app.cem.symbols.tokens import read_tokens
from cem_rag_app.cem.symbols.types import Bytes, Integer, Integers, Table
from cem_rag_app.cem.symbols.words import read_words


@njit(cache=True, nogil=True)
def extract_features(
    source: Bytes,
    starts: Integers,
    content: Bytes,
    dictionary_id: Integer,
    huffman: Table,
    fse: Table,
    predefined: Table,
    state: Integers,
    options: Integers,
    fold: NDArray[np.uint16],
    keys: Integers,
    rows: Table,
    limit: Integer,
) -> tuple[Integer, Integer, Integers, Table, Table]:
    """Parse frames, resolve their spans, count their features.

    Args:
        source: uint8, the frames one behind another.
        starts: (n + 1,) int64, where each begins; the last is where the last ends.
        content: uint8, the dictionary's content.
        dictionary_id: the id a frame may name.
        huffman: the dictionary's tree, see `read_frame`; not changed, like the next three.
        fse: its FSE tables.
        predefined: the format's own FSE tables.
        state: the entropy coder's state at the head of a frame.
        options: see ``symbols.options``.
        fold: see ``symbols.tokens``; any where words are read.
        keys: lookup table of features, see ``symbols.lookup``.
        rows: its values.
        limit: bytes a frame may stand for.

    Returns:
        ``(code, frame, bounds, indices, counts)``: 0, or the error code and number of the first damaged frame; frame
        ``i`` has the features ``indices[bounds[i]:bounds[i + 1]]`` with as many ``counts`` (int32).
    """
    frames = starts.size - 1
    own_huffman = huffman.copy()
    own_fse = fse.copy()
    own_state = state.copy()
    literals = np.empty(limit, dtype=np.uint8)
    sequences = np.empty((limit // MIN_MATCH + 1, 3), dtype=np.int32)
    spans = np.empty((limit + 1, 3), dtype=np.int32)
    found = np.empty(4 * limit + 16, dtype=np.int32)
    ends = np.empty(limit + 2, dtype=np.int32)
    seen = np.zeros(options[VOCABULARY] + options[BUCKETS] + options[PAIR_BUCKETS], dtype=np.int32)
    bounds = np.zeros(frames + 1, dtype=np.int64)
    indices = np.empty(256 * frames + 1024, dtype=np.int32)
    counts = np.empty(256 * frames + 1024, dtype=np.int32)
    used = 0
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
            return literal_count, number, bounds, indices[:0], counts[:0]
        span_count = resolve_spans(sequences, sequence_count, content.size, spans)
        if span_count < 0:
            return span_count, number, bounds, indices[:0], counts[:0]
        if options[KIND] == 0:
            total, _ = read_words(literals, content, spans, span_count, options, keys, rows, found, ends)
        else:
            total = read_tokens(literals, content, spans, span_count, options, fold, keys, rows, found)
        if used + total > indices.size:
            grown = np.empty(2 * (used + total), dtype=np.int32)
            grown[:used] = indices[:used]
            indices = grown
            grown = np.empty(2 * (used + total), dtype=np.int32)
            grown[:used] = counts[:used]
            counts = grown
        first = used
        for i in range(total):
            row = found[i]
            if seen[row] == 0:
                indices[used] = row
                used += 1
            seen[row] += 1
        for i in range(first, used):
            counts[i] = seen[indices[i]]
            seen[indices[i]] = 0
        bounds[number + 1] = used
    return 0, 0, bounds, indices[:used], counts[:used]
