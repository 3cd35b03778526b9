"""What a shared dictionary contributes: its entropy tables, recent offsets and content, parsed once."""

from __future__ import annotations

import hashlib
import threading
from dataclasses import dataclass

import numpy as np

from cem_rag_app.cem.symbols.constants import (
    DICTIONARY_MAGIC,
    FSE_SIZE,
    HUFFMAN_LOG,
    LITERAL_LENGTHS,
    MATCH_LENGTHS,
    MAX_LOG,
    MAX_SYMBOL,
    OFFSETS,
    OK,
    STATE_FSE_LOG,
    STATE_HUFFMAN_LOG,
    STATE_OFFSETS,
    STATE_SIZE,
)
from cem_rag_app.cem.symbols.fse import build_table, read_distribution
from cem_rag_app.cem.symbols.huffman import read_tree
from cem_rag_app.cem.symbols.sequences import predefined_tables
from cem_rag_app.cem.symbols.types import Bytes, Integer, Integers, Table
from cem_rag_app.errors import DictionaryError
from cem_rag_app.zpkg.dictionary import Dictionary

_KEPT = 8


@dataclass(frozen=True, eq=False)
class SharedTables:
    """A dictionary as the parser sees it. All arrays are read-only.

    Attributes:
        digest: of the dictionary's bytes.
        dictionary_id: 0 for a raw one.
        content: uint8, what matches point into.
        huffman: (4096,) int32.
        fse: (3, 512) int32.
        predefined: (3, 512) int32, the format's own tables.
        state: (7,) int64, the entropy coder's state at the head of a frame.
    """

    digest: str
    dictionary_id: int
    content: Bytes
    huffman: Table
    fse: Table
    predefined: Table
    state: Integers


_cache: dict[str, SharedTables] = {}
_lock = threading.Lock()


def shared_tables(dictionary: Dictionary) -> SharedTables:
    """Parse a dictionary, or return what an earlier call parsed.

    Raises:
        DictionaryError: its entropy section is damaged.
    """
    digest = dictionary.digest
    with _lock:
        tables = _cache.get(digest)
        if tables is None:
            tables = read_dictionary(dictionary.data)
            while len(_cache) >= _KEPT:
                _cache.pop(next(iter(_cache)))
            _cache[digest] = tables
        return tables


def read_dictionary(data: bytes) -> SharedTables:
    """Parse the bytes of a zstd dictionary (RFC 8878, 5); bytes without its magic number are all content.

    Raises:
        DictionaryError: the entropy section is damaged.
    """
    huffman = np.zeros(1 << HUFFMAN_LOG, dtype=np.int32)
    fse = np.zeros((3, FSE_SIZE), dtype=np.int32)
    state = np.zeros(STATE_SIZE, dtype=np.int64)
    state[STATE_FSE_LOG : STATE_FSE_LOG + 3] = -1
    state[STATE_OFFSETS : STATE_OFFSETS + 3] = (1, 4, 8)
    source = np.frombuffer(data, dtype=np.uint8)
    dictionary_id = 0
    position: Integer = 0
    if data[:4] == DICTIONARY_MAGIC:
        if len(data) < 8:
            raise _damaged("it ends inside its header")
        dictionary_id = int.from_bytes(data[4:8], "little")
        position, log = read_tree(source, 8, source.size, huffman)
        if position < 0:
            raise _damaged("its Huffman tree cannot be read")
        state[STATE_HUFFMAN_LOG] = log
        for row in (OFFSETS, MATCH_LENGTHS, LITERAL_LENGTHS):
            counts = np.zeros(64, dtype=np.int64)
            position, log, symbols = read_distribution(
                source, position, source.size, int(MAX_SYMBOL[row]), int(MAX_LOG[row]), counts
            )
            if position < 0 or build_table(counts, symbols, log, fse[row]) != OK:
                raise _damaged("one of its FSE tables cannot be read")
            state[STATE_FSE_LOG + row] = log
        if position + 12 > source.size:
            raise _damaged("it ends before its content")
        recent = np.frombuffer(data, dtype="<u4", count=3, offset=position).astype(np.int64)
        position += 12
        if recent.min() == 0 or recent.max() > source.size - position:
            raise _damaged("its recent offsets point outside of it")
        state[STATE_OFFSETS : STATE_OFFSETS + 3] = recent
    content = source[position:]
    predefined = predefined_tables()
    for array in (huffman, fse, predefined, state):
        array.flags.writeable = False
    return SharedTables(
        digest=hashlib.sha256(data).hexdigest(),
        dictionary_id=dictionary_id,
        content=content,
        huffman=huffman,
        fse=fse,
        predefined=predefined,
        state=state,
    )


def _damaged(why: str) -> DictionaryError:
    return DictionaryError(f"The shared dictionary is damaged: {why}.", remedy="Restore the pack from a copy.")
