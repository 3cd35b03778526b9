"""What travels over HTTP between the service and its clients: the API's and `ui.client`'s shared models."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from cem_rag_app.schema import Hit, Message

MAX_TEXT = 4_000
"""Characters of one message or query."""


def _number(value: object) -> object:
    if isinstance(value, (bool, str)):  # pydantic would take `true` for 1 and "24" for 24
        raise ValueError("Input should be a valid integer")
    return value


Whole = Annotated[int, BeforeValidator(_number)]
"""A whole number, written as one; 24.0 is one too, as in JSON Schema."""


class Body(BaseModel):
    """A request: a field that does not exist is told, not ignored."""

    model_config = ConfigDict(extra="forbid")


class ChatRequest(Body):
    """One message to the persona."""

    model_config = ConfigDict(str_strip_whitespace=True)

    text: str = Field(min_length=1, max_length=MAX_TEXT, description="What is said, as plain text.")
    conversation: str = Field(default="default", min_length=1, max_length=64, description="Which conversation.")
    turn_id: str | None = Field(
        default=None,
        max_length=64,
        pattern=r"^[A-Za-z0-9_-]+$",
        description="Your own id for this turn: sending the same one again repeats nothing.",
    )


class FeedbackRequest(Body):
    """A mark on one of the persona's messages."""

    message_id: Whole = Field(ge=1, description="The message.")
    good: bool = Field(default=True, strict=True, description="`false` takes the mark back.")


class BuildRequest(Body):
    """How much to build."""

    limit: Whole = Field(default=0, ge=0, description="Chunks at most; 0 is all that is missing.")
    batch_size: Whole = Field(default=24, ge=1, le=1024, description="Chunks embedded at once.")


class MessageOut(BaseModel):
    """One line of a conversation."""

    message_id: int
    role: Literal["user", "assistant"]
    speaker: str
    text: str = Field(description="Plain text; never to be rendered as HTML or Markdown.")
    timestamp: float = Field(description="Seconds since the epoch, UTC.")
    marked: bool = Field(default=False, description="Marked as good.")

    @classmethod
    def of(cls, message: Message, *, marked: bool = False) -> MessageOut:
        """Translate."""
        return cls(
            message_id=message.message_id,
            role=message.role,
            speaker=message.speaker,
            text=message.text,
            timestamp=message.timestamp,
            marked=marked,
        )


class HitOut(BaseModel):
    """One recalled piece of memory: for a conversation the anchor and its lines, for a document its chunk."""

    chunk_id: int
    kind: str
    item_id: str
    timestamp: float
    anchor_text: str
    lines: list[MessageOut]
    semantic_score: float
    lexical_score: float
    recency_score: float
    retrieval_score: float

    @classmethod
    def of(cls, hit: Hit) -> HitOut:
        """Translate."""
        return cls(
            chunk_id=hit.chunk_id,
            kind=hit.kind,
            item_id=hit.item_id,
            timestamp=hit.timestamp,
            anchor_text=hit.text,
            lines=[MessageOut.of(line) for line in hit.segment.messages] if hit.segment else [],
            semantic_score=hit.semantic_score,
            lexical_score=hit.lexical_score,
            recency_score=hit.recency_score,
            retrieval_score=hit.retrieval_score,
        )


class Preview(BaseModel):
    """What a text would recall."""

    query: str
    hits: list[HitOut]


class ChatReply(BaseModel):
    """The persona's answer: one turn, several bubbles."""

    turn_id: str
    bubbles: list[MessageOut]
    offline: bool = Field(description="True when the offline voice spoke: no language model was used.")
    record: dict[str, Any] = Field(description="How the reply came about: hits, plan, candidates with scores, choice.")


class Messages(BaseModel):
    """A stretch of a conversation, oldest first."""

    messages: list[MessageOut]
    persona: str = Field(description="The name the persona is called by; empty for a memory of documents.")
    offline: bool
    more: bool = Field(description="True when there are earlier messages.")


class Status(BaseModel):
    """What the memory holds, as `cem-rag status --json` prints it."""

    model_config = ConfigDict(extra="allow")


class Built(BaseModel):
    """What a build did."""

    model_config = ConfigDict(extra="allow")


class Feedback(BaseModel):
    """The mark as it now stands."""

    message_id: int
    good: bool


class Health(BaseModel):
    """Whether the memory can be read."""

    status: Literal["ok", "unavailable"]
    detail: str = ""


class ErrorBody(BaseModel):
    """What went wrong and what to do next."""

    error: str = Field(description="Name of the error.")
    message: str = Field(description="What happened, and what to change.")
