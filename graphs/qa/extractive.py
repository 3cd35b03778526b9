"""The answerer that needs no key: it quotes the sentences that answer, and says when none does.

A sentence is scored by how much of the question's weight it covers (terms weighted by their rarity among the
passages), by its likeness to the question in the memory's own vector space, and by its passage's rank. The scores
of hits are relative to one another, so that something always comes first; whether anything is *relevant* is
decided here, by coverage and likeness alone.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from cem_rag_app.chunking import sentences
from cem_rag_app.lexical import terms
from cem_rag_app.schema import FloatArray, Hit
from graphs.qa.answer import Answer, citations_of, passage_of
from graphs.qa.questions import content_terms, is_of_the_asked_kind

Similarity = Callable[[Sequence[str], Sequence[str]], FloatArray]
"""Texts to texts -> (n, m) cosines."""

MOST_SENTENCES = 3
SHARE_OF_BEST = 0.75
"""A further sentence is quoted only when it scores at least this share of the best one."""
COVERAGE_WEIGHT, LIKENESS_WEIGHT, RANK_WEIGHT, KIND_WEIGHT = 0.55, 0.30, 0.05, 0.10
LEAST_RELEVANCE = 0.62
"""Coverage and likeness of one sentence, added; when none reaches this, nothing relevant was found."""
LEAST_COVERAGE = 0.45
"""The same where there is no similarity, and words are all there is."""
CONTEXT = 0.4
"""What a term counts that stands in the passage but not in the sentence: a title names what its sentences do not."""

_HAN = re.compile(r"[\u3400-\u9fff]")


class ExtractiveAnswerer:
    """Quotes. Deterministic, and never says what no chunk says.

    Args:
        similarity: cosine of texts in the memory's space; None goes by words alone.
    """

    name = "extractive"
    offline = True

    def __init__(self, similarity: Similarity | None = None) -> None:
        self._similarity = similarity

    def answer(self, question: str, hits: Sequence[Hit]) -> Answer:
        """Quote up to three sentences, each with the number of its chunk."""
        chinese = _HAN.search(question) is not None
        quotes = self._quotes(question, hits)
        if not quotes:
            return Answer(_NOTHING[chinese], (), self.offline)
        quoted = " ".join(f"{_open(quote.text, chinese)} [{quote.number}]" for quote in quotes)
        text = _FOUND[chinese].format(quoted)
        return Answer(text, citations_of(text, hits), self.offline)

    def _quotes(self, question: str, hits: Sequence[Hit]) -> list[_Quote]:
        candidates = _candidates(hits)
        if not candidates:
            return []
        wanted = _weights(question, [passage_of(hit) for hit in hits])
        likeness = self._likeness(question, [candidate.text for candidate in candidates])
        passages = {number: set(terms(_title(hit) + "\n" + passage_of(hit))) for number, hit in enumerate(hits, 1)}
        scored: list[tuple[float, int]] = []
        relevant = False
        for place, candidate in enumerate(candidates):
            own, around = set(terms(candidate.text)), passages[candidate.number]
            covered = sum(w if t in own else CONTEXT * w if t in around else 0.0 for t, w in wanted.items())
            relevant |= self._is_relevant(covered, likeness[place])
            score = (
                COVERAGE_WEIGHT * covered
                + LIKENESS_WEIGHT * likeness[place]
                + RANK_WEIGHT / candidate.number
                + KIND_WEIGHT * is_of_the_asked_kind(question, candidate.text)
            )
            scored.append((score, -place))
        if not relevant:
            return []
        best = max(scored)[0]
        chosen = sorted(scored, reverse=True)[:MOST_SENTENCES]
        kept = [candidates[-place] for score, place in chosen if score >= SHARE_OF_BEST * best]
        # The best comes first; the others stay in the order they were written.
        return [kept[0], *sorted(kept[1:], key=lambda quote: (quote.number, quote.place))]

    def _is_relevant(self, covered: float, likeness: float) -> bool:
        if self._similarity is None:
            return covered >= LEAST_COVERAGE
        return covered + likeness >= LEAST_RELEVANCE

    def _likeness(self, question: str, texts: list[str]) -> list[float]:
        if self._similarity is None:
            return [0.0] * len(texts)
        return [max(float(value), 0.0) for value in self._similarity([question], texts)[0]]


@dataclass(frozen=True, slots=True)
class _Quote:
    number: int
    place: int
    text: str


_NOTHING = {
    False: "Nothing relevant to this question was found in the documents.",
    True: "在这些文档里没有找到与这个问题相关的内容。",
}
_FOUND = {
    False: "From the documents (quoted, no language model was used): {}",
    True: "以下原文摘自文档（没有使用语言模型）：{}",
}


def _candidates(hits: Sequence[Hit]) -> list[_Quote]:
    """Return the sentences of all passages, each text once; a title line is not a sentence of its own."""
    found: dict[str, _Quote] = {}
    for number, hit in enumerate(hits, 1):
        body = passage_of(hit)
        title = _title(hit)
        if title and body.startswith(title):
            body = body[len(title) :]
        lines = (
            [line for sentence in sentences(body) for line in sentence.split("\n")]
            if hit.segment
            else [" ".join(sentence.split()) for sentence in sentences(body)]
        )
        for place, line in enumerate(lines):
            if terms(line):
                found.setdefault(line.strip(), _Quote(number, place, line.strip()))
    return list(found.values())


def _title(hit: Hit) -> str:
    return str(hit.metadata.get("title", ""))


def _weights(question: str, passages: Sequence[str]) -> dict[str, float]:
    """Return the question's terms with weights that add to 1: rare among the passages weighs more."""
    asked = content_terms(question)
    frequency = Counter(term for passage in passages for term in set(terms(passage)))
    weights = {term: math.log(1 + (len(passages) + 1) / (frequency[term] + 0.5)) for term in asked}
    total = sum(weights.values()) or 1.0
    return {term: weight / total for term, weight in weights.items()}


def _open(text: str, chinese: bool) -> str:
    return f"「{text}」" if chinese else f'"{text}"'
