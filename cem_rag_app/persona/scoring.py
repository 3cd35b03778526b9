"""Which candidate reply is best: five parts, each in [0, 1], one weighted total (blueprint section 6.3).

Pure functions of what is passed in. How similar two texts are is the caller's business: an encoder's cosine in the
product, a table in the tests.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from cem_rag_app.persona.style import StyleProfile, style_similarity
from cem_rag_app.schema import FloatArray, Message

RECENT_LINES = 12
"""How far back a repetition of the person's own line counts."""

COPY_FREE_RUN = 8
"""Characters: a borrowed expression up to this length is how the person speaks, not a copy."""

COPY_FULL_RUN = 24
"""Characters: a borrowed run of this length and more takes the whole penalty."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """One possible reply."""

    bubbles: tuple[str, ...]
    origin: str
    """Who made it: a generator's name, or the rule that recombined it."""
    sources: tuple[int, ...] = ()
    """Ids of the segments (= message ids of their anchors) it was built from; may be empty."""

    @property
    def text(self) -> str:
        """All bubbles, one a line."""
        return "\n".join(self.bubbles)


@dataclass(frozen=True, slots=True)
class ScoreParts:
    """Each in [0, 1]; ``copying`` is a penalty. ``total`` is their weighted sum, not clipped."""

    continuity: float
    style: float
    closeness: float
    consistency: float
    copying: float
    total: float


@dataclass(frozen=True, slots=True)
class ScoreWeights:
    """What each part counts. Continuity leads; copying is punished lightly, as the blueprint asks."""

    continuity: float = 0.60
    style: float = 0.15
    closeness: float = 0.08
    consistency: float = 0.17
    copying: float = 0.06


@dataclass(frozen=True, slots=True)
class Evidence:
    """What a turn's candidates are judged against."""

    query: str
    """What the user just said, all bubbles of it."""
    anchors: Mapping[int, str] = field(default_factory=dict)
    """Segment id -> its anchor's text, for every hit."""
    replies: Mapping[int, str] = field(default_factory=dict)
    """Segment id -> the person's burst that followed, one line a message."""
    recent: Sequence[Message] = ()
    """The running conversation, oldest first, without the query."""


class Similarity(Protocol):
    """How alike texts are."""

    def __call__(self, left: Sequence[str], right: Sequence[str], /) -> FloatArray:
        """Return (len(left), len(right)) float32; 1 is the same, 0 and below unrelated."""
        ...


def bigrams(text: str) -> Counter[str]:
    """Character 1-2-grams of a text without white space, lower-cased."""
    letters = "".join(text.split()).casefold()
    return Counter(letters) + Counter(letters[i : i + 2] for i in range(len(letters) - 1))


def character_similarity(left: Sequence[str], right: Sequence[str], /) -> FloatArray:
    """Cosine of character 1-2-gram counts, (len(left), len(right)) float32 in [0, 1]; needs no model."""
    rights = [bigrams(text) for text in right]
    out = np.zeros((len(left), len(right)), dtype=np.float32)
    norms = [sum(c * c for c in counts.values()) ** 0.5 for counts in rights]
    for row, text in enumerate(left):
        counts = bigrams(text)
        norm = sum(c * c for c in counts.values()) ** 0.5
        for column, other in enumerate(rights):
            if norm and norms[column]:
                shared = sum(count * other[gram] for gram, count in counts.items() if gram in other)
                out[row, column] = shared / (norm * norms[column])
    return out


