"""What a memory is made of and made for; chosen once, when it is created."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from cem_rag_app.cem.pair import Encoders
from cem_rag_app.errors import CheckpointError, DimensionError
from cem_rag_app.persona.rules import HardRules
from cem_rag_app.zpkg.dictionary import Dictionary, general_dictionary

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


def matched(encoders: Encoders) -> Encoders:
    """The same two encoders, if they are halves of one space.

    Raises:
        CheckpointError: they are not.
        DimensionError: their vectors differ in size.
    """
    query, document = encoders.query, encoders.document
    if document.teacher != query.name:
        raise CheckpointError(
            f"{document.name!r} lives in the space of {document.teacher!r}, not of {query.name!r}.",
            remedy=f"Train one for it: cem-rag train cem --encoder {query.name}",
        )
    if document.dimension != query.dimension:
        raise DimensionError(
            f"Queries have {query.dimension} dimensions, chunks {document.dimension}.",
            remedy="Use encoders that were made for one another.",
        )
    return encoders


def start_dictionary(language: Literal["zh", "en", "other"]) -> Dictionary:
    """The dictionary of a memory too small for one of its own.

    Raises:
        DictionaryError: none of the language is shipped.
    """
    return Dictionary(b"") if language == "other" else general_dictionary(language)
