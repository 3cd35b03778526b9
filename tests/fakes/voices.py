"""A voice that says what a test tells it to."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from cem_rag_app.errors import ChatModelError
from cem_rag_app.persona.rules import Violation
from cem_rag_app.persona.scoring import Candidate
from graphs.persona.voice import Critique, ModelCall, Plan, TurnInput, Verdict


class ScriptedVoice:
    """Proposes fixed candidates; ``fits`` are the critic's verdicts by bubbles; each step can be told to fail."""

    name = "scripted"
    offline = False

    def __init__(
        self,
        *candidates: tuple[str, ...],
        fits: dict[tuple[str, ...], float] | None = None,
        repaired: tuple[str, ...] | None = None,
        fails: Sequence[str] = (),
        plan: Plan | None = None,
        before_generate: Callable[[], None] = lambda: None,
    ) -> None:
        self.candidates = candidates
        self.fits = fits or {}
        self.repaired = repaired
        self.fails = list(fails)
        self.planned = plan or Plan(intent="statement")
        self.turns: list[TurnInput] = []
        self.repairs: list[tuple[Candidate, tuple[Violation, ...]]] = []
        self.before_generate = before_generate

    def _step(self, step: str) -> None:
        if step in self.fails:
            raise ChatModelError(f"the {step} failed")

    def plan(self, turn: TurnInput) -> Plan:
        self._step("plan")
        self.turns.append(turn)
        turn.note(ModelCall(step="plan", model="scripted", output="raw plan"))
        return self.planned

    def generate(self, turn: TurnInput, plan: Plan) -> Sequence[Candidate]:
        self.before_generate()
        self._step("generate")
        turn.note(ModelCall(step="generate", model="scripted", output="raw candidates"))
        return [Candidate(bubbles, "scripted", ()) for bubbles in self.candidates]

    def criticise(self, turn: TurnInput, plan: Plan, candidates: Sequence[Candidate]) -> Critique:
        self._step("criticise")
        return Critique(
            verdicts=tuple(
                Verdict(index=i, fit=self.fits[candidate.bubbles], reason="as told")
                for i, candidate in enumerate(candidates)
                if candidate.bubbles in self.fits
            )
        )

    def repair(
        self, turn: TurnInput, plan: Plan, candidate: Candidate, violations: Sequence[Violation]
    ) -> Candidate | None:
        self.repairs.append((candidate, tuple(violations)))
        self._step("repair")
        return Candidate(self.repaired, "scripted:repair", ()) if self.repaired is not None else None
