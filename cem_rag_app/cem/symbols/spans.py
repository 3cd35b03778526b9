"""From sequences to spans: where each stretch of a chunk comes from, without putting it there.

A span is ``(origin, length, start)``. ``origin >= 0`` is a place in the frame's literals; ``origin < 0`` is the place
``-origin - 1`` in the shared dictionary: its stable name, since the offset in the frame differs at every position.
A match inside the chunk becomes references to the spans it points at. ``start`` is where in the chunk the span lies.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from cem_rag_app.cem.symbols.constants import ERROR_OFFSET, ERROR_TOO_LARGE
from cem_rag_app.cem.symbols.types import Integer, Table


@njit(cache=True, nogil=True)
def resolve_spans(sequences: Table, count: Integer, dictionary_size: Integer, spans: Table) -> Integer:
    """Name the origin of every stretch of a chunk.

    Args:
        sequences: (>= count, 3) int32 rows of (literal length, match length, offset).
        count: rows that are filled.
        dictionary_size: bytes of the dictionary's content.
        spans: (capacity, 3) int32; overwritten.

    Returns:
        How many spans were written, or an error code.
    """
    total = 0
    length = np.int64(0)
    literal = np.int64(0)
    capacity = spans.shape[0]
    for row in range(count):
        run = np.int64(sequences[row, 0])
        if run > 0:
            if total >= capacity:
                return ERROR_TOO_LARGE
            spans[total, 0] = literal
            spans[total, 1] = run
            spans[total, 2] = length
            total += 1
            literal += run
            length += run
        left = np.int64(sequences[row, 1])
        place = length - np.int64(sequences[row, 2])
        while left > 0:
            if total >= capacity:
                return ERROR_TOO_LARGE
            if place < 0:
                at = dictionary_size + place
                if at < 0:
                    return ERROR_OFFSET
                take = min(left, -place)
                origin = -at - 1
            else:
                # The span that covers ``place``: spans are in order of their starts.
                low, high = 0, total - 1
                while low < high:
                    middle = (low + high + 1) >> 1
                    if spans[middle, 2] <= place:
                        low = middle
                    else:
                        high = middle - 1
                inside = place - spans[low, 2]
                take = min(left, spans[low, 1] - inside)
                origin = np.int64(spans[low, 0])
                origin += inside if origin >= 0 else -inside
            spans[total, 0] = origin
            spans[total, 1] = take
            spans[total, 2] = length
            total += 1
            place += take
            length += take
            left -= take
    return total
