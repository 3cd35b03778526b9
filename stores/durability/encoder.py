"""Encoders that need no model: pairs of characters, hashed. How good vectors are proves nothing here."""

from __future__ import annotations

import zlib
from collections.abc import Sequence

import numpy as np

from cem_rag_app.cem.pair import Encoders
from cem_rag_app.schema import FloatArray
from stores.tail import TextBaseline

NAME = "hashed"
DIMENSION = 64
_LONGEST = 400
"""Characters that are read."""


class HashedText:
    """Texts to unit vectors (64): each run of two characters counts at a hashed place."""

    name = NAME
    dimension = DIMENSION

    def encode_queries(self, texts: Sequence[str]) -> FloatArray:
        """Encode questions: (n, 64) float32, unit rows."""
        return self.encode_documents(texts)

    def encode_documents(self, texts: Sequence[str]) -> FloatArray:
        """Encode texts: (n, 64) float32, unit rows."""
        out = np.zeros((len(texts), DIMENSION), dtype=np.float32)
        for row, text in enumerate(texts):
            raw = text[:_LONGEST].encode("utf-16-le")
            for start in range(0, len(raw) - 3, 2):
                number = zlib.crc32(raw[start : start + 4])
                out[row, number % DIMENSION] += 1.0 if number & 1024 else -1.0
            if not out[row].any():
                out[row, 0] = 1.0
        return np.asarray(out / np.linalg.norm(out, axis=1, keepdims=True), dtype=np.float32)


def hashed_encoders(_name: str = NAME) -> Encoders:
    """Both encoders; every name gives the same."""
    text = HashedText()
    return Encoders(query=text, document=TextBaseline(NAME, DIMENSION, text.encode_documents))
