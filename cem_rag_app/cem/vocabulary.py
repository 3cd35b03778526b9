"""Training side: the same features read from text, to count them and to choose a vocabulary.

`text_features` is the oracle of the compiled reader: a frame of a text has exactly the features of the text.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Iterator

import numpy as np

from cem_rag_app.cem.symbols.characters import fold
from cem_rag_app.cem.symbols.features import WORD_SEED, finish, gram_hash, mix, pair_hash
from cem_rag_app.cem.symbols.fse import Integers

_IDEOGRAPHS = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U0001f000-\U0010ffff"
_TOKEN = re.compile(
    rf"(?P<word>[a-z0-9\u0100-\u1fff\uac00-\ud7af]+)|(?P<ideographs>[{_IDEOGRAPHS}]+)|(?P<space>[ \t\n\r\u00a0\u3000]+)"
)
_FOLDED = {
    code: int(fold(code)) for code in (*range(65, 91), *range(0xC0, 0x100), *range(0xFF01, 0xFF5F))
}

Feature = tuple[str, ...]
"""``("w", word)``, ``("p", left, right)`` or ``("g", ideographs)``."""


def text_features(text: str, longest_gram: int, pairs: bool) -> Iterator[Feature]:
    """Yield the features of a text, in order of reading."""
    text = text.translate(_FOLDED)
    before = ""
    end = 0
    for match in _TOKEN.finditer(text):
        if match.start() != end:
            before = ""
        end = match.end()
        word = match["word"]
        if word:
            yield ("w", word)
            if pairs and before:
                yield ("p", before, word)
            before = word
        elif match["ideographs"]:
            run = match["ideographs"]
            for index in range(len(run)):
                for length in range(1, min(longest_gram, index + 1) + 1):
                    yield ("g", run[index + 1 - length : index + 1])
            before = ""


def feature_hash(feature: Feature) -> int:
    """The hash by which the compiled reader knows a feature."""
    if feature[0] == "g":
        codes = [0, 0, 0, *(ord(character) for character in feature[1])]
        return int(gram_hash(codes[-3], codes[-2], codes[-1], len(feature[1])))
    if feature[0] == "w":
        return int(finish(_word_state(feature[1])))
    return int(pair_hash(_word_state(feature[1]), _word_state(feature[2])))


def _word_state(word: str) -> int:
    state = WORD_SEED
    for character in word:
        state = int(mix(state, ord(character)))
    return state


def choose_vocabulary(
    texts: Iterable[str], *, words: int, pairs: int, grams: int, longest_gram: int, least: int = 3
) -> list[tuple[Feature, int]]:
    """Choose features by document frequency; pairs by how much more often they stand together than chance has it.

    Args:
        texts: the training texts.
        words: words at most.
        pairs: word pairs at most; 0 counts none.
        grams: ideograph n-grams at most.
        longest_gram: their greatest length.
        least: chunks a feature must occur in.

    Returns:
        ``(feature, document frequency)``, most frequent first within each kind.
    """
    kinds: dict[str, Counter[Feature]] = {"w": Counter(), "p": Counter(), "g": Counter()}
    total = 0
    for text in texts:
        total += 1
        for feature in set(text_features(text, longest_gram, pairs > 0)):
            kinds[feature[0]][feature] += 1
        if total % 50_000 == 0:
            # Singletons of a prefix are mostly singletons of the whole, and they are most of the memory.
            for counter in kinds.values():
                for feature in [feature for feature, count in counter.items() if count == 1]:
                    del counter[feature]
    word_counts = kinds["w"]

    def together(feature: Feature) -> float:
        left, right = word_counts[("w", feature[1])], word_counts[("w", feature[2])]
        count = kinds["p"][feature]
        surprise = math.log(count * total / max(1, left * right))
        return count * max(0.0, surprise)

    chosen: list[tuple[Feature, int]] = []
    chosen += [item for item in word_counts.most_common(words) if item[1] >= least]
    ranked = sorted(
        (feature for feature, count in kinds["p"].items() if count >= 2 * least), key=together, reverse=True
    )
    chosen += [(feature, kinds["p"][feature]) for feature in ranked[:pairs]]
    chosen += [item for item in kinds["g"].most_common(grams) if item[1] >= least]
    return _without_collisions(chosen)


def _without_collisions(chosen: list[tuple[Feature, int]]) -> list[tuple[Feature, int]]:
    seen: set[int] = set()
    kept = []
    for feature, count in chosen:
        key = feature_hash(feature)
        if key not in seen:
            seen.add(key)
            kept.append((feature, count))
    return kept


def vocabulary_hashes(features: Iterable[Feature]) -> Integers:
    """(v,) int64 hashes, in order."""
    return np.array([feature_hash(feature) for feature in features], dtype=np.int64)
