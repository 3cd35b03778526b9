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
    opened: tuple[Citation, ...] = ()
    """Every chunk that was opened for it, cited or not, in the order found: nothing is opened unseen."""


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
    opened = opened_chunks(hits)
    return tuple(opened[number - 1] for number in sorted(cited_numbers(text)))


def opened_chunks(hits: Sequence[Hit]) -> tuple[Citation, ...]:
    """Return all hits under the numbers by which an answer may cite them."""
    return tuple(
        Citation(number, hit.item_id, passage_of(hit), hit.retrieval_score) for number, hit in enumerate(hits, start=1)
    )


def passage_of(hit: Hit) -> str:
    """Return what a hit says: a document's chunk, or the lines of a conversation."""
    if hit.segment is None:
        return hit.text
    return "\n".join(f"{message.speaker}: {message.text}" for message in hit.segment.messages)
