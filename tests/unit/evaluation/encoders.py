"""Encoders in a few lines: texts are bags of hashed terms, frames bags of hashed bytes."""

from __future__ import annotations

import zlib
from collections.abc import Sequence

import numpy as np

from cem_rag_app.cem.teachers.base import unit_rows
from cem_rag_app.lexical import terms
from cem_rag_app.schema import FloatArray
from cem_rag_app.zpkg.dictionary import Dictionary

DIMENSION = 1024


class BagOfTerms:
    """A text encoder; a stop-word-free bag, so that retrieval with it makes sense."""

    name = "bag-of-terms"
    dimension = DIMENSION
    revision = "1"
    pooling = "sum"

    def encode_queries(self, texts: Sequence[str]) -> FloatArray:
        return self.encode_documents(texts)

    def encode_documents(self, texts: Sequence[str]) -> FloatArray:
        return unit_rows(np.stack([_bag([term.encode() for term in terms(text)]) for text in texts]))


class BagOfBytes:
    """A frame encoder that reads nothing but the frame's bytes, and remembers what it was given."""

    name = "bag-of-bytes"
    teacher = "bag-of-terms"
    dimension = DIMENSION

    def __init__(self, view: str = "symbols") -> None:
        self.view = view
        self.seen: list[bytes] = []

    def encode(self, frames: Sequence[bytes], dictionary: Dictionary) -> FloatArray:
        self.seen += frames
        return unit_rows(np.stack([_bag([frame[at : at + 2] for at in range(len(frame))]) for frame in frames]))


class Letters:
    """A text's vector is its first and its last letter."""

    name = "letters"
    dimension = 26

    def encode_documents(self, texts: Sequence[str]) -> FloatArray:
        vectors = np.zeros((len(texts), 26), dtype=np.float32)
        for row, text in enumerate(texts):
            vectors[row, ord(text[0].lower()) % 26] += 1
            vectors[row, ord(text[-1].lower()) % 26] += 1
        return unit_rows(vectors)

    encode_queries = encode_documents


def _bag(words: Sequence[bytes]) -> FloatArray:
    bag = np.zeros(DIMENSION, dtype=np.float32)
    for word in words:
        bag[zlib.crc32(word) % DIMENSION] += 1
    return bag
