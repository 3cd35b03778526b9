"""What a memory is made of and made for; chosen once, when it is created."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from cem_rag_app.persona.rules import HardRules
from cem_rag_app.schema import FloatArray
from cem_rag_app.zpkg.dictionary import Dictionary


class QueryEncoder(Protocol):
    """The part of a text encoder that a search needs."""

    name: str
    dimension: int

    def encode_queries(self, texts: Sequence[str]) -> FloatArray:
        """Encode questions: (n, dimension) float32, unit rows."""
        ...


class FrameEncoder(Protocol):
    """Frames to vectors: ``cem_rag_app.cem.encoder.CompressedEncoder``, or a text baseline."""

    name: str
    teacher: str
    dimension: int

    def encode(self, frames: Sequence[bytes], dictionary: Dictionary) -> FloatArray:
        """Encode frames of one dictionary: (n, dimension) float32, unit rows."""
        ...


@dataclass(frozen=True, slots=True)
class Encoders:
    """The two halves of one vector space: questions are text (I4), documents are frames (I2)."""

    query: QueryEncoder
    document: FrameEncoder


EncoderFactory = Callable[[str], Encoders]
"""From the encoder name in a memory's profile to its encoders; called once, at the first search or build."""

Progress = Callable[[str, int, int], None]
"""Called as ``progress(stage, done, total)``; ``total`` is 0 where it is not known."""


@dataclass(frozen=True, slots=True)
class MemoryProfile:
    """Fixed for the life of a memory.

    Attributes:
        kind: ``chat`` or ``documents``.
        encoder: the name that the encoder factory is asked for.
        persona: hard rules of the person; immutable once stored (I8).
        language: whose general dictionary compresses until the memory trains its own; ``other`` starts with none.
    """

    kind: Literal["chat", "documents"]
    encoder: str
    persona: HardRules | None = None
    language: Literal["zh", "en", "other"] = "zh"
