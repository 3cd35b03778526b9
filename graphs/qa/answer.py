"""What an answer is: a text whose bracketed numbers point to chunks that were shown."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from cem_rag_app.schema import Hit

_MARK = re.compile(r"\[(\d{1,3}(?:\s*[,，]\s*\d{1,3})*)\]")


@dataclass(frozen=True, slots=True)
class Citation:
    """One chunk an answer leans on."""

    number: int
    """The number in brackets in the answer's text; counted from 1 in the order the chunks were found."""
    item_id: str
    text: str
    """The chunk, as opened for this answer."""
    score: float


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer and what it rests on; no citation means that nothing relevant was found."""

    text: str
    citations: tuple[Citation, ...]
    offline: bool
    """True when its sentences are quoted from the chunks and no language model was used."""


class Answerer(Protocol):
    """Writes an answer from opened chunks."""

    name: str
    offline: bool

    def answer(self, question: str, hits: Sequence[Hit]) -> Answer:
        """Answer a question from the hits, best first, and from nothing else."""
        ...


def cited_numbers(text: str) -> list[int]:
    """Return the numbers cited in a text, each once, in order of appearance.

    >>> cited_numbers("It opens at dusk [2]. Nobody knows why [1, 2].")
    [2, 1]
    """
    numbers = (int(number) for mark in _MARK.findall(text) for number in re.split(r"\s*[,，]\s*", mark))
    return list(dict.fromkeys(numbers))


def citations_of(text: str, hits: Sequence[Hit]) -> tuple[Citation, ...]:
    """Return the citations a text makes; numbers that point to no hit must have been refused before."""
    return tuple(
        Citation(number, hits[number - 1].item_id, passage_of(hits[number - 1]), hits[number - 1].retrieval_score)
        for number in sorted(cited_numbers(text))
    )


def passage_of(hit: Hit) -> str:
    """Return what a hit says: a document's chunk, or the lines of a conversation."""
    if hit.segment is None:
        return hit.text
    return "\n".join(f"{message.speaker}: {message.text}" for message in hit.segment.messages)
