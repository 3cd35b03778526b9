"""Finding the line that answers a question among recalled lines, and saying it from the person's side."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from cem_rag_app.persona.scoring import Similarity
from cem_rag_app.schema import Message
from graphs.persona.lexicon import Lexicon, grams
from graphs.persona.phrases import reacts
from graphs.persona.questions import Question, asks, kind_of, take_apart
from graphs.persona.state import CHAT_SOURCE

_CLAUSES = re.compile(r"[\s，,。.！!？?；;…~～]+")
_URGES = re.compile(r"吧(?:\W|$)|不行就")
_TAIL = re.compile(r"[\s，,。.！!？?…~～啊呀啦了哦呢嘛吧哈]+$")

OWN = 1.0
ANSWERED = 0.9
"""What a subject counts that stands in the question the line answered, at once or later in the same burst."""

NEARBY = (0.75, 0.65, 0.6, 0.55, 0.5)
FAR = 0.4
"""What it counts one, two, … lines before, and farther: 它怕什么 speaks of whoever was named before."""

NEAR_SECONDS = 3_600.0

COVERED = 0.50
TYPED = 0.25
ALIKE = 0.25
"""What holding the subject, holding the kind of thing asked for, and likeness of meaning are worth."""

LATEST = 0.12
LATEST_NOW = 0.40
"""What being the last word on it adds to an answer; more where the question is about now."""

AS_GOOD = 0.85
AS_GOOD_NOW = 0.55
"""Share of the best line's score from which a later line can overtake it."""

SAME_KIND = 0.8
WRONG_KIND = 0.75
ASKING = 0.35
"""What is left of a line that lacks what is wanted, or that asks something itself."""

LATER = 0.85
ELSEWHERE = 0.9
"""What is left of a later bubble, and of one that names nothing of the subject where no kind of answer is asked for."""

COMPARED = 24
"""Lines whose meaning is compared: the best ones by their words."""

LEAST_SUBJECT = 0.25
LEAST_SAID = 0.4
"""Mass below which a question has no subject, and a line (对, 嗯嗯) no answer in it."""

TELLING = 0.5
NEW_LETTERS = 2
NOTHING_NEW = 0.55
"""Telling letters that an answer to an open question adds to it, and what is left of a line that adds fewer."""

SAME_MOMENT = 300.0
"""Seconds within which two lines are equally late."""

FORMULAS = frozenset({"greeting", "farewell", "laugh"})
"""Kinds of line that tell nothing."""

LONGEST_ECHO = 16


@dataclass(frozen=True, slots=True)
class Fact:
    """A line that may answer the question."""

    line: Message
    confidence: float
    """How well it answers, in [0, 1]; age does not count."""
    score: float
    """For ranking: with age."""
    follows: tuple[Message, ...]
    """The speaker's next lines in the same burst."""
    context: str
    """What it answered, and the line itself."""
    segment_id: int = 0


def find_facts(
    question: Question,
    stretches: Sequence[tuple[int, Sequence[Message]]],
    lexicon: Lexicon,
    similarity: Similarity,
) -> list[Fact]:
    """Lines that may answer a question, the most likely first.

    A line answers when it holds what is asked for (a time for "when", a number for "how many") and it, or what it
    replied to, holds what the question is about. Of lines that answer about as well, the later one holds.

    Args:
        question: What the user asks.
        stretches: (segment id, lines in order of speech) of every recalled segment.
        lexicon: How telling each gram is.
        similarity: How alike two texts are.
    """
    about = lexicon.subject(question.subject)
    if lexicon.mass(about) < LEAST_SUBJECT:
        return []
    best: dict[int, Fact] = {}
    for segment_id, lines in stretches:
        held = [grams(line.text) for line in lines]
        for at, line in enumerate(lines):
            if line.source == CHAT_SOURCE and line.role == "assistant":
                continue  # what the voice itself said proves nothing
            if (_URGES.search(line.text) or kind_of(line.text) == "request") and not _answers(lines, at):
                continue  # what somebody should do is no fact
            asking = asks(line.text)
            if asking and line.role == "user":
                continue  # a question asked before tells nothing
            typed = _typed(question, lines, at)
            covered = 0.0 if typed is None else _covered(about, lines, held, at, lexicon, question.kind)
            if typed is None or covered <= 0 or lexicon.mass(held[at]) < LEAST_SAID or _formal(line.text):
                continue
            score = COVERED * covered + TYPED * typed
            if question.answer is not None and not typed:
                score *= WRONG_KIND
            if (
                question.open
                and not (question.answer and typed == 1.0)
                and not _adds(line.text, question.text, lexicon)
            ):
                score *= NOTHING_NEW
            score *= _side(question, line) * (ASKING if asking else 1.0)
            if not about & held[at] and at and lines[at - 1].role == line.role:
                score *= LATER  # the first bubble answers, the next ones go on to something else
            if question.kind is None and not about & held[at]:
                score *= ELSEWHERE
            if line.message_id not in best or best[line.message_id].confidence < score:
                asked = _asked(lines, at)
                context = f"{asked.text}\n{line.text}" if asked is not None else line.text
                best[line.message_id] = Fact(line, score, score, _follows(lines, at), context, segment_id)
    return _ranked(question, sorted(best.values(), key=lambda fact: -fact.confidence), similarity)


