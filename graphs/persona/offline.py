"""The offline voice: speaks without a model, in words the person once wrote."""

from __future__ import annotations

from collections.abc import Sequence

from cem_rag_app.persona.intents import classify, is_question
from cem_rag_app.persona.rules import Violation
from cem_rag_app.persona.scoring import Candidate, Similarity
from graphs.persona.similarity import memory_similarity
from graphs.persona.state import PersonaMemory
from graphs.persona.voice import Critique, Plan, TurnInput


class OfflineVoice:
    """Recombines the recalled segments' real replies."""

    name = "offline"
    offline = True

    def __init__(self, memory: PersonaMemory, *, similarity: Similarity | None = None) -> None:
        self._memory = memory
        self._similarity = similarity if similarity is not None else memory_similarity(memory)

    def plan(self, turn: TurnInput) -> Plan:
        """Plan by rules."""
        intent = classify(turn.message.text)
        return Plan(intent=intent, bubbles=2, needs_facts=is_question(intent))

    def generate(self, turn: TurnInput, plan: Plan) -> Sequence[Candidate]:
        """The recalled bursts."""
        found = []
        for hit in turn.hits:
            if hit.segment is not None and hit.segment.reply:
                bubbles = tuple(line.text for line in hit.segment.reply)[: plan.bubbles]
                found.append(Candidate(bubbles, "burst", (hit.segment.segment_id,)))
        return found

    def criticise(self, turn: TurnInput, plan: Plan, candidates: Sequence[Candidate]) -> Critique:
        """No second opinion yet."""
        return Critique()

    def repair(
        self, turn: TurnInput, plan: Plan, candidate: Candidate, violations: Sequence[Violation]
    ) -> Candidate | None:
        """Real lines are not rewritten."""
        return None
