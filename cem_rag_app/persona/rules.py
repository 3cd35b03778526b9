"""The rules that nothing softens: pure functions on the final text (blueprint sections 1.1 and 7.3, invariant I8)."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from cem_rag_app.persona.bubbles import markdown_marks, split_long, strip_markdown
from cem_rag_app.persona.endearments import TRADITIONAL
from cem_rag_app.persona.pet_names import find_pet_names
from cem_rag_app.persona.phrases import BOUNDARY, LECTURING, OPENING, SELF_REFERENCE

RuleName = Literal[
    "empty",
    "too_many_bubbles",
    "bubble_too_long",
    "markdown",
    "pet_name",
    "self_reference",
    "lecturing",
    "boundary",
    "forbidden_word",
]


class HardRules(BaseModel):
    """The owner's rules for one persona, immutable from its creation on.

    The pet-name, form, self-reference, lecturing and boundary rules have no switch: only their bounds are the owner's.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    persona: str = Field(default="", description="The person's name in their history.")
    allowed_pet_names: tuple[str, ...] = Field(default=("宝贝",), description="The only pet names allowed.")
    max_bubbles: int = Field(default=4, ge=1, le=10, description="Bubbles a reply at most.")
    max_bubble_characters: int = Field(default=40, ge=8, le=500, description="Characters a bubble at most.")
    forbidden_words: tuple[str, ...] = Field(default=(), description="Words the owner never wants to read.")


@dataclass(frozen=True, slots=True)
class Violation:
    """One broken rule and what broke it."""

    rule: RuleName
    detail: str


def violations(bubbles: Sequence[str], rules: HardRules) -> list[Violation]:
    """Name every broken rule of a reply; an empty list means that it may be said.

    Args:
        bubbles: The reply as it would be sent.
        rules: The owner's rules.
    """
    found: list[Violation] = []
    if not bubbles or any(not _says_something(bubble) for bubble in bubbles):
        found.append(Violation("empty", "a reply needs a bubble, and every bubble a text"))
    if len(bubbles) > rules.max_bubbles:
        found.append(Violation("too_many_bubbles", f"{len(bubbles)} bubbles, {rules.max_bubbles} allowed"))
    for number, bubble in enumerate(bubbles, start=1):
        if len(bubble) > rules.max_bubble_characters:
            found.append(
                Violation(
                    "bubble_too_long",
                    f"bubble {number} has {len(bubble)} characters, {rules.max_bubble_characters} allowed",
                )
            )
        found.extend(Violation("markdown", f"bubble {number}: {mark}") for mark in markdown_marks(bubble))
    found.extend(content_violations(bubbles, rules))
    return found


def content_violations(bubbles: Sequence[str], rules: HardRules) -> list[Violation]:
    """The violations no mending removes: what is said, not how it is cut."""
    folded = [_folded(bubble) for bubble in bubbles]
    joined = "，".join(folded)
    found = [
        Violation("pet_name", f"{pet.name} (written {pet.written!r})")
        for pet in find_pet_names(bubbles, rules.allowed_pet_names)
    ]
    # A phrase cut by a space, a mark or a bubble's end is the phrase all the same.
    readings = (joined, "".join(letter for letter in joined if letter.isalnum()))
    own = next(filter(None, map(SELF_REFERENCE.search, readings)), None)
    if own:
        found.append(Violation("self_reference", own.group()))
    lecture = next(filter(None, (*map(LECTURING.search, readings), *map(OPENING.search, folded))), None)
    if lecture:
        found.append(Violation("lecturing", lecture.group().strip("，,:：")))
    boundary = BOUNDARY.search(joined) or BOUNDARY.search(re.sub(r"(?<=\d)[ -](?=\d)", "", joined))
    if boundary:
        found.append(Violation("boundary", boundary.group()))
    found.extend(Violation("forbidden_word", word) for word in rules.forbidden_words if _folded(word) in joined)
    return found


def enforce(bubbles: Sequence[str], rules: HardRules) -> tuple[str, ...] | None:
    """Mend what can be mended without changing what is said; the same input always gives the same reply.

    Markdown is taken off, line ends become bubbles, long bubbles are cut at punctuation, empty ones and those beyond
    the limit are dropped.

    Args:
        bubbles: A reply.
        rules: The owner's rules.

    Returns:
        A reply with no violation, or None where what is said breaks a rule, or nothing is left to say.
    """
    if content_violations(bubbles, rules):
        return None
    mended: list[str] = []
    for bubble in bubbles:
        for line in strip_markdown(bubble).splitlines():
            mended.extend(piece for piece in split_long(line, rules.max_bubble_characters) if _says_something(piece))
    reply = tuple(mended[: rules.max_bubbles])
    return reply if reply and not violations(reply, rules) else None


def _says_something(bubble: str) -> bool:
    """Whether anything visible is left: a question mark or an emoji says something, white space does not."""
    return any(not letter.isspace() and letter.isprintable() for letter in bubble)


def _folded(text: str) -> str:
    """Width, case and traditional spelling undone, invisible characters removed: a phrase cannot hide behind them."""
    text = unicodedata.normalize("NFKC", text).casefold().translate(TRADITIONAL)
    return "".join(c for c in text if unicodedata.category(c) != "Cf")
