"""Passkey and Needle: one sentence in a long document, and the question that asks for it.

As published: for each length of 256 … 32,768 tokens 100 documents, each with one detail of its own at a random
place, and 50 questions, each about one of them; a document is right when it is first. Ours differ in the words around
(no text of the published sets is used) and in how a token is counted (:func:`filler.count_tokens`).
"""

from __future__ import annotations

import random
from importlib import resources
from itertools import cycle

from cem_rag_app.errors import SettingsError
from cem_rag_app.evaluation.collections import Collection
from cem_rag_app.evaluation.longembed.filler import REFRAIN, count_tokens, paragraphs

LENGTHS = (256, 512, 1024, 2048, 4096, 8192, 16384, 32768)
DOCUMENTS = 100
QUERIES = 50
SHORTEST = 64
POOL = 600
"""Paragraphs that Needle's documents are put together from."""

_FIRST = "Ada Basil Clara Dorian Edith Felix Greta Hugo Ines Jonas Karla Leopold Mara Nils Odette Piers Ruth Silas Thea"
_LAST = "Ashdown Birk Calder Dunmore Eskil Farrow Grantham Hollis Ivers Jessop Kirkby Lomax Merrin Norcott Ostrander"


def passkey(length: int, *, documents: int = DOCUMENTS, queries: int = QUERIES, seed: int = 0) -> Collection:
    """Make Passkey at one length: everybody's pass key stands once in a text that says the same few things again.

    Args:
        length: tokens of a document, at most.
        documents: how many.
        queries: how many of them are asked for.
        seed: names, keys and places follow from it and the length.

    Raises:
        SettingsError: too short a length, or more documents than there are names.
    """
    draw = _draw("passkey", length, seed)
    names = [f"{first} {last}" for first in _FIRST.split() for last in _LAST.split()]
    _check(length, documents, queries, most=len(names))
    corpus: dict[str, str] = {}
    questions: dict[str, str] = {}
    for number, name in enumerate(draw.sample(names, documents)):
        key = draw.randrange(10_000, 100_000)
        detail = f"The pass key of {name} is {key}. Keep it in mind: {key} opens the door for {name}."
        lines = _filled(cycle(REFRAIN), length - count_tokens(detail))
        lines.insert(draw.randint(0, len(lines)), detail)
        corpus[f"d{number:03}"] = " ".join(lines)
        questions[f"q{number:03}"] = f"What is the pass key of {name}?"
    return _asked("passkey", length, corpus, questions, draw.sample(sorted(questions), queries))


def needle(length: int, *, documents: int = DOCUMENTS, queries: int = QUERIES, seed: int = 0) -> Collection:
    """Make Needle at one length: a fact of general knowledge stands once in an essay about something else.

    Args:
        length: tokens of a document, at most.
        documents: how many.
        queries: how many of them are asked for.
        seed: essays, facts and places follow from it and the length.

    Raises:
        SettingsError: too short a length, or more documents than there are facts.
    """
    draw = _draw("needle", length, seed)
    facts = _facts()
    _check(length, documents, queries, most=len(facts))
    pool = paragraphs(seed, POOL)
    corpus: dict[str, str] = {}
    questions: dict[str, str] = {}
    for number, (question, fact) in enumerate(draw.sample(facts, documents)):
        order = draw.sample(range(POOL), POOL)
        stream = ((sentence, place == 0) for at in cycle(order) for place, sentence in enumerate(pool[at]))
        room = length - count_tokens(fact)
        pieces: list[str] = []
        for sentence, opens in stream:
            room -= count_tokens(sentence)
            if room < 0:
                break
            pieces.append(("\n\n" if opens else " ") + sentence)
        pieces.insert(draw.randint(0, len(pieces)), " " + fact)
        corpus[f"d{number:03}"] = "".join(pieces).strip()
        questions[f"q{number:03}"] = question
    return _asked("needle", length, corpus, questions, draw.sample(sorted(questions), queries))


def _facts() -> list[tuple[str, str]]:
    text = (resources.files(__package__) / "needles.txt").read_text(encoding="utf-8")
    return [(question, fact) for question, _, fact in (line.partition("\t") for line in text.splitlines())]


def _draw(task: str, length: int, seed: int) -> random.Random:
    # A string seeds by its SHA-512, the same on every machine and release.
    return random.Random(f"{task} {length} {seed}")  # noqa: S311 - text, not secrets


def _filled(lines: cycle[str], room: int) -> list[str]:
    filled: list[str] = []
    for line in lines:
        room -= count_tokens(line)
        if room < 0:
            return filled
        filled.append(line)
    return filled


def _check(length: int, documents: int, queries: int, *, most: int) -> None:
    if length < SHORTEST:
        raise SettingsError(f"A document of {length} tokens is too short.", remedy=f"Take {SHORTEST} or more.")
    if not 0 < queries <= documents <= most:
        raise SettingsError(
            f"{queries} queries over {documents} documents cannot be made.",
            remedy=f"Take at most {most} documents, and no more queries than documents.",
        )


def _asked(task: str, length: int, corpus: dict[str, str], questions: dict[str, str], asked: list[str]) -> Collection:
    queries = {query: questions[query] for query in sorted(asked)}
    return Collection(f"{task}-{length}", corpus, queries, {query: {"d" + query[1:]: 1} for query in queries})
