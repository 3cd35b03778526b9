"""A magicless zstd frame (RFC 8878, 3.1.1) to its literals and sequences."""

from __future__ import annotations

import numpy as np
from numba import njit

from cem_rag_app.cem.symbols.constants import (
    ERROR_BLOCK,
    ERROR_DICTIONARY_ID,
    ERROR_HEADER,
    ERROR_SIZE,
    ERROR_TOO_LARGE,
    ERROR_TRAILING,
    ERROR_TRUNCATED,
    MAX_BLOCK,
)
from cem_rag_app.cem.symbols.literals import read_literals
from cem_rag_app.cem.symbols.sequences import read_sequences
from cem_rag_app.cem.symbols.types import Bytes, Integer, Integers, Table

_RAW, _RLE, _COMPRESSED = 0, 1, 2


@njit(cache=True, nogil=True)
def _little_endian(source: Bytes, start: Integer, width: Integer) -> Integer:
    value = np.int64(0)
    for i in range(width):
        value |= np.int64(source[start + i]) << (8 * i)
    return value


@njit(cache=True, nogil=True)
def _read_header(
    source: Bytes, start: Integer, end: Integer, dictionary_id: Integer
) -> tuple[Integer, Integer, Integer]:
    """Return ``(next position, content size or -1, checksum bytes)``; negative first: an error code."""
    if start >= end:
        return ERROR_TRUNCATED, 0, 0
    descriptor = np.int64(source[start])
    position = start + 1
    if descriptor & 8:
        return ERROR_HEADER, 0, 0
    single = (descriptor >> 5) & 1
    id_width = (0, 1, 2, 4)[descriptor & 3]
    size_flag = descriptor >> 6
    size_width = (single, 2, 4, 8)[size_flag]
    if position + (1 - single) + id_width + size_width > end:
        return ERROR_TRUNCATED, 0, 0
    # The window only bounds a decoder's buffer. This reader has none.
    position += 1 - single
    named = _little_endian(source, position, id_width)
    if named not in (0, dictionary_id):
        return ERROR_DICTIONARY_ID, 0, 0
    position += id_width
    size: Integer = np.int64(-1)
    if size_width > 0:
        size = _little_endian(source, position, size_width)
        if size_width == 2:
            size += 256
        if size < 0:
            return ERROR_TOO_LARGE, 0, 0
    position += size_width
    return position, size, 4 * ((descriptor >> 2) & 1)


@njit(cache=True, nogil=True)
def read_frame(
    source: Bytes,
    start: Integer,
    end: Integer,
    dictionary_id: Integer,
    huffman: Table,
    fse: Table,
    predefined: Table,
    state: Integers,
    literals: Bytes,
    sequences: Table,
    limit: Integer,
) -> tuple[Integer, Integer]:
    """Parse the frame ``source[start:end]`` into ``literals`` and ``sequences``.

    Args:
        source: uint8; holds the frame.
        start: first byte of the frame.
        end: one behind its last byte.
        dictionary_id: the id a frame may name.
        huffman: (4096,) int32, the dictionary's tree or anything; overwritten.
        fse: (3, 512) int32, the dictionary's tables or anything; overwritten.
        predefined: (3, 512) int32.
        state: (7,) int64, see ``constants``; overwritten.
        literals: uint8; its size bounds the literals.
        sequences: (n, 3) int32; its length bounds the sequences. Literals that end a block are a row without a match.
        limit: bytes the frame may stand for.

    Returns:
        ``(literals, sequences)`` read; a negative first value is an error code.
    """
    position, size, checksum = _read_header(source, start, end, dictionary_id)
    if position < 0:
        return position, 0
    if size > limit:
        return ERROR_TOO_LARGE, 0
    literal_count: Integer = 0
    sequence_count: Integer = 0
    length: Integer = 0
    last: Integer = np.int64(0)
    while last == 0:
        if position + 3 > end:
            return ERROR_TRUNCATED, 0
        header = _little_endian(source, position, 3)
        position += 3
        last = header & 1
        kind = (header >> 1) & 3
        block = header >> 3
        if kind > _COMPRESSED or block > MAX_BLOCK:
            return ERROR_BLOCK, 0
        stored = 1 if kind == _RLE else block
        if position + stored > end:
            return ERROR_TRUNCATED, 0
        written: Integer = block
        read: Integer = 0
        if kind == _COMPRESSED:
            after, written = read_literals(source, position, position + block, huffman, state, literals, literal_count)
            if after < 0:
                return after, 0
            read = read_sequences(source, after, position + block, fse, predefined, state, sequences, sequence_count)
            if read < 0:
                return read, 0
        else:
            if literal_count + block > literals.size:
                return ERROR_TOO_LARGE, 0
            for i in range(block):
                literals[literal_count + i] = source[position + (i if kind == _RAW else 0)]
        position += stored

        rest = written
        regenerated = np.int64(0)
        for i in range(sequence_count, sequence_count + read):
            rest -= sequences[i, 0]
            regenerated += sequences[i, 0] + sequences[i, 1]
        if rest < 0:
            return ERROR_BLOCK, 0
        regenerated += rest
        if regenerated > MAX_BLOCK:
            return ERROR_BLOCK, 0
        sequence_count += read
        literal_count += written
        length += regenerated
        if length > limit:
            return ERROR_TOO_LARGE, 0
        if rest > 0:
            if sequence_count >= sequences.shape[0]:
                return ERROR_TOO_LARGE, 0
            sequences[sequence_count, 0] = rest
            sequences[sequence_count, 1] = 0
            sequences[sequence_count, 2] = 0
            sequence_count += 1
    if size >= 0 and size != length:
        return ERROR_SIZE, 0
    if position + checksum > end:
        return ERROR_TRUNCATED, 0
    if position + checksum != end:
        return ERROR_TRAILING, 0
    return literal_count, sequence_count
