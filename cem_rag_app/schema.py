"""What travels between rooms: plain, frozen, typed; no behaviour beyond validation.

Times are seconds since the epoch, UTC. Vectors are float32 with unit rows.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float32]
"""float32, shape (n, d) or (d,); rows are L2-normalised wherever they enter an index."""

Role = Literal["user", "assistant"]
"""``assistant`` is the person whose voice the memory speaks in; ``user`` is whoever talks to them."""

HitKind = Literal["segment", "online", "document"]


@dataclass(frozen=True, slots=True)
class Message:
    """One line of a conversation, as it was written."""

    role: Role
    speaker: str
    text: str
    timestamp: float
    message_id: int = 0
    """Assigned by the catalog; 0 until then. Order of ids is order of speech."""
    conversation: str = "default"
    source: str = ""
    source_id: str = ""
    """The id in its source, used to make re-imports idempotent."""


@dataclass(frozen=True, slots=True)
class MemoryItem:
    """One document or note (seed *x to Q(x)*)."""

    mem_id: str
    text: str
    created_at: float = 0.0
    source: str = "unknown"
    meta: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Segment:
    """A stretch of a conversation around one anchor (blueprint section 3).

    ``messages`` are the original lines in order, at most 18.
    """

    segment_id: int
    anchor: Message
    messages: tuple[Message, ...]

    @property
    def reply(self) -> tuple[Message, ...]:
        """The person's burst that followed the anchor: the assistant run after it."""
        run: list[Message] = []
        seen_anchor = False
        for message in self.messages:
            if message.message_id == self.anchor.message_id:
                seen_anchor = True
            elif seen_anchor and message.role == "assistant":
                run.append(message)
            elif seen_anchor and run:
                break
        return tuple(run)


@dataclass(frozen=True, slots=True)
class Query:
    """A question to a memory. It is text and is never compressed (I4)."""

    text: str
    context: str = ""
    """Earlier turns, oldest first, newline-separated; may be empty."""
    k: int = 8
    filters: dict[str, Any] = field(default_factory=dict)
    now: float | None = None
    """The moment of asking, for recency; None means the clock."""


@dataclass(frozen=True, slots=True)
class Scores:
    """Parts of a hit's score, each in [0, 1] after min-max over the candidates."""

    semantic_score: float
    lexical_score: float
    recency_score: float
    retrieval_score: float


@dataclass(frozen=True, slots=True)
class Hit:
    """One recalled piece of memory, opened (late-decompressed) because it made the top-K."""

    chunk_id: int
    kind: HitKind
    text: str
    """For a document its chunk; for a conversation the anchor's text."""
    semantic_score: float
    lexical_score: float
    recency_score: float
    retrieval_score: float
    item_id: str = ""
    """The source's own id: document id or message id."""
    timestamp: float = 0.0
    segment: Segment | None = None
    metadata: dict[str, Any] = field(default_factory=dict)
