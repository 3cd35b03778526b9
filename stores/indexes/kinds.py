"""An index of whatever kind the parameters name."""

from __future__ import annotations

import hashlib
from pathlib import Path

from cem_rag_app.schema import FloatArray
from stores.files import file_sha256
from stores.indexes.base import IndexParameters
from stores.indexes.codes.file import head_bytes
from stores.indexes.codes.index import CodeIndex
from stores.indexes.faiss_index import FaissIndex

AnyIndex = FaissIndex | CodeIndex


def make_index(dimension: int, parameters: IndexParameters, training: FloatArray, total: int) -> AnyIndex:
    """An empty index that has learned from (n, d) vectors what its kind needs to learn.

    Args:
        dimension: of the vectors.
        parameters: kind and knobs.
        training: vectors to learn from.
        total: vectors it is going to hold.
    """
    if parameters.kind == "codes":
        return CodeIndex.train(training, parameters, total)
    return FaissIndex(dimension, parameters, training)


def read_index(path: Path, parameters: IndexParameters) -> AnyIndex:
    """Read an index file.

    Raises:
        MemoryCorruptError: it cannot be read, or it is of another kind.
    """
    return CodeIndex.load(path, parameters) if parameters.kind == "codes" else FaissIndex.load(path, parameters)


def index_digest(path: Path, parameters: IndexParameters) -> str:
    """SHA-256 that tells whether an index file is the one that was written.

    Of the whole file for FAISS, which checks nothing itself; of the head for ``codes``, whose checksums cover the rest
    and are compared when it is read.

    Raises:
        MemoryCorruptError: the head is damaged.
    """
    if parameters.kind == "codes":
        return hashlib.sha256(head_bytes(path)).hexdigest()
    return file_sha256(path)
