"""The record every turn leaves: enough to explain afterwards why these words were said."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict

from cem_rag_app.schema import Hit, Message, Role
from graphs.persona.voice import ModelCall, Plan

Choice = Literal["best", "mended", "repaired", "next_best", "own_words", "neutral"]
"""How the reply was chosen: the best candidate as it was; the best one, shortened or split; the voice's repair of it;
a lower one that obeys the rules; a safe line of the person's own; the neutral line of last resort."""


class _Frozen(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class LineRecord(_Frozen):
    """One verbatim line of a recalled segment."""

    role: Role
    speaker: str
    text: str
    message_id: int


class HitRecord(_Frozen):
    """One recalled piece, with its lines and every part of its score."""

    chunk_id: int
    kind: str
    anchor: str
    lines: tuple[LineRecord, ...]
    semantic_score: float
    lexical_score: float
    recency_score: float
    retrieval_score: float

    @classmethod
    def of(cls, hit: Hit) -> HitRecord:
        """The record of a hit."""
        lines = hit.segment.messages if hit.segment else ()
        return cls(
            chunk_id=hit.chunk_id,
            kind=hit.kind,
            anchor=hit.text,
            lines=tuple(line_of(message) for message in lines),
            semantic_score=hit.semantic_score,
            lexical_score=hit.lexical_score,
            recency_score=hit.recency_score,
            retrieval_score=hit.retrieval_score,
        )


class CandidateRecord(_Frozen):
    """One candidate: its words, where they come from, each part of its score and what the critic and the rules said."""

    bubbles: tuple[str, ...]
    origin: str
    sources: tuple[int, ...] = ()
    parts: dict[str, float] = {}
    fit: float | None = None
    verdict: str = ""
    total: float = 0.0
    broken_rules: tuple[str, ...] = ()


class TurnRecord(_Frozen):
    """Everything that led to one reply. Saved before the reply is, so that a torn turn ends with the same words."""

    turn_id: str
    conversation: str
    voice: str
    offline: bool
    started_at: float
    message: str
    hits: tuple[HitRecord, ...]
    plan: Plan
    calls: tuple[ModelCall, ...]
    candidates: tuple[CandidateRecord, ...]
    """Best first."""
    reply: tuple[str, ...]
    choice: Choice
    reason: str
    timings: dict[str, float]
    """Seconds by node."""


def line_of(message: Message) -> LineRecord:
    """The record of one line."""
    return LineRecord(role=message.role, speaker=message.speaker, text=message.text, message_id=message.message_id)
