"""Constants of the zstd format (RFC 8878) and the codes the parser returns."""

from __future__ import annotations

import numpy as np

DICTIONARY_MAGIC = b"\x37\xa4\x30\xec"

MAX_BLOCK = 1 << 17
"""Bytes a block regenerates at most (RFC 8878, 3.1.1.2.4)."""
MIN_MATCH = 3

HUFFMAN_LOG = 12
"""libzstd reads literal trees up to 12 bits deep; the RFC allows 11."""
WEIGHTS_LOG = 6
FSE_SIZE = 512
"""Slots of the largest FSE table: accuracy 9."""

LITERAL_LENGTHS, OFFSETS, MATCH_LENGTHS = 0, 1, 2
"""Rows of an FSE table array, in the order in which a block describes them."""
MAX_LOG = np.array([9, 8, 9], dtype=np.int64)
MAX_SYMBOL = np.array([35, 31, 52], dtype=np.int64)

# Places in the small integer array that holds the state of a frame's entropy coder.
STATE_HUFFMAN_LOG = 0
STATE_FSE_LOG = 1  # three of them, in row order; -1 where no table has been seen
STATE_OFFSETS = 4  # the three recent offsets
STATE_SIZE = 7

LITERAL_LENGTH_BASE = np.array(
    [*range(16), 16, 18, 20, 22, 24, 28, 32, 40, 48, 64, 128, 256, 512, 1024, 2048, 4096, 8192, 16384, 32768, 65536],
    dtype=np.int64,
)
LITERAL_LENGTH_BITS = np.array(
    [0] * 16 + [1, 1, 1, 1, 2, 2, 3, 3, 4, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16], dtype=np.int64
)
MATCH_LENGTH_BASE = np.array(
    [*range(3, 35), 35, 37, 39, 41, 43, 47, 51, 59, 67, 83, 99, *(3 + (1 << bits) for bits in range(7, 17))],
    dtype=np.int64,
)
MATCH_LENGTH_BITS = np.array(
    [0] * 32 + [1, 1, 1, 1, 2, 2, 3, 3, 4, 4, 5, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16], dtype=np.int64
)

# The predefined distributions of RFC 8878, 3.1.1.3.2.2; -1 is "less than one".
DEFAULT_LOG = np.array([6, 5, 6], dtype=np.int64)
DEFAULT_LITERAL_LENGTHS = np.array(
    [4, 3] + [2] * 11 + [1, 1, 1] + [2] * 9 + [3, 2, 1, 1, 1, 1, 1, -1, -1, -1, -1], dtype=np.int64
)
DEFAULT_OFFSETS = np.array([1] * 6 + [2, 2, 2] + [1] * 15 + [-1] * 5, dtype=np.int64)
DEFAULT_MATCH_LENGTHS = np.array([1, 4, 3] + [2] * 6 + [1] * 37 + [-1] * 7, dtype=np.int64)

OK = 0
ERROR_TRUNCATED = -1
ERROR_HEADER = -2
ERROR_BLOCK = -3
ERROR_LITERALS = -4
ERROR_HUFFMAN = -5
ERROR_FSE = -6
ERROR_SEQUENCES = -7
ERROR_OFFSET = -8
ERROR_TRAILING = -9
ERROR_SIZE = -10
ERROR_TOO_LARGE = -11
ERROR_DICTIONARY_ID = -12
ERROR_NO_TABLE = -13

MESSAGES = {
    ERROR_TRUNCATED: "ends before its last block does",
    ERROR_HEADER: "has a header that no zstd frame has",
    ERROR_BLOCK: "has a block of a reserved type or an impossible size",
    ERROR_LITERALS: "has a damaged literals section",
    ERROR_HUFFMAN: "has a damaged Huffman tree or stream",
    ERROR_FSE: "has a damaged FSE table",
    ERROR_SEQUENCES: "has a damaged sequences section",
    ERROR_OFFSET: "has a match that points before the dictionary",
    ERROR_TRAILING: "has bytes after its end",
    ERROR_SIZE: "is not as long as its header says",
    ERROR_TOO_LARGE: "would expand beyond its limit",
    ERROR_DICTIONARY_ID: "was compressed with another dictionary",
    ERROR_NO_TABLE: "repeats an entropy table that neither it nor the dictionary defines",
}
