"""The graph's state and context: what a turn knows, and what it is given to work with.

The state holds plain frozen values only, so that a checkpointer can write it; it gives tuples back as lists, so nodes
take any sequence. What lives longer than a turn (memory, voice, rules) is context and never enters the state.
"""

from __future__ import annotations

import operator
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Protocol, TypedDict

from cem_rag_app.errors import PersonaError
from cem_rag_app.persona.rules import HardRules
from cem_rag_app.persona.scoring import Candidate, Similarity
from cem_rag_app.persona.style import StyleProfile, learn_style
from cem_rag_app.schema import FloatArray, Hit, Message, Query, Role
from cem_rag_app.settings import Settings
from graphs.persona.record import CandidateRecord, Choice, TurnRecord
from graphs.persona.voice import ModelCall, Plan, Voice

CHAT_SOURCE = "chat"
"""``Message.source`` of what was said through the graph, on both sides."""

STYLE_SAMPLE = 2_000
"""Messages of the person from which their style is learned when a context is made."""


class QueryEncoder(Protocol):
    """The text side of a memory's vector space."""

    def encode_queries(self, texts: Sequence[str]) -> FloatArray:
        """(n, d) float32, unit rows."""
        ...


class MemoryEncoders(Protocol):
    """A memory's encoders; only the text side is asked here."""

    @property
    def query(self) -> QueryEncoder:
        """The text encoder."""
        ...


class PersonaMemory(Protocol):
    """What the graph asks of a memory; :class:`stores.memory.Memory` gives it."""

    @property
    def rules(self) -> HardRules | None:
        """The person's hard rules; None when the memory holds documents."""
        ...

    def encoders(self) -> MemoryEncoders:
        """The memory's encoders, loaded at the first call."""
        ...

    def remember(self, message: Message, *, turn_id: str, position: int) -> Message:
        """Store a message once per (turn_id, position) and return it as stored."""
        ...

    def recall(self, query: Query) -> list[Hit]:
        """The memories nearest to a query, best first."""
        ...

    def recent(self, limit: int, conversation: str = "default", before_id: int | None = None) -> list[Message]:
        """The last messages of a conversation, oldest first."""
        ...

    def sample_messages(self, role: Role, limit: int) -> list[Message]:
        """Messages of one side, for learning style."""
        ...

    def save_record(self, turn_id: str, record: dict[str, Any]) -> None:
        """Keep a turn's record."""
        ...

    def record(self, turn_id: str) -> dict[str, Any] | None:
        """A turn's record, None when there is none."""
        ...

    def get_state(self, key: str) -> Any:
        """A mutable preference, None when it was never set."""
        ...


@dataclass(frozen=True, slots=True)
class PersonaContext:
    """What every node is given: the memory, the voice, the immutable rules, the settings and the person's style."""

    memory: PersonaMemory
    voice: Voice
    rules: HardRules
    settings: Settings
    style: StyleProfile
    similarity: Similarity
    """How alike two texts are, in the space the memory's own queries live in."""

    @classmethod
    def of(cls, memory: PersonaMemory, voice: Voice, settings: Settings, *, similarity: Similarity) -> PersonaContext:
        """A context over a memory of one person.

        Args:
            memory: An open memory made with a persona.
            voice: Who speaks.
            settings: All settings.
            similarity: How alike two texts are.

        Returns:
            The context, with the style learned from the person's own messages.

        Raises:
            PersonaError: The memory holds documents and no person.
        """
        if memory.rules is None:
            raise PersonaError(
                "This memory holds documents and no person's history.",
                remedy="Use `cem-rag ask` with it, or import a conversation with `--persona NAME`.",
            )
        # What the chat itself said is left out: the style must not learn from its own imitation.
        own = [line for line in memory.sample_messages("assistant", STYLE_SAMPLE) if line.source != CHAT_SOURCE]
        return cls(memory, voice, memory.rules, settings, learn_style(own), similarity)


@dataclass(frozen=True, slots=True)
class TurnRequest:
    """What a turn starts from. Only ``text`` is needed; Studio draws its form from this."""

    text: str
    conversation: str = "default"
    turn_id: str = ""


class PersonaState(TypedDict, total=False):
    """What the nodes of one turn hand to one another."""

    text: str
    conversation: str
    turn_id: str
    started_at: float
    nonce: str
    message: Message
    recent: list[Message] | tuple[Message, ...]
    hits: list[Hit] | tuple[Hit, ...]
    plan: Plan
    candidates: list[Candidate] | tuple[Candidate, ...]
    """As generated, then (after ``criticise``) best first, beside ``judged``."""
    judged: list[CandidateRecord] | tuple[CandidateRecord, ...]
    reply: Sequence[str]
    choice: Choice
    reason: str
    record: TurnRecord
    bubbles: tuple[Message, ...]
    calls: Annotated[list[ModelCall], operator.add]
    timings: Annotated[dict[str, float], operator.or_]


@dataclass(frozen=True, slots=True)
class TurnResult:
    """What a finished turn gives back."""

    bubbles: tuple[Message, ...]
    record: TurnRecord
