"""A memory of one person in a dictionary: Memory's interface, exact and small, with character n-grams for recall."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from cem_rag_app.persona.rules import HardRules
from cem_rag_app.persona.scoring import character_similarity
from cem_rag_app.persona.segments import segment_around
from cem_rag_app.schema import Hit, Message, Query, Role


class FakeMemory:
    def __init__(self, rules: HardRules | None, messages: Iterable[Message] = ()) -> None:
        self._rules = rules
        self.messages: list[Message] = []
        self.turns: dict[tuple[str, int], Message] = {}
        self.records: dict[str, dict[str, Any]] = {}
        self.state: dict[str, Any] = {}
        self.good: dict[int, bool] = {}
        self.queries: list[Query] = []
        for message in messages:
            self._store(message)

    @property
    def rules(self) -> HardRules | None:
        return self._rules

    def _store(self, message: Message) -> Message:
        stored = replace(message, message_id=len(self.messages) + 1)
        self.messages.append(stored)
        return stored

    def encoders(self) -> Any:
        raise AssertionError("a test gives the similarity itself")

    def remember(self, message: Message, *, turn_id: str, position: int) -> Message:
        key = (turn_id, position)
        if key not in self.turns:
            self.turns[key] = self._store(message)
        return self.turns[key]

    def recall(self, query: Query) -> list[Hit]:
        self.queries.append(query)
        anchors = [message for message in self.messages if message.role == "user"]
        if not anchors:
            return []
        scores = character_similarity([query.text], [anchor.text for anchor in anchors])[0]
        best = sorted(range(len(anchors)), key=lambda i: -scores[i])[: query.k]
        return [
            Hit(
                chunk_id=anchors[i].message_id,
                kind="online" if anchors[i].source == "chat" else "segment",
                text=anchors[i].text,
                semantic_score=float(scores[i]),
                lexical_score=float(scores[i]),
                recency_score=0.0,
                retrieval_score=float(scores[i]),
                item_id=str(anchors[i].message_id),
                timestamp=anchors[i].timestamp,
                segment=segment_around(anchors[i], self.messages),
            )
            for i in best
        ]

    def recent(self, limit: int, conversation: str = "default", before_id: int | None = None) -> list[Message]:
        lines = [
            message
            for message in self.messages
            if message.conversation == conversation and (before_id is None or message.message_id < before_id)
        ]
        return lines[-limit:]

    def sample_messages(self, role: Role, limit: int) -> list[Message]:
        return [message for message in self.messages if message.role == role][-limit:]

    def mark(self, message_id: int, good: bool) -> None:
        self.good[message_id] = good

    def marks(self) -> dict[int, bool]:
        return dict(self.good)

    def save_record(self, turn_id: str, record: dict[str, Any]) -> None:
        self.records[turn_id] = record

    def record(self, turn_id: str) -> dict[str, Any] | None:
        return self.records.get(turn_id)

    def get_state(self, key: str) -> Any:
        return self.state.get(key)

    def set_state(self, key: str, value: Any) -> None:
        self.state[key] = value
