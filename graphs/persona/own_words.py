"""Lines of the person's own that are safe to say at any time: frequent, short, without content."""

from __future__ import annotations

from collections import Counter

from cem_rag_app.persona.intents import classify
from cem_rag_app.persona.rules import HardRules, violations
from graphs.persona.phrases import phrases, reacts
from graphs.persona.state import CHAT_SOURCE, PersonaMemory

SAMPLE = 2_000
MOST_CHARACTERS = 6
"""A longer line says something, and something can be wrong."""


def safe_lines(memory: PersonaMemory, rules: HardRules, limit: int = 8) -> tuple[str, ...]:
    """The person's most frequent short lines that obey the rules, most frequent first.

    A line counts when it was said at least twice, asks nothing and holds no digit. What the chat itself said does
    not count: the voice must not learn from itself.
    """
    said = Counter(
        line.text.strip() for line in memory.sample_messages("assistant", SAMPLE) if line.source != CHAT_SOURCE
    )
    safe = (
        text
        for text, count in said.most_common()
        if count >= 2 and 0 < len(text) <= MOST_CHARACTERS and _harmless(text) and not violations((text,), rules)
    )
    return tuple(text for _, text in zip(range(limit), safe, strict=False))


def neutral_lines() -> tuple[str, ...]:
    """Neutral lines of last resort, used when the person has no safe line."""
    return phrases().neutral


def _harmless(text: str) -> bool:
    """Nothing that could be wrong where nothing is known: no question, no digit, no refusal, no laugh, no good-bye."""
    if not reacts(text) or any(letter.isdigit() or letter in "?？不没别滚" for letter in text):
        return False  # a running joke is frequent too, and fits nothing
    words = phrases()
    if any(word in text for word in (*words.laughs, *words.celebrations, *words.distress)):
        return False
    return any(letter.isalpha() for letter in text) and classify(text) not in ("greeting", "farewell", "affection")
