"""The two halves of one vector space: what reads questions, and what reads compressed chunks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from cem_rag_app.schema import FloatArray
from cem_rag_app.zpkg.dictionary import Dictionary


class QueryEncoder(Protocol):
    """The part of a text encoder that a search needs."""

    @property
    def name(self) -> str:
        """Of the vector space."""
        ...

    @property
    def dimension(self) -> int:
        """Of the vectors."""
        ...

    def encode_queries(self, texts: Sequence[str]) -> FloatArray:
        """Encode questions: (n, dimension) float32, unit rows."""
        ...


class FrameEncoder(Protocol):
    """Frames to vectors: ``cem_rag_app.cem.encoder.CompressedEncoder``, or a text baseline."""

    @property
    def name(self) -> str:
        """Of the checkpoint."""
        ...

    @property
    def teacher(self) -> str:
        """Name of the text encoder in whose space the vectors lie."""
        ...

    @property
    def dimension(self) -> int:
        """Of the vectors."""
        ...

    @property
    def quick(self) -> bool:
        """Whether a frame takes some ten microseconds, so that every search may encode its candidates again."""
        ...

    def encode(self, frames: Sequence[bytes], dictionary: Dictionary) -> FloatArray:
        """Encode frames of one dictionary: (n, dimension) float32, unit rows."""
        ...


@dataclass(frozen=True, slots=True)
class Encoders:
    """Questions are text (I4), documents are frames (I2); both end in the same space (I6)."""

    query: QueryEncoder
    document: FrameEncoder
