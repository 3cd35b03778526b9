"""What the offline voice learns from a history before it speaks: how long one answers what, and what is telling."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from statistics import median

from cem_rag_app.persona.exchanges import exchanges
from cem_rag_app.persona.intents import Intent
from cem_rag_app.persona.scoring import Similarity
from cem_rag_app.schema import Message
from graphs.persona.lexicon import Lexicon
from graphs.persona.phrases import phrases
from graphs.persona.questions import kind_of
from graphs.persona.state import CHAT_SOURCE, PersonaMemory

MOST_MESSAGES = 4_000
"""Messages of each side that are read at most."""

NOISE_SAMPLE = 160
NOISE_QUANTILE = 0.97
DEFAULT_NOISE = 0.3
"""Used when a history is too short to measure it."""


@dataclass(frozen=True, slots=True)
class Pair:
    """What was said to the person, and the burst that answered it."""

    asked: tuple[Message, ...]
    reply: tuple[Message, ...]

    @property
    def text(self) -> str:
        """What was said, one line a message."""
        return "\n".join(line.text for line in self.asked)


class Habits:
    """Learned once from a memory; a memory's imported history does not change while a chat runs."""

    def __init__(self, lines: Sequence[Message], similarity: Similarity) -> None:
        """Learn from messages in order of speech, both sides; what the chat itself said is left out."""
        self.lines = tuple(line for line in lines if line.source != CHAT_SOURCE)
        self.similarity = similarity

    @classmethod
    def of(cls, memory: PersonaMemory, similarity: Similarity) -> Habits:
        """Learn from a memory: all of it when it is small, its latest conversation when it is not."""
        user = memory.sample_messages("user", MOST_MESSAGES)
        own = memory.sample_messages("assistant", MOST_MESSAGES)
        lines = sorted((*user, *own), key=lambda line: line.message_id)
        if lines and max(len(user), len(own)) >= MOST_MESSAGES:
            # A spread sample has gaps, and only lines that follow one another show what answers what.
            lines = memory.recent(2 * MOST_MESSAGES, conversation=lines[-1].conversation)
        return cls(lines, similarity)

    @cached_property
    def lexicon(self) -> Lexicon:
        """How telling each gram is."""
        return Lexicon(line.text for line in self.lines)

    @cached_property
    def pairs(self) -> tuple[Pair, ...]:
        """Every exchange with both sides, in order."""
        return pairs_of(self.lines)

    @cached_property
    def bubbles(self) -> dict[Intent, int]:
        """Median burst length of the person's answers, by what was said to them."""
        lengths: dict[Intent, list[int]] = defaultdict(list)
        for pair in self.pairs:
            lengths[kind_of(pair.text)].append(len(pair.reply))
        return {intent: max(1, round(median(counts))) for intent, counts in lengths.items()}

    @cached_property
    def usual_bubbles(self) -> int:
        """Median burst length over everything."""
        return max(1, round(median(len(pair.reply) for pair in self.pairs))) if self.pairs else 1

    @cached_property
    def noise(self) -> float:
        """The likeness that unrelated messages of this history reach by chance: its 97th percentile over random pairs.

        A recalled line that is no more like the message than this says nothing about it.
        """
        texts = sorted({pair.text for pair in self.pairs})
        if len(texts) < 20:
            return DEFAULT_NOISE
        chosen = random.Random(0).sample(texts, min(NOISE_SAMPLE, len(texts)))  # noqa: S311 - a sample, no secret
        table = self.similarity(chosen, chosen)
        values = sorted(float(table[i, j]) for i in range(len(chosen)) for j in range(i))
        return max(0.0, min(0.9, values[int(NOISE_QUANTILE * (len(values) - 1))]))

    @cached_property
    def unsure(self) -> tuple[str, ...]:
        """The person's own short ways of not knowing."""
        marks = phrases().unsure
        own = dict.fromkeys(
            line.text.strip()
            for line in self.lines
            if line.role == "assistant"
            and any(mark in line.text and len(line.text) <= len(mark) + 3 for mark in marks)
            and not any(sign in line.text for sign in "?？吗")
            and ("你" not in line.text or any(mark in line.text for mark in marks if "你" in mark))
        )
        return (*own, *phrases().unsure_fallback)

    @cached_property
    def echo_opening(self) -> str:
        """How the person gives someone their own words back."""
        openings = phrases().echo_openings
        used = [
            sum(1 for line in self.lines if line.role == "assistant" and line.text.startswith(opening))
            for opening in openings
        ]
        return openings[used.index(max(used))]

    def lines_of_kind(self, kind: str) -> tuple[str, ...]:
        """What the person says of one kind, each line once."""
        return self._kinds.get(kind, ())

    @cached_property
    def _kinds(self) -> dict[str, tuple[str, ...]]:
        found: dict[str, dict[str, None]] = defaultdict(dict)
        for line in self.lines:
            if line.role == "assistant":
                found[kind_of(line.text)][line.text.strip()] = None
        return {kind: tuple(lines) for kind, lines in found.items()}

    @cached_property
    def places(self) -> dict[str, list[int]]:
        """Where in ``pairs`` each line of the person's stands."""
        found: dict[str, list[int]] = defaultdict(list)
        for number, pair in enumerate(self.pairs):
            for line in pair.reply:
                found[line.text.strip()].append(number)
        return dict(found)


def pairs_of(lines: Sequence[Message]) -> tuple[Pair, ...]:
    """The exchanges in a stretch of lines that have both sides."""
    found = []
    for exchange in exchanges(lines):
        asked = tuple(line for line in exchange if line.role == "user")
        reply = tuple(line for line in exchange if line.role == "assistant")
        if asked and reply:
            found.append(Pair(asked, reply))
    return tuple(found)
