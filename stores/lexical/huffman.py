"""Huffman codes for the bytes of terms: one for shared lengths, and one behind each byte or one for all."""

from __future__ import annotations

import heapq
from dataclasses import dataclass

import numpy as np
from numba import njit

from cem_rag_app.errors import MemoryCorruptError
from stores.lexical.bits import Bytes, Integer, Integers, read_bits, write_bits

LONGEST_CODE = 15
_SYMBOLS = 256
_BITMAP = _SYMBOLS // 8


@njit(cache=True, nogil=True)
def read_symbol(
    data: Bytes, position: Integer, first_codes: Integers, first_places: Integers, symbols: Bytes, context: Integer
) -> tuple[Integer, Integer]:
    """Read a symbol in a context: ``(symbol, next position)``."""
    code = np.int64(0)
    for length in range(1, LONGEST_CODE + 1):
        code = (code << 1) | read_bits(data, position, 1)
        position += 1
        behind = code - first_codes[context, length]
        if behind < first_places[context, length + 1] - first_places[context, length]:
            return np.int64(symbols[context, first_places[context, length] + behind]), position
    return np.int64(0), position


@njit(cache=True, nogil=True)
def write_symbol(
    data: Bytes, position: Integer, code_lengths: Bytes, codes: Integers, context: Integer, symbol: Integer
) -> Integer:
    """Write a symbol in a context; returns the position after it."""
    length = code_lengths[context, symbol]
    for bit in range(length - 1, -1, -1):
        position = write_bits(data, position, (codes[context, symbol] >> bit) & 1, 1)
    return position


@dataclass(frozen=True, slots=True)
class Model:
    """Canonical codes in contexts; context 0 is for shared lengths.

    Attributes:
        code_lengths: (contexts, 256) bits of each symbol's code, 0 where it does not occur.
        codes: (contexts, 256) the codes.
        first_codes: (contexts, 17) the first code of each length.
        first_places: (contexts, 17) where the symbols of each length begin in ``symbols``.
        symbols: (contexts, 256) symbols by length of code, then by value.
        contexts: (256,) the context behind each byte; a term's first byte stands behind 0.
        deep: whether each byte has a context of its own.
    """

    code_lengths: Bytes
    codes: Integers
    first_codes: Integers
    first_places: Integers
    symbols: Bytes
    contexts: Integers
    deep: bool

    @classmethod
    def of(cls, shared: Integers, follows: Integers) -> Model:
        """The cheaper of one code for all bytes and one behind each byte, its own description included.

        Args:
            shared: (256,) how often each shared length is written.
            follows: (256, 256) how often each byte follows each byte.
        """
        used = np.flatnonzero(follows.any(axis=0) | follows.any(axis=1))
        flat = np.stack((_lengths(shared), _lengths(follows.sum(axis=0))))
        deep = np.stack((_lengths(shared), *(_lengths(follows[byte]) for byte in used)))
        flat_bits = int((flat[1] * follows.sum(axis=0)).sum())
        deep_bits = int(sum((deep[1 + row] * follows[byte]).sum() for row, byte in enumerate(used)))
        deep_bits += 4 * (len(used) - 1) * len(used)
        return cls._made(deep, used) if deep_bits < flat_bits else cls._made(flat, None)

    def to_bytes(self) -> bytes:
        """One byte for the kind, which bytes occur, the longest shared length, then four bits a code length."""
        used = np.flatnonzero(self.contexts if self.deep else self.code_lengths[1])
        occurs = np.zeros(_SYMBOLS, dtype=np.uint8)
        occurs[used] = 1
        longest = int(np.flatnonzero(self.code_lengths[0]).max(initial=0))
        nibbles = np.concatenate((self.code_lengths[0, : longest + 1], self.code_lengths[1:, used].ravel()))
        padded = np.append(nibbles, np.zeros(len(nibbles) % 2, dtype=np.uint8)).astype(np.uint8)
        packed = padded[::2] | padded[1::2] << 4
        return bytes([self.deep]) + np.packbits(occurs).tobytes() + bytes([longest]) + packed.tobytes()

    @classmethod
    def from_bytes(cls, data: bytes) -> Model:
        """Read a model back.

        Raises:
            MemoryCorruptError: it is none.
        """
        if len(data) < 2 + _BITMAP:
            raise MemoryCorruptError("A lexical index holds no codes for its terms.")
        used = np.flatnonzero(np.unpackbits(np.frombuffer(data, np.uint8, _BITMAP, 1)))
        longest = data[1 + _BITMAP]
        packed = np.frombuffer(data, np.uint8, offset=2 + _BITMAP)
        nibbles = np.stack((packed & 15, packed >> 4), axis=1).ravel()
        contexts = len(used) if data[0] else 1
        wanted = longest + 1 + contexts * len(used)
        if len(nibbles) - wanted not in (0, 1):
            raise MemoryCorruptError("The codes of a lexical index's terms have another size than they need.")
        code_lengths = np.zeros((1 + contexts, _SYMBOLS), dtype=np.uint8)
        code_lengths[0, : longest + 1] = nibbles[: longest + 1]
        code_lengths[1:, used] = nibbles[longest + 1 : wanted].reshape(contexts, len(used))
        return cls._made(code_lengths, used if data[0] else None)

    @classmethod
    def _made(cls, code_lengths: Bytes, used: Integers | None) -> Model:
        contexts = np.ones(_SYMBOLS, dtype=np.int64)
        if used is not None:
            contexts[:] = 0
            contexts[used] = 1 + np.arange(len(used))
        count = len(code_lengths)
        codes = np.zeros((count, _SYMBOLS), dtype=np.int64)
        first_codes = np.zeros((count, LONGEST_CODE + 2), dtype=np.int64)
        first_places = np.zeros((count, LONGEST_CODE + 2), dtype=np.int64)
        symbols = np.zeros((count, _SYMBOLS), dtype=np.uint8)
        for context in range(count):
            code, place = 0, 0
            for length in range(1, LONGEST_CODE + 1):
                first_codes[context, length], first_places[context, length] = code, place
                these = np.flatnonzero(code_lengths[context] == length)
                symbols[context, place : place + len(these)] = these
                codes[context, these] = code + np.arange(len(these))
                place += len(these)
                code = (code + len(these)) << 1
            first_places[context, LONGEST_CODE + 1] = place
        return cls(
            np.ascontiguousarray(code_lengths), codes, first_codes, first_places, symbols, contexts, used is not None
        )


def _lengths(counts: Integers) -> Bytes:
    """(256,) bits of each symbol's Huffman code, ``LONGEST_CODE`` at most."""
    weights = np.asarray(counts, dtype=np.int64).copy()
    while True:
        lengths = _huffman(weights)
        if lengths.max(initial=0) <= LONGEST_CODE:
            return lengths
        weights = np.where(weights > 0, (weights + 1) // 2, 0)  # flatter, until the longest code is short enough


def _huffman(weights: Integers) -> Bytes:
    lengths = np.zeros(_SYMBOLS, dtype=np.uint8)
    heap = [(int(weights[symbol]), int(symbol), [int(symbol)]) for symbol in np.flatnonzero(weights)]
    if len(heap) == 1:
        lengths[heap[0][1]] = 1
        return lengths
    heapq.heapify(heap)
    while len(heap) > 1:
        one, other = heapq.heappop(heap), heapq.heappop(heap)
        lengths[one[2] + other[2]] += 1
        heapq.heappush(heap, (one[0] + other[0], min(one[1], other[1]), one[2] + other[2]))
    return lengths
