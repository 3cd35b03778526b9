"""The offline voice: speaks without a model, in words the person once wrote.

It plans by what the history shows, takes its candidates from real replies (:mod:`graphs.persona.replies`) and real
facts (:mod:`graphs.persona.facts`), and says that it does not know where nothing recalled answers.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cached_property

from cem_rag_app.persona.intents import classify
from cem_rag_app.persona.rules import Violation, violations
from cem_rag_app.persona.scoring import Candidate, Similarity
from graphs.persona.habits import Habits
from graphs.persona.moods import mood_of
from graphs.persona.questions import Question, asks, take_apart
from graphs.persona.replies import Proposer
from graphs.persona.similarity import memory_similarity
from graphs.persona.state import PersonaMemory
from graphs.persona.voice import Critique, ModelCall, Plan, TurnInput, Verdict

TONES = {
    "greeting": "热络",
    "farewell": "温柔",
    "question_fact": "直接答",
    "question_feeling": "认真",
    "affection": "亲近",
    "tease": "斗嘴",
}


_LOVED = re.compile(r"(?:想|爱|喜欢)(?:[不没]\w)?我(?:吗|么|嘛|没|不|了没)?\W*$|(?:love|miss) me\W*$", re.IGNORECASE)
"""Asked for a declaration, which one answers with one."""


class OfflineVoice:
    """Speaks from one memory; what it learns from the history is learned at the first turn."""

    name = "offline"
    offline = True

    def __init__(self, memory: PersonaMemory, *, similarity: Similarity | None = None) -> None:
        self._memory = memory
        self._kept: tuple[object, list[tuple[Candidate, float, str]]] | None = None
        self._similarity = similarity if similarity is not None else memory_similarity(memory)

    @cached_property
    def habits(self) -> Habits:
        """What the history shows of the person."""
        return Habits.of(self._memory, self._similarity)

    def plan(self, turn: TurnInput) -> Plan:
        """The intent by rules, the number of bubbles by the person's habit for it, the facts by search."""
        intent = classify(turn.message.text)
        if mood_of(turn.message.text) == "grave":
            intent = "mood"
        elif _LOVED.search(turn.message.text):
            intent = "affection"
        question = take_apart(turn.message.text)
        plan = Plan(
            intent=intent,
            candidates=turn.max_candidates,
            bubbles=min(turn.rules.max_bubbles, self.habits.bubbles.get(intent, self.habits.usual_bubbles)),
            tone=TONES.get(intent, "随意"),
            needs_facts=intent not in ("affection", "mood")
            and (intent == "question_fact" or (bool(question.subject) and _wants_to_know(question, intent))),
        )
        if plan.needs_facts:
            facts = Proposer(self.habits, turn, plan).facts()
            plan = plan.model_copy(update={"facts": tuple(fact.line.text for fact in facts[:3])})
        turn.note(ModelCall(step="plan", model=self.name, output=plan.model_dump_json()))
        return plan

    def generate(self, turn: TurnInput, plan: Plan) -> Sequence[Candidate]:
        """The best proposals that obey the rules: real lines are not rewritten, so those that do not are no use."""
        return [candidate for candidate, _, _ in self._best(turn, plan)]

    def criticise(self, turn: TurnInput, plan: Plan, candidates: Sequence[Candidate]) -> Critique:
        """The fit each candidate was proposed with."""
        known = {candidate.bubbles: (fit, reason) for candidate, fit, reason in self._best(turn, plan)}
        verdicts = []
        for index, candidate in enumerate(candidates):
            fit, reason = known.get(candidate.bubbles, (0.0, "not from this person's words"))
            verdicts.append(Verdict(index=index, fit=fit, reason=reason))
        return Critique(verdicts=tuple(verdicts))

    def repair(
        self, turn: TurnInput, plan: Plan, candidate: Candidate, violations: Sequence[Violation]
    ) -> Candidate | None:
        """None: real lines are not rewritten."""
        return None

    def _best(self, turn: TurnInput, plan: Plan) -> list[tuple[Candidate, float, str]]:
        kept = self._kept
        asked = (turn.turn_id, turn.message, turn.recent, turn.rules, plan, tuple(hit.chunk_id for hit in turn.hits))
        if kept is not None and kept[0] == asked:
            return kept[1]  # the critic of the same turn
        best = self._propose(turn, plan)
        self._kept = (asked, best)
        return best

    def _propose(self, turn: TurnInput, plan: Plan) -> list[tuple[Candidate, float, str]]:
        proposals = Proposer(self.habits, turn, plan).proposals()
        obeying = (
            (each.candidate, each.fit, each.reason)
            for each in proposals
            if not violations(each.candidate.bubbles, turn.rules)
        )
        return [each for each, _ in zip(obeying, range(max(2, plan.candidates)), strict=False)]


def _wants_to_know(question: Question, intent: str) -> bool:
    """Whether a message that was not taken for a question asks for something all the same: 年糕呢, 讲讲你们工作室吧."""
    return question.kind is not None or (intent in ("statement", "request") and asks(question.text))
