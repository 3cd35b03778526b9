"""Text to hide things in: sentences of our own, drawn from a small grammar. Nothing is copied from anywhere."""

from __future__ import annotations

import random
import re

_TOKEN = re.compile(r"[^\W\d_]+|\d{1,3}|[^\w\s]")

REFRAIN = (
    "The path is dry.",
    "A bird sits on the fence.",
    "The sky is wide today.",
    "Nothing much happens here.",
    "We go up, and we come down again.",
)
"""Said over and over around a pass key."""

_SUBJECTS = (
    "A good tool", "The first draft", "A small habit", "An honest question", "The slow part of the work",
    "A borrowed idea", "The plan on the wall", "An old workshop", "A patient reader", "The quiet hour before lunch",
    "A clear sentence", "The second attempt", "A long walk", "Every shared kitchen", "The person who asks twice",
    "A half-finished garden", "The habit of writing things down", "An empty room", "A careful estimate",
    "The neighbour with the ladder", "A list of three things", "The part nobody sees", "A friend in another trade",
    "The reason we started",
)  # fmt: skip
_MANNERS = (
    "tends to", "will sooner or later", "rarely fails to", "can quietly", "is often enough to", "does not have to",
    "seems to", "may well", "usually manages to", "has a way to", "ought to", "is seldom able to",
)  # fmt: skip
_DEEDS = (
    "change how a team talks", "save more time than it costs", "make the hard choice look obvious",
    "turn a worry into a task", "show where the real trouble lies", "outlast the people who began it",
    "keep a project small enough to finish", "teach what no manual says", "hide a mistake for a whole season",
    "bring strangers to the same table", "reward those who wait", "ask for more than it gives",
    "survive a bad winter", "look better from far away", "settle an argument without a winner",
    "draw attention to the wrong thing", "make room for a better one", "grow in a direction that nobody planned",
    "remind us why simple things last", "break at the least convenient moment",
)  # fmt: skip
_OPENINGS = (
    "In my experience", "As far as I can tell", "Some years ago I noticed this", "It took me long to see it",
    "People who build things know this", "Looking back", "When the weather turns", "On most days",
    "If you pay attention", "To put it bluntly", "Without much noise", "More often than not",
)  # fmt: skip
_CLOSINGS = (
    "and that is no small thing", "though nobody writes it down", "which is why we kept it",
    "and the rest follows by itself", "even when the numbers say otherwise", "but only if somebody cares",
    "and then it is gone", "as long as the door stays open", "which surprises the visitors every time",
    "and I would not trade it", "although it looks like luck", "until the next one comes along",
)  # fmt: skip
_ASIDES = (
    "I have seen it go both ways.", "The details matter less than you would think.", "This is worth a second look.",
    "Nobody was in a hurry that day.", "We laughed about it afterwards.", "It is easier said than done.",
    "There was tea, and there was time.", "That much is plain.", "Others may disagree.", "So much for theory.",
    "The trick is to begin.", "I wish I had known it earlier.",
)  # fmt: skip


def count_tokens(text: str) -> int:
    """Count words, numbers and punctuation marks: what a subword tokenizer makes of plain English, within some percent.

    >>> count_tokens("Anna's key is 90210.")
    8
    """
    return len(_TOKEN.findall(text))


def sentence(draw: random.Random) -> str:
    """Return one sentence of an essay about nothing in particular."""
    if draw.random() < 0.2:
        return draw.choice(_ASIDES)
    subject, manner, deed = draw.choice(_SUBJECTS), draw.choice(_MANNERS), draw.choice(_DEEDS)
    shape = draw.random()
    if shape < 0.4:
        return f"{subject} {manner} {deed}, {draw.choice(_CLOSINGS)}."
    lowered = subject[0].lower() + subject[1:]
    if shape < 0.8:
        return f"{draw.choice(_OPENINGS)}, {lowered} {manner} {deed}."
    return f"{draw.choice(_OPENINGS)}: {lowered} {manner} {deed}, {draw.choice(_CLOSINGS)}."


def paragraphs(seed: int, count: int) -> list[list[str]]:
    """Return ``count`` paragraphs, lists of four to six sentences, always the same for a seed."""
    draw = random.Random(seed)  # noqa: S311 - text, not secrets
    return [[sentence(draw) for _ in range(draw.randint(4, 6))] for _ in range(count)]
