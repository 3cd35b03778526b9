"""Encoders for tests: deterministic, quick, no model, no training; texts that share words or characters are near.

encoders = fake_encoders            # an EncoderFactory: Memory.create(..., encoders=fake_encoders)
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import cache

import numpy as np
import zstandard

from cem_rag_app.cem.pair import Encoders
from cem_rag_app.cem.teachers.base import unit_rows
from cem_rag_app.schema import FloatArray
from cem_rag_app.zpkg.dictionary import Dictionary

NAME = "fake-ngrams"
DIMENSION = 256
LONGEST = 4_000
"""Characters that are read, as a model has a limit too."""


@cache
def _hashed(gram: str) -> int:
    return int.from_bytes(hashlib.blake2b(gram.encode(), digest_size=4).digest(), "little")


class HashedTextEncoder:
    """Character 1-3-grams, each hashed to a signed place: a TextEncoder without a model."""

    revision = "1"
    pooling = "sum"

    def __init__(self, name: str = NAME, dimension: int = DIMENSION) -> None:
        self.name = name
        self.dimension = dimension

    def encode_queries(self, texts: Sequence[str]) -> FloatArray:
        return self.encode_documents(texts)

    def encode_documents(self, texts: Sequence[str]) -> FloatArray:
        out = np.zeros((len(texts), self.dimension), dtype=np.float32)
        for row, text in enumerate(texts):
            folded = " ".join(text[:LONGEST].casefold().split())
            for size in (1, 2, 3):
                for start in range(len(folded) - size + 1):
                    number = _hashed(folded[start : start + size])
                    out[row, (number >> 1) % self.dimension] += size if number & 1 else -size
        return unit_rows(out)


class SeeThroughEncoder:
    """A perfect student: gives a frame the vector its text would have.

    It looks into frames with zstandard itself and never touches ``cem_rag_app.zpkg.late``, so that tests of I1 can
    take that module away. ``frames_seen`` counts what it was given.
    """

    quick = False

    def __init__(self, teacher: HashedTextEncoder, name: str = "see-through") -> None:
        self.name = name
        self.teacher = teacher.name
        self.dimension = teacher.dimension
        self.frames_seen = 0
        self._teacher = teacher

    def encode(self, frames: Sequence[bytes], dictionary: Dictionary) -> FloatArray:
        self.frames_seen += len(frames)
        prepared = zstandard.ZstdCompressionDict(dictionary.data) if dictionary.data else None
        opener = zstandard.ZstdDecompressor(dict_data=prepared, format=zstandard.FORMAT_ZSTD1_MAGICLESS)
        texts = [opener.decompress(frame, max_output_size=1 << 20).decode() for frame in frames]
        return self._teacher.encode_documents(texts)


def fake_encoders(_name: str = NAME) -> Encoders:
    """An EncoderFactory; every name gives the same fakes."""
    teacher = HashedTextEncoder()
    return Encoders(query=teacher, document=SeeThroughEncoder(teacher))