def echo(line: str, question: str, opening: str, ending: str) -> str:
    """A user's own line given back from the person's side.

    >>> echo("我下周三去杭州 好紧张", "我哪天去杭州", "你不是说", "嘛")
    '你不是说下周三去杭州嘛'
    """
    asked = take_apart(question)
    clauses = [clause for clause in _CLAUSES.split(line) if clause]
    about = grams(asked.subject)
    useful = [
        clause
        for clause in clauses
        if about & grams(clause) or (asked.answer is not None and asked.answer.search(clause))
    ] or clauses
    body = ""
    for clause in useful:
        if body and len(body) + len(clause) > LONGEST_ECHO:
            break
        body = f"{body} {clause}".strip()
    turned = "".join({"我": "你", "你": "我"}.get(letter, letter) for letter in _TAIL.sub("", body))
    return f"{opening}{turned.removeprefix('你')}{ending}"


def _ranked(question: Question, facts: Sequence[Fact], similarity: Similarity) -> list[Fact]:
    """With likeness of meaning and age."""
    if not facts:
        return []
    compared = facts[:COMPARED]
    # The line by itself, and with the question it answered: either may be what the new question is like.
    near = similarity([question.text], [text for fact in compared for text in (fact.context, fact.line.text)])[0]
    alike = np.clip(near.reshape(-1, 2).max(axis=1), 0.0, 1.0)
    judged = [
        replace(fact, confidence=min(1.0, fact.confidence + ALIKE * float(like) * _side(question, fact.line)))
        for fact, like in zip(compared, alike, strict=True)
    ]
    bar = (AS_GOOD_NOW if question.now else AS_GOOD) * max(fact.confidence for fact in judged)
    times = sorted({fact.line.timestamp for fact in judged if fact.confidence >= bar})
    moments: list[float] = []
    moment_of: dict[float, int] = {}
    for time in times:
        if not moments or time - moments[-1] > SAME_MOMENT:
            moments.append(time)
        moment_of[time] = len(moments)
    later = {time: moment_of[time] / len(moments) for time in times}
    bonus = LATEST_NOW if question.now else LATEST
    dated = [
        replace(fact, score=fact.confidence + bonus * later[fact.line.timestamp] * (fact.confidence >= bar))
        if fact.line.timestamp in later
        else replace(fact, score=fact.confidence)
        for fact in judged
    ]
    return sorted(dated, key=lambda fact: -fact.score)


def _covered(
    about: frozenset[str],
    lines: Sequence[Message],
    held: Sequence[frozenset[str]],
    at: int,
    lexicon: Lexicon,
    kind: str | None,
) -> float:
    """Share of the subject that the line and what came before it hold, nearer lines counting more."""
    line = lines[at]
    lends = 1.0 if line.role == "assistant" else 0.0 if line.source == CHAT_SOURCE else 0.6
    asked = _asked(lines, at)
    fits = asked is not None and asks(asked.text) and (kind is None or take_apart(asked.text).kind in (kind, None))
    answered = grams(asked.text) if asked is not None and fits else frozenset()
    total = held_mass = 0.0
    for gram in about:
        mass = lexicon.weight(gram) ** 2
        total += mass
        if gram in held[at]:
            held_mass += OWN * mass
        elif gram in answered:
            held_mass += ANSWERED * lends * mass
        else:
            for back in range(1, at + 1):
                if line.timestamp - lines[at - back].timestamp > NEAR_SECONDS:
                    break
                if gram in held[at - back]:
                    held_mass += (NEARBY[back - 1] if back <= len(NEARBY) else FAR) * lends * mass
                    break
    return held_mass / total if total else 0.0


def _formal(text: str) -> bool:
    """Whether a line tells nothing: it greets, laughs or reacts."""
    return kind_of(text) in FORMULAS or reacts(text)


def _adds(line: str, question: str, lexicon: Lexicon) -> bool:
    """Whether a line says something that the question does not."""
    known = set(question.casefold())
    new = {letter for letter in line.casefold() if letter.isalnum() and letter not in known}
    return sum(1 for letter in new if lexicon.weight(letter) >= TELLING) >= NEW_LETTERS


def _asked(lines: Sequence[Message], at: int) -> Message | None:
    """What the other side said just before the burst a line belongs to."""
    for earlier in reversed(lines[:at]):
        if earlier.role != lines[at].role:
            return earlier
    return None


def _answers(lines: Sequence[Message], at: int) -> bool:
    """Whether a line was said in answer to a question."""
    asked = _asked(lines, at)
    return asked is not None and asks(asked.text)


def _follows(lines: Sequence[Message], at: int) -> tuple[Message, ...]:
    end = at + 1
    while end < len(lines) and lines[end].role == lines[at].role:
        end += 1
    return tuple(lines[at + 1 : end])


def _typed(question: Question, lines: Sequence[Message], at: int) -> float | None:
    """Whether a line holds the kind of thing asked for; None when it lacks what it must hold.

    The first bubble after a question of the same kind answers it, whatever it looks like: a name is just a word.
    """
    if question.answer is None:
        return 0.5
    if question.answer.search(lines[at].text):
        return 1.0
    if question.strict:
        return None
    before = lines[at - 1] if at else None
    answers = before is not None and before.role != lines[at].role and take_apart(before.text).kind == question.kind
    return SAME_KIND if answers else 0.0


def _side(question: Question, line: Message) -> float:
    """Whether the line speaks of the one asked about."""
    if question.of_person == question.of_user:
        return 1.0 if line.role == "assistant" else 0.8
    if question.of_person:
        if line.role == "assistant":
            return 0.8 if "你" in line.text and "我" not in line.text else 1.0
        return 0.7 if "你" in line.text else 0.35
    if line.role == "user":
        return 0.95
    return 1.0 if "你" in line.text else 0.5
