"""The last word: which candidate is said, decided by the hard rules alone (I8).

Everything before this point (memory, feedback, retrieved text, models) only proposes. What this module returns obeys
the rules, whatever it was given.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from cem_rag_app.errors import ChatModelError, PersonaError
from cem_rag_app.persona.rules import HardRules, Violation, enforce, violations
from cem_rag_app.persona.scoring import Candidate
from cem_rag_app.schema import Message
from graphs.persona.own_words import neutral_lines, safe_lines
from graphs.persona.record import CandidateRecord, Choice
from graphs.persona.state import PersonaMemory

Repair = Callable[[Candidate, Sequence[Violation]], Candidate | None]


@dataclass(frozen=True, slots=True)
class ChosenReply:
    """The bubbles to say, and why these."""

    bubbles: tuple[str, ...]
    choice: Choice
    reason: str


def choose_reply(
    judged: Sequence[CandidateRecord],
    *,
    rules: HardRules,
    repair: Repair,
    memory: PersonaMemory,
    recent: Sequence[Message],
) -> ChosenReply:
    """The first of these that obeys every rule.

    The best candidate; the best candidate mended (split, cut); its repair by the voice, tried once; the next
    candidates in order, mended where needed; a safe line of the person's own; a neutral line.

    Args:
        judged: Candidates, best first; may be empty.
        rules: The hard rules.
        repair: Asks the voice to say the best candidate within the rules it broke.
        memory: Where the person's own safe lines are learned.
        recent: What was just said, so that a safe line is not said twice in a row.
    """
    why = "No candidate was proposed."
    for place, record in enumerate(judged):
        broken = violations(record.bubbles, rules)
        if not broken:
            return ChosenReply(record.bubbles, "best" if place == 0 else "next_best", why if place else "")
        mended = _obeying(record.bubbles, rules)
        if mended is not None:
            return ChosenReply(mended, "mended" if place == 0 else "next_best", _reason(broken))
        if place == 0:
            why = _reason(broken)
            repaired, failure = _repaired(record, broken, rules, repair)
            if repaired is not None:
                return ChosenReply(repaired, "repaired", why)
            why = f"{why} {failure}".strip()
    said = {line.text for line in recent if line.role == "assistant"}
    own = safe_lines(memory, rules)
    if own:
        return ChosenReply((next((line for line in own if line not in said), own[0]),), "own_words", why)
    for line in neutral_lines():
        if not violations((line,), rules):
            return ChosenReply((line,), "neutral", why)
    raise PersonaError(
        "The hard rules forbid every reply, the neutral ones included.",
        remedy="Make the memory again with rules that allow a bubble of eight characters.",
    )


def _repaired(
    record: CandidateRecord, broken: Sequence[Violation], rules: HardRules, repair: Repair
) -> tuple[tuple[str, ...] | None, str]:
    candidate = Candidate(record.bubbles, record.origin, record.sources)
    try:
        repaired = repair(candidate, broken)
    except ChatModelError as error:
        return None, f"The repair failed: {error}"
    if repaired is None:
        return None, ""
    bubbles = _obeying(repaired.bubbles, rules)
    return bubbles, "" if bubbles else "The repair broke a rule too."


def _obeying(bubbles: Sequence[str], rules: HardRules) -> tuple[str, ...] | None:
    mended = enforce(bubbles, rules)
    return mended if mended and not violations(mended, rules) else None


def _reason(broken: Sequence[Violation]) -> str:
    return "Broken: " + ", ".join(f"{violation.rule} ({violation.detail})" for violation in broken) + "."
