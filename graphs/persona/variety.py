"""Which hits a turn works with: no flood of one topic, no echo of the running conversation."""

from __future__ import annotations

from collections.abc import Sequence

from cem_rag_app.persona.intents import classify, is_question
from cem_rag_app.schema import Hit, Message

ASKED_FOR = 3
"""Times k hits are recalled, so that enough are left when repetitions are gone."""

ALIKE = 0.35
"""Semantic or lexical score from which something said in this chat is worth a place."""


def interleaved(found: Sequence[Sequence[Hit]]) -> list[Hit]:
    """The hits of several queries by their rank in each: scores are relative to one query and do not compare."""
    return [hits[rank] for rank in range(max(map(len, found), default=0)) for hits in found if rank < len(hits)]


def varied(hits: Sequence[Hit], k: int, *, message: Message, recent: Sequence[Message]) -> tuple[Hit, ...]:
    """The best hits that each add something.

    Left out are the message itself, what the running conversation shows anyway, and a second hit with the same anchor
    text. What was told earlier in this chat comes on top of the history, half as much at most; what was only asked
    in it fills what is left: short questions are alike and would crowd out everything else.

    Args:
        hits: Best first.
        k: How many of the history to keep.
        message: What is being answered.
        recent: The running conversation.

    Returns:
        At most k and a half times k hits, best first.
    """
    shown = {line.message_id for line in recent} | {message.message_id}
    seen: set[str] = {_bare(message.text)}
    kept: list[Hit] = []
    told: list[Hit] = []
    asked: list[Hit] = []
    for hit in hits:
        anchor = hit.segment.anchor if hit.segment is not None else None
        text = _bare(hit.text)
        if (anchor is not None and anchor.message_id in shown) or text in seen:
            continue
        seen.add(text)
        if hit.kind != "online":
            kept.append(hit)
        elif is_question(classify(hit.text)):
            asked.append(hit)
        elif hit.semantic_score >= ALIKE or hit.lexical_score >= ALIKE:
            told.append(hit)  # recency alone recalls nothing
    chosen = [*kept[:k], *told[: max(1, k // 2)]]
    chosen += asked[: max(0, k - len(chosen))]
    order = {id(hit): place for place, hit in enumerate(hits)}
    return tuple(sorted(chosen, key=lambda hit: order[id(hit)]))


def _bare(text: str) -> str:
    return "".join(letter for letter in text.casefold() if letter.isalnum())
