"""The persona chat: one call a turn."""

from __future__ import annotations

import threading
import uuid
from dataclasses import dataclass
from typing import Any

from cem_rag_app.errors import PersonaError
from cem_rag_app.persona.rules import violations
from cem_rag_app.persona.scoring import Similarity
from cem_rag_app.schema import Message
from cem_rag_app.settings import Settings
from graphs.persona.record import TurnRecord
from graphs.persona.similarity import memory_similarity
from graphs.persona.state import PersonaContext, PersonaMemory
from graphs.persona.voice import Voice


@dataclass(frozen=True, slots=True)
class Turn:
    """A finished turn: what was said, as stored, and why."""

    turn_id: str
    bubbles: tuple[Message, ...]
    record: TurnRecord
    offline: bool


class PersonaChat:
    """Talks in one person's voice out of one memory. Thread-safe; turns of one conversation run one after another.

    Both sides of a turn are stored through the memory, keyed by (turn_id, position), and the chosen reply is on
    record before its bubbles are stored. So a turn that failed, in the model or by a crash, is asked again with
    its ``turn_id`` and neither side is stored twice.
    """

    def __init__(
        self, memory: PersonaMemory, voice: Voice, settings: Settings, *, similarity: Similarity | None = None
    ) -> None:
        self.voice = voice
        self.context = PersonaContext.of(
            memory, voice, settings, similarity=similarity if similarity is not None else memory_similarity(memory)
        )
        self._graph: Any = None
        self._lock = threading.Lock()
        self._conversations: dict[str, threading.Lock] = {}

    def reply(self, text: str, *, conversation: str = "default", turn_id: str | None = None) -> Turn:
        """Answer one message.

        Args:
            text: What the user said.
            conversation: Which conversation it belongs to.
            turn_id: The turn's id; give a failed turn's id to try it again, or a finished one's to hear it again.

        Returns:
            The turn, its bubbles stored.

        Raises:
            EmptyInputError: The message is empty.
            InputError: The message is too long.
            ChatModelError: The chat model failed; the message is stored and the turn can be tried again.
            MissingKeyError: The chat model needs a key.
            StoreError: The memory could not be written.
        """
        turn_id = turn_id or uuid.uuid4().hex
        with self._conversation(conversation):
            result = self._compiled().invoke(
                {"text": text, "conversation": conversation, "turn_id": turn_id}, context=self.context
            )
        turn = Turn(turn_id, result["bubbles"], result["record"], self.voice.offline)
        broken = violations([message.text for message in turn.bubbles], self.context.rules)
        if broken:
            raise PersonaError(
                f"A reply that breaks a hard rule ({broken[0].rule}) was stopped.",
                remedy="This is a defect: report it.",
            )
        return turn

    def _compiled(self) -> Any:
        with self._lock:
            if self._graph is None:
                from graphs.persona.build import build_persona_graph

                self._graph = build_persona_graph().compile()
            return self._graph

    def _conversation(self, name: str) -> threading.Lock:
        with self._lock:
            return self._conversations.setdefault(name, threading.Lock())
