"""What a voice is: something that plans, proposes candidates and criticises them.

Two voices exist: :class:`graphs.persona.offline.OfflineVoice`, which needs no model, and
:class:`graphs.persona.llm.ModelVoice`, which asks chat models. Both pass ``tests/conformance/test_voices.py``.
A voice proposes only: scoring, the hard rules and memory are the graph's and no voice can pass them by.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from pydantic import BaseModel, ConfigDict, Field, field_validator

from cem_rag_app.persona.rules import HardRules, Violation
from cem_rag_app.persona.scoring import Candidate
from cem_rag_app.persona.style import StyleProfile
from cem_rag_app.schema import Hit, Message


class _Answer(BaseModel):
    """A model adds keys nobody asked for; they are ignored, and missing ones have defaults where one is safe."""

    model_config = ConfigDict(extra="ignore", frozen=True)


class Plan(_Answer):
    """What the reply should do, decided before a word of it is written."""

    intent: str = Field(description="What the user's message is: greeting, question_fact, statement, …")
    candidates: int = Field(default=4, ge=1, le=16, description="How many candidates to write.")
    bubbles: int = Field(default=2, ge=1, le=10, description="How many bubbles a reply should have.")
    tone: str = Field(default="", description="How it should sound, in a few words.")
    needs_facts: bool = Field(default=False, description="Whether the reply must rest on something remembered.")
    facts: tuple[str, ...] = Field(default=(), description="Remembered lines the reply must not contradict.")

    @field_validator("candidates", mode="before")
    @classmethod
    def _bounded_candidates(cls, value: Any) -> Any:
        return max(1, min(16, value)) if isinstance(value, int) else value

    @field_validator("bubbles", mode="before")
    @classmethod
    def _bounded_bubbles(cls, value: Any) -> Any:
        return max(1, min(10, value)) if isinstance(value, int) else value


class Verdict(_Answer):
    """The critic's word on one candidate."""

    index: int = Field(ge=0, description="Position of the candidate in the list shown, from 0.")
    fit: float = Field(ge=0, le=1, description="How well it answers what was said now, 0 to 1.")
    reason: str = Field(default="", description="Why, in one sentence.")

    @field_validator("fit", mode="before")
    @classmethod
    def _share(cls, value: Any) -> Any:
        """Models asked for 0 to 1 sometimes answer out of 10 or 100."""
        if isinstance(value, int | float) and 1 < value <= 100:
            return value / (10 if value <= 10 else 100)
        return value


class Critique(_Answer):
    """Verdicts over the best candidates. A candidate without a verdict counts as unjudged, not as bad."""

    verdicts: tuple[Verdict, ...] = ()

    def fit(self, index: int) -> float | None:
        """The verdict's ``fit`` for a candidate, None when the critic said nothing of it."""
        for verdict in self.verdicts:
            if verdict.index == index:
                return verdict.fit
        return None


class ModelCall(BaseModel):
    """One call of a voice, as it is kept in the turn's record: the raw output and the prompt it came from."""

    model_config = ConfigDict(frozen=True)

    step: Literal["plan", "generate", "criticise", "repair"]
    model: str
    output: str
    seconds: float = 0.0
    prompt: str = ""
    prompt_version: str = ""
    prompt_hash: str = ""
    input_tokens: int = 0
    output_tokens: int = 0


def _ignore(call: ModelCall) -> None:
    del call


@dataclass(frozen=True, slots=True)
class TurnInput:
    """All a voice may know of a turn: the message, what was recalled, what was said just before."""

    turn_id: str
    message: Message
    hits: tuple[Hit, ...]
    recent: tuple[Message, ...]
    """Messages before this one, oldest first; the message itself is not among them."""
    rules: HardRules
    style: StyleProfile
    preferences: tuple[str, ...] = ()
    """Mutable wishes learned from feedback. They can colour a reply and can never change a rule."""
    max_candidates: int = 4
    nonce: str = ""
    """Random per turn; fences data in prompts so that remembered text cannot close its fence."""
    note: Callable[[ModelCall], None] = field(default=_ignore, compare=False)
    """Called by the voice once for every call it makes, from any thread."""


class Voice(Protocol):
    """A way of speaking. Raises :class:`cem_rag_app.errors.ChatModelError` when it cannot."""

    @property
    def name(self) -> str:
        """Shown to the user and kept in records, e.g. ``offline`` or ``gemini``."""
        ...

    @property
    def offline(self) -> bool:
        """True when no chat model speaks; faces say so on screen."""
        ...

    def plan(self, turn: TurnInput) -> Plan:
        """Decide what the reply should do."""
        ...

    def generate(self, turn: TurnInput, plan: Plan) -> Sequence[Candidate]:
        """Propose replies; at least one, or a ``ChatModelError``."""
        ...

    def criticise(self, turn: TurnInput, plan: Plan, candidates: Sequence[Candidate]) -> Critique:
        """Judge the candidates shown, by their position in the list."""
        ...

    def repair(
        self, turn: TurnInput, plan: Plan, candidate: Candidate, violations: Sequence[Violation]
    ) -> Candidate | None:
        """One attempt to say the same within the rules that were broken; None when the voice has no way to."""
        ...
