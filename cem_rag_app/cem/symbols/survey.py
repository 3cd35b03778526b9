"""Frames parsed and nothing more: how much of each is literals, sequences and spans. For benches and studies."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numba import njit

from cem_rag_app.cem.symbols.constants import MIN_MATCH
from cem_rag_app.cem.symbols.frame import read_frame
from cem_rag_app.cem.symbols.parse import LIMIT, raise_frame_error
from cem_rag_app.cem.symbols.spans import resolve_spans
from cem_rag_app.cem.symbols.tables import shared_tables
from cem_rag_app.cem.symbols.types import Bytes, Integer, Integers, Table
from cem_rag_app.zpkg.dictionary import Dictionary


@dataclass(frozen=True, eq=False)
class FrameCounts:
    """What each of ``n`` frames is made of; all arrays are (n,) int32.

    Attributes:
        literals: bytes the frame carries itself.
        sequences: runs of literals with the match behind them; literals that end a block are one more.
        spans: stretches of the chunk with one origin, matches into the chunk resolved.
        text: bytes the frame stands for.
    """

    literals: Table
    sequences: Table
    spans: Table
    text: Table


def count_symbols(frames: Sequence[bytes], dictionary: Dictionary) -> FrameCounts:
    """Parse frames of one dictionary: entropy layer undone, spans named, nothing read of them.

    Raises:
        FrameError: a frame is damaged; the message says which.
        FrameTooLargeError: one stands for more than 1 MiB.
        DictionaryError: the dictionary is damaged.
    """
    tables = shared_tables(dictionary)
    starts = np.zeros(len(frames) + 1, dtype=np.int64)
    np.cumsum([len(frame) for frame in frames], out=starts[1:])
    source = np.frombuffer(b"".join(frames), dtype=np.uint8)
    code, number, counts = _count(
        source,
        starts,
        tables.content.size,
        tables.dictionary_id,
        tables.huffman,
        tables.fse,
        tables.predefined,
        tables.state,
        LIMIT,
    )
    if code < 0:
        raise_frame_error(int(code), int(number))
    return FrameCounts(*(np.ascontiguousarray(column) for column in counts.T))


@njit(cache=True, nogil=True)
def _count(
    source: Bytes,
    starts: Integers,
    dictionary_size: Integer,
    dictionary_id: Integer,
    huffman: Table,
    fse: Table,
    predefined: Table,
    state: Integers,
    limit: Integer,
) -> tuple[Integer, Integer, Table]:
    """``(code, frame, (n, 4) int32 rows of literals, sequences, spans, text)``; see ``batch.extract_features``."""
    frames = starts.size - 1
    own_huffman = huffman.copy()
    own_fse = fse.copy()
    own_state = state.copy()
    literals = np.empty(limit, dtype=np.uint8)
    sequences = np.empty((limit // MIN_MATCH + 1, 3), dtype=np.int32)
    spans = np.empty((limit + 1, 3), dtype=np.int32)
    counts = np.zeros((frames, 4), dtype=np.int32)
    for number in range(frames):
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
            return literal_count, number, counts
        span_count = resolve_spans(sequences, sequence_count, dictionary_size, spans)
        if span_count < 0:
            return span_count, number, counts
        counts[number, 0] = literal_count
        counts[number, 1] = sequence_count
        counts[number, 2] = span_count
        if span_count > 0:
            counts[number, 3] = spans[span_count - 1, 1] + spans[span_count - 1, 2]
    return 0, 0, counts
