"""What a memory is made of and made for; chosen once, when it is created."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from cem_rag_app.cem.pair import Encoders
from cem_rag_app.persona.rules import HardRules

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
