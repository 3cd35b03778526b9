"""Lengths of chunks in one byte: up to 127 terms exactly, beyond that in eighths of an octave, as Lucene's norms do."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

LengthCodes = NDArray[np.uint8]

_EXACT = 128
_STEPS = 8
_CODES = 256


def _lengths() -> NDArray[np.float64]:
    codes = np.arange(_CODES - _EXACT)
    octave, step = codes // _STEPS, codes % _STEPS
    # The middle of what a code stands for, so that it is neither too long nor too short on average.
    above = (_STEPS + step + 0.5) * 2.0 ** (octave + 4)
    return np.concatenate((np.arange(_EXACT, dtype=np.float64), above))


LENGTHS = _lengths()
"""(256,) the length, in terms, that each code stands for; the last ones reach eight million."""


def length_codes(lengths: NDArray[Any]) -> LengthCodes:
    """One byte for each length; at most 1/16 wrong above 127 terms, and exact below."""
    wanted = np.asarray(lengths, dtype=np.int64)
    above = np.maximum(wanted, _EXACT)
    octave = np.floor(np.log2(above)).astype(np.int64) - 7
    codes = _EXACT + octave * _STEPS + ((above >> (octave + 4)) - _STEPS)
    return np.where(wanted < _EXACT, wanted, np.minimum(codes, _CODES - 1)).astype(np.uint8)
