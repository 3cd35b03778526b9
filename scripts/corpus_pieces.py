"""Chinese texts cut into passages and pairs, and the part of them that is held out to choose a recipe by.

Held out are whole conversations and whole stories (``held``), so that nothing of a held-out text is trained on. Their
pairs have kinds that start with ``held-`` and the shape of the question that a memory asks: here is a stretch of a
conversation; which short account, told at another time, belongs to it?
"""

# ruff: noqa: S311 - samples are drawn with fixed seeds; nothing here is secret.

from __future__ import annotations

import hashlib
import random
import re
from collections.abc import Iterator

from scripts.corpus_english import Record

_HAN = re.compile(r"[\u3400-\u9fff]")
_SENTENCE = re.compile(r"(?<=[。！？!?；…])[”’」』）)]*")
_TURNS = 8
"""Turns of a stretch of talk in the pairs of kind ``memory``."""


def is_held(text: str, one_in: int) -> bool:
    """Whether a text is held out: one in so many, by a hash of its first 30 characters; never with 0."""
    if one_in == 0:
        return False
    digest = hashlib.blake2b(text[:30].encode("utf-8", "replace"), digest_size=4).digest()
    return int.from_bytes(digest, "little") % one_in == 0


def conversation(turns: list[str], draw: random.Random, *, share: float, held: int = 40) -> Iterator[Record]:
    """Passages and pairs of one conversation.

    ``share`` of the messages and exchanges become passages, so that no long source drowns the others. Pairs: a message
    and its reply; a stretch of the talk with a sentence said elsewhere in it; and eight turns of the talk with the
    longest account that its first speaker gives elsewhere in it. One conversation in ``held`` gives only the last.
    """
    if is_held(turns[0] if turns else "", held):
        yield from ((f"held-{kind}", left, right) for kind, left, right in memory(turns, draw, "talk"))
        return
    yield from memory(turns, draw, "memory")
    for number, turn in enumerate(turns):
        if draw.random() < share:
            yield from prose(turn, "", low=6)
        if number + 1 < len(turns) and draw.random() < share:
            exchange = f"{turn} {turns[number + 1]}"
            if fits(exchange, low=8, high=320):
                yield "passage", exchange, ""
            if fits(turn, low=6) and fits(turns[number + 1], low=6, high=300):
                yield "reply", turn, turns[number + 1]
    if len(turns) >= 5:
        for _ in range(2):
            start = draw.randrange(len(turns) - 3)
            stop = start + draw.randint(2, min(8, len(turns) - 1))
            rest = [sentence for turn in turns[:start] + turns[stop:] for sentence in _SENTENCE.split(turn)]
            rest = [sentence.strip() for sentence in rest if fits(sentence, low=10, high=120)]
            if rest:
                yield "dialogue", " ".join(turns[start:stop])[:900], draw.choice(rest)


def memory(turns: list[str], draw: random.Random, kind: str) -> Iterator[Record]:
    """Eight turns in a row, and the longest account by the first speaker outside of them; none if there is none."""
    if len(turns) < _TURNS + 2:
        return
    start = draw.randrange(len(turns) - _TURNS + 1)
    others = [turn for place, turn in enumerate(turns) if place % 2 == 0 and not start <= place < start + _TURNS]
    account = shorten(max(others, key=len, default=""), 120)
    if fits(account, low=16):
        yield kind, " ".join(turns[start : start + _TURNS])[:900], account


def story(text: str, *, held: int) -> Iterator[Record]:
    """Passages of a story, and a stretch of it with a piece told elsewhere; one story in ``held`` is held out."""
    draw = random.Random(len(text))
    sentences = [sentence.strip() for sentence in _SENTENCE.split(text) if sentence.strip()]
    kept_out = is_held(text, held)
    if not kept_out:
        yield from prose(text, "")
    if len(sentences) < 8:
        return
    start = draw.randrange(len(sentences) - 4)
    near = range(start - 1, start + 6)
    far = [place for place in range(len(sentences)) if place not in near]
    first = draw.choice(far)
    piece = shorten("".join(sentences[place] for place in range(first, first + 3) if place in far), 120)
    if fits(piece, low=16):
        yield "held-story" if kept_out else "story", "".join(sentences[start : start + 5])[:600], piece


def shorten(text: str, most: int) -> str:
    """The first sentences of a text, as many as fit into ``most`` characters; one at the least."""
    result = ""
    for sentence in _SENTENCE.split(text):
        if result and len(result) + len(sentence) > most:
            break
        result += sentence
    return result[:most].strip()


def prose(text: str, title: str, *, low: int = 20) -> Iterator[Record]:
    """Chunks of 20 to 300 characters cut at sentence ends; neighbours of one text are pairs."""
    text = text.strip()
    if not fits(text, low=low, high=100_000):
        return
    draw = random.Random(len(text) * 31 + ord(text[0]))
    chunks: list[str] = []
    chunk, target = "", draw.randint(60, 260)
    for sentence in _SENTENCE.split(text):
        if chunk and len(chunk) + len(sentence) > target:
            chunks.append(chunk)
            chunk, target = "", draw.randint(60, 260)
        chunk = (chunk + sentence)[:500]
    chunks.append(chunk)
    chunks = [chunk.strip() for chunk in chunks if fits(chunk.strip(), low=low, high=500)]
    for number, chunk in enumerate(chunks):
        yield "passage", chunk, ""
        if title and number == 0:
            yield "title", title, chunk
        if number:
            yield "neighbour", chunks[number - 1], chunk


def fits(text: str, *, low: int, high: int = 400) -> bool:
    """Whether a text has a fitting length and at least half of it is Han characters."""
    return low <= len(text) <= high and len(_HAN.findall(text)) >= 0.5 * len(text.replace(" ", ""))
