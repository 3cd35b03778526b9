"""One frame as Python objects: for tests, for looking at, for statistics. Encoding uses the compiled parts directly."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NoReturn

import numpy as np

from cem_rag_app.cem.symbols.constants import ERROR_TOO_LARGE, MESSAGES, MIN_MATCH
from cem_rag_app.cem.symbols.frame import read_frame
from cem_rag_app.cem.symbols.spans import resolve_spans
from cem_rag_app.cem.symbols.tables import shared_tables
from cem_rag_app.cem.symbols.types import Bytes, Table
from cem_rag_app.errors import FrameError, FrameTooLargeError
from cem_rag_app.zpkg.dictionary import Dictionary

LIMIT = 1 << 20
"""Bytes a chunk may stand for, the reader's and the container's common limit."""


@dataclass(frozen=True, eq=False)
class Symbols:
    """What a frame says, its matches not executed.

    Attributes:
        literals: uint8, the bytes the frame carries itself.
        sequences: (n, 3) int32 rows of (literal length, match length, offset); literals that end a block have no match.
        spans: (m, 3) int32 rows of (origin, length, start), see ``symbols.spans``.
    """

    literals: Bytes
    sequences: Table
    spans: Table


def parse_frame(frame: bytes, dictionary: Dictionary, *, limit: int = LIMIT) -> Symbols:
    """Parse one magicless frame.

    Raises:
        FrameError: the frame is damaged, or was made with another dictionary.
        FrameTooLargeError: it stands for more than ``limit`` bytes.
        DictionaryError: the dictionary is damaged.
    """
    tables = shared_tables(dictionary)
    literals = np.empty(limit, dtype=np.uint8)
    sequences = np.empty((limit // MIN_MATCH + 1, 3), dtype=np.int32)
    source = np.frombuffer(frame, dtype=np.uint8)
    literal_count, sequence_count = read_frame(
        source,
        0,
        source.size,
        tables.dictionary_id,
        tables.huffman.copy(),
        tables.fse.copy(),
        tables.predefined,
        tables.state.copy(),
        literals,
        sequences,
        limit,
    )
    if literal_count < 0:
        raise_frame_error(int(literal_count))
    spans = np.empty((limit + 1, 3), dtype=np.int32)
    span_count = int(resolve_spans(sequences, sequence_count, tables.content.size, spans))
    if span_count < 0:
        raise_frame_error(span_count)
    return Symbols(
        literals=literals[:literal_count].copy(),
        sequences=sequences[:sequence_count].copy(),
        spans=spans[:span_count].copy(),
    )


def raise_frame_error(code: int, number: int | None = None) -> NoReturn:
    """Turn an error code into the exception it stands for; ``number`` is the frame's place in its batch."""
    which = "The frame" if number is None else f"Frame {number} of the batch"
    kind = FrameTooLargeError if code == ERROR_TOO_LARGE else FrameError
    raise kind(f"{which} {MESSAGES[code]}.", remedy="Run `cem-rag check`; restore the pack or import its source again.")
