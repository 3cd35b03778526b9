"""How telling a stretch of text is, learned from a history: rare letters and pairs say more than common ones."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Set
from functools import lru_cache

GRAM_LETTERS = 2


@lru_cache(maxsize=16_384)
def grams(text: str) -> frozenset[str]:
    """Character 1- and 2-grams of the letters in a text; ASCII words stay whole.

    >>> sorted(grams("吃 hot pot了"))
    ['hot', 'pot', '了', '吃']
    """
    found: set[str] = set()
    for run in _runs(text.casefold()):
        if run.isascii():
            found.add(run)
        else:
            found.update(run)
            found.update(run[at : at + GRAM_LETTERS] for at in range(len(run) - 1))
    return frozenset(found)


class Lexicon:
    """Weights of grams by how many messages hold them."""

    def __init__(self, texts: Iterable[str]) -> None:
        self._counts: Counter[str] = Counter()
        self._texts = 0
        for text in texts:
            self._texts += 1
            self._counts.update(grams(text))

    def weight(self, gram: str) -> float:
        """0 for a gram in every message, 1 for one in none."""
        return math.log((self._texts + 1) / (self._counts[gram] + 1)) / math.log(self._texts + 2)

    def known(self, gram: str) -> bool:
        """Whether some message holds it."""
        return self._counts[gram] > 0

    def subject(self, text: str) -> frozenset[str]:
        """The words of a text, as far as a history without a dictionary can tell them.

        A pair of letters that some message holds is a word; letters in no such pair stand alone; two neighbours that
        do are kept as a pair instead, for they are a word nobody has said yet, and a line that holds one letter of it
        does not speak of it.
        """
        found: set[str] = set()
        for run in _runs(text.casefold()):
            if run.isascii():
                found.add(run)
                continue
            pairs = [run[at : at + GRAM_LETTERS] for at in range(len(run) - 1)]
            counts = [self._counts[pair] for pair in pairs]
            said = [
                # Between two words that are said more often on their own, a pair is only where they meet: 火锅|基金.
                count > 0
                and not (
                    0 < at < len(pairs) - 1
                    and counts[at - 1]
                    and counts[at + 1]
                    and count <= max(counts[at - 1], counts[at + 1])
                )
                for at, count in enumerate(counts)
            ]
            inside = [any(said[max(0, at - 1) : at + 1]) for at in range(len(run))]
            found.update(pair for pair, known in zip(pairs, said, strict=True) if known)
            strange = [at for at in range(len(pairs)) if not (inside[at] or inside[at + 1])]
            found.update(pairs[at] for at in strange)
            paired = {place for at in strange for place in (at, at + 1)}
            found.update(letter for at, letter in enumerate(run) if not inside[at] and at not in paired)
        return frozenset(found)

    def mass(self, found: Set[str]) -> float:
        """Sum of weights, squared so that a name counts more than three particles."""
        return sum(self.weight(gram) ** 2 for gram in found)

    def coverage(self, wanted: Set[str], found: Set[str]) -> float:
        """Share in [0, 1] of what ``wanted`` says that ``found`` holds too; 0 when nothing is wanted."""
        total = self.mass(wanted)
        return self.mass(wanted & found) / total if total else 0.0

    def overlap(self, left: str, right: str) -> float:
        """Symmetric likeness of two texts in [0, 1]: shared mass over the geometric mean of both."""
        one, other = grams(left), grams(right)
        both = self.mass(one) * self.mass(other)
        return self.mass(one & other) / math.sqrt(both) if both else 0.0


def _runs(text: str) -> Iterable[str]:
    """Stretches of letters and digits of one kind, ASCII or not."""
    run = ""
    for letter in text:
        if not letter.isalnum() or (run and letter.isascii() != run[-1].isascii()):
            if run:
                yield run
            run = ""
        if letter.isalnum():
            run += letter
    if run:
        yield run