def score_candidates(
    candidates: Sequence[Candidate],
    evidence: Evidence,
    *,
    similarity: Similarity,
    profile: StyleProfile | None = None,
    weights: ScoreWeights = ScoreWeights(),
) -> list[ScoreParts]:
    """Score candidates against a turn, in their order.

    Args:
        candidates: What could be said.
        evidence: The turn: query, hits, running conversation.
        similarity: Called once per kind of comparison, on batches.
        profile: The person's style; None scores every candidate's style 0.5.
        weights: What each part counts.
    """
    if not candidates:
        return []
    texts = [candidate.text for candidate in candidates]
    to_query = np.clip(similarity(texts, [evidence.query]), 0.0, 1.0)[:, 0]
    anchor_ids = list(evidence.anchors)
    anchor_row = (
        np.clip(similarity([evidence.query], [evidence.anchors[i] for i in anchor_ids]), 0.0, 1.0)[0]
        if anchor_ids
        else np.zeros(0, dtype=np.float32)
    )
    anchor_likeness = dict(zip(anchor_ids, (float(value) for value in anchor_row), strict=True))
    reply_ids = [i for i in evidence.replies if evidence.replies[i]]
    to_replies = (
        np.clip(similarity(texts, [evidence.replies[i] for i in reply_ids]), 0.0, 1.0)
        if reply_ids
        else np.zeros((len(texts), 0), dtype=np.float32)
    )
    said = [message.text for message in evidence.recent[-RECENT_LINES:] if message.role == "assistant"]
    heard = [message.text for message in evidence.recent[-RECENT_LINES:] if message.role == "user"] + [evidence.query]
    parts = []
    for row, candidate in enumerate(candidates):
        likeness = {i: float(to_replies[row, column]) for column, i in enumerate(reply_ids)}
        values = (
            continuity(candidate, float(to_query[row]), anchor_likeness, likeness),
            style_similarity(candidate.bubbles, profile) if profile is not None else 0.5,
            max(likeness.values(), default=0.0),
            consistency(candidate, said, heard),
            copying(candidate, list(evidence.replies.values())),
        )
        total = (
            weights.continuity * values[0]
            + weights.style * values[1]
            + weights.closeness * values[2]
            + weights.consistency * values[3]
            - weights.copying * values[4]
        )
        parts.append(ScoreParts(*values, total=total))
    return parts


def continuity(
    candidate: Candidate,
    to_query: float,
    anchor_likeness: Mapping[int, float],
    reply_likeness: Mapping[int, float],
) -> float:
    """How well a candidate answers what was said, in [0, 1].

    A reply once given to a line like this one answers it: the likeness of the query to the source's anchor counts .65,
    talk about the same thing .35. A candidate without a source borrows the anchors of the replies it resembles, each
    times that resemblance; that says little (measured: no better than chance), so it counts .1 and talk about the same
    thing .9.
    """
    if candidate.sources:
        return 0.65 * max(anchor_likeness.get(i, 0.0) for i in candidate.sources) + 0.35 * to_query
    borrowed = max((anchor_likeness.get(i, 0.0) * likeness for i, likeness in reply_likeness.items()), default=0.0)
    return 0.1 * borrowed + 0.9 * to_query


def consistency(candidate: Candidate, said: Sequence[str], heard: Sequence[str]) -> float:
    """1 minus the share of bubbles that repeat, word for word, what either side said recently or a bubble before.

    Short fillers (up to two letters: 嗯, 好, 哈哈) may be repeated.
    """
    if not candidate.bubbles:
        return 0.0
    seen = {_bare(text) for text in (*said, *heard)}
    repeated = 0
    for bubble in candidate.bubbles:
        bare = _bare(bubble)
        if len(bare) > 2:
            repeated += bare in seen
            seen.add(bare)
    return 1.0 - repeated / len(candidate.bubbles)


def copying(candidate: Candidate, replies: Sequence[str]) -> float:
    """Penalty in [0, 1] that grows with the longest run of characters copied from one reply.

    0 up to ``COPY_FREE_RUN`` characters, 1 from ``COPY_FULL_RUN``.
    """
    longest = max((longest_copied_run(candidate.text, reply) for reply in replies), default=0)
    return min(1.0, max(0, longest - COPY_FREE_RUN) / (COPY_FULL_RUN - COPY_FREE_RUN))


def longest_copied_run(text: str, source: str) -> int:
    """Length in characters of the longest common substring, line ends included."""
    best = 0
    for start in range(len(text)):
        while start + best < len(text) and text[start : start + best + 1] in source:
            best += 1
    return best


def _bare(text: str) -> str:
    """Letters and digits alone, lower-cased: punctuation does not make a repetition new."""
    return "".join(letter for letter in text.casefold() if letter.isalnum())
