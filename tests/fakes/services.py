"""A memory and a persona's chat in plain Python, for the faces' tests."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

from cem_rag_app.errors import CemRagError
from cem_rag_app.persona.rules import HardRules
from cem_rag_app.schema import Hit, Message, Query, Segment
from cem_rag_app.settings import Settings
from tests.fakes.vectors import FakeCollection
from ui.app import Services, open_vectors


@dataclass
class BuildReport:
    added: int
    limit: int
    batch_size: int


class FakeMemory:
    """Keeps messages in a list; recalls every message that shares a character with the query."""

    def __init__(self, texts: tuple[tuple[str, str], ...] = (), persona: str = "小满") -> None:
        self.rules = HardRules(persona=persona) if persona else None
        self.messages: list[Message] = []
        self.good: set[int] = set()
        self.closed = False
        self.forgotten = 0
        for number, (role, text) in enumerate(texts):
            self.add(role, text, timestamp=1_760_000_000.0 + 60 * number)

    def add(self, role: str, text: str, timestamp: float = 1_763_600_000.0) -> Message:
        speaker = self.rules.persona if role == "assistant" and self.rules else "我"
        message = Message(role=role, speaker=speaker, text=text, timestamp=timestamp, message_id=len(self.messages) + 1)
        self.messages.append(message)
        return message

    def recall(self, query: Query) -> list[Hit]:
        shared = [m for m in self.messages if set(m.text) & set(query.text)]
        return [
            Hit(
                chunk_id=m.message_id,
                kind="segment",
                text=m.text,
                semantic_score=0.9,
                lexical_score=0.5,
                recency_score=0.25,
                retrieval_score=0.763,
                item_id=str(m.message_id),
                timestamp=m.timestamp,
                segment=Segment(segment_id=m.message_id, anchor=m, messages=(m,)),
            )
            for m in shared[: query.k]
        ]

    def recent(self, limit: int, conversation: str = "default", before_id: int | None = None) -> list[Message]:
        return [m for m in self.messages if before_id is None or m.message_id < before_id][-limit:]

    def mark(self, message_id: int, good: bool) -> None:
        (self.good.add if good else self.good.discard)(message_id)

    def marks(self) -> list[int]:
        return sorted(self.good)

    def status(self) -> dict[str, Any]:
        return {
            "encoder": "embedded-zh",
            "counts": {"messages": len(self.messages), "chunks": 3},
            "bytes": {"plain_text": 4608, "packs": 1024, "fresh_frames": 1024},
        }

    def build(self, *, limit: int = 0, batch_size: int = 24, index: str = "auto", progress: Any = None) -> BuildReport:
        return BuildReport(added=2, limit=limit, batch_size=batch_size)

    def close(self) -> None:
        self.closed = True


@dataclass
class FakeChat:
    """Answers every message with the same bubbles, once per turn id; fails as often as it is told to."""

    memory: FakeMemory
    bubbles: tuple[str, ...] = ("在呢", "怎么啦")
    failures: list[CemRagError] = field(default_factory=list)
    turns: dict[str, Any] = field(default_factory=dict)

    def reply(self, text: str, *, conversation: str = "default", turn_id: str | None = None) -> Any:
        turn_id = turn_id or f"turn{len(self.turns)}"
        if self.failures:
            raise self.failures.pop(0)
        if turn_id not in self.turns:
            self.memory.add("user", text)
            said = tuple(self.memory.add("assistant", bubble) for bubble in self.bubbles)
            hits = [
                {
                    "chunk_id": hit.chunk_id,
                    "anchor": hit.text,
                    "lines": [{"role": m.role, "speaker": m.speaker, "text": m.text} for m in hit.segment.messages],
                    "semantic_score": hit.semantic_score,
                    "lexical_score": hit.lexical_score,
                    "recency_score": hit.recency_score,
                    "retrieval_score": hit.retrieval_score,
                }
                for hit in self.memory.recall(Query(text=text, k=3))
            ]
            record = SimpleNamespace(model_dump=lambda mode: {"hits": hits})
            self.turns[turn_id] = SimpleNamespace(turn_id=turn_id, bubbles=said, offline=True, record=record)
        return self.turns[turn_id]


def fake_services(
    texts: tuple[tuple[str, str], ...] = (),
    *,
    persona: str = "小满",
    settings: Settings | None = None,
    vectors: FakeCollection | None = None,
    **chat: Any,
) -> tuple[Services, FakeMemory, FakeChat]:
    """Real wiring around a fake memory and a fake chat."""
    memory = FakeMemory(texts, persona)
    talk = FakeChat(memory, **chat)
    services = Services(
        settings or Settings(),
        open_memory=lambda: memory,
        make_chat=lambda _: talk,
        open_vectors=lambda: vectors or open_vectors(services.settings),
    )
    return services, memory, talk
