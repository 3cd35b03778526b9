"""Characters: decoded byte by byte, folded, and put into classes."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from cem_rag_app.cem.symbols.types import Integer

SPACE, BREAK, LETTER, IDEOGRAPH = 0, 1, 2, 3
"""Space parts words, a break parts phrases too, letters make words, an ideograph is a word of its own."""

_FOLDED = "aaaaaaaceeeeiiiidnooooo*ouuuuypsaaaaaaaceeeeiiiidnooooo/ouuuuypy"  # U+00C0 ... U+00FF
LATIN_FOLD: NDArray[np.int64] = np.array([ord(letter) for letter in _FOLDED], dtype=np.int64)


@njit(cache=True, nogil=True)
def decode_step(byte: Integer, code: Integer, wanted: Integer) -> tuple[Integer, Integer]:
    """Take one byte of UTF-8.

    Args:
        byte: the byte.
        code: bits of the character so far.
        wanted: continuation bytes it still needs.

    Returns:
        ``(code, wanted)``; with ``wanted == 0`` the character is complete. Code 0 is a byte that fits nowhere.
    """
    if byte < 0x80:
        return byte, 0
    if byte < 0xC0:
        return ((code << 6) | (byte & 0x3F), wanted - 1) if wanted > 0 else (0, 0)
    if byte < 0xE0:
        return byte & 0x1F, 1
    if byte < 0xF0:
        return byte & 0x0F, 2
    return (byte & 0x07, 3) if byte < 0xF5 else (0, 0)


@njit(cache=True, nogil=True)
def fold_latin(code: Integer) -> Integer:
    """Lower-case ASCII, drop the accents of Latin-1, narrow full-width forms; other characters stay."""
    if 0xFF01 <= code <= 0xFF5E:
        code -= 0xFEE0
    if 65 <= code <= 90:
        return code + 32
    if 0xC0 <= code <= 0xFF:
        return int(LATIN_FOLD[code - 0xC0])
    return code


@njit(cache=True, nogil=True)
def character_class(code: Integer) -> Integer:
    """Class of a folded character."""
    if code < 128:
        if 97 <= code <= 122 or 48 <= code <= 57:
            return LETTER
        return SPACE if code in (32, 9, 10, 13) else BREAK
    if 0x3040 <= code <= 0x30FF or 0x3400 <= code <= 0x4DBF or 0x4E00 <= code <= 0x9FFF:
        return IDEOGRAPH
    if 0xF900 <= code <= 0xFAFF or code >= 0x1F000:
        return IDEOGRAPH
    if 0x100 <= code <= 0x1FFF or 0xAC00 <= code <= 0xD7AF:
        return LETTER
    return SPACE if code in (0xA0, 0x3000) else BREAK
