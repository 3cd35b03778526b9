"""Training side: the same features read from text, to count them and to choose a vocabulary.

`text_features` is the oracle of the compiled reader: a frame of a text has exactly the features of the text.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Iterator

import numpy as np
from numpy.typing import NDArray

from cem_rag_app.cem.symbols.characters import fold_latin
from cem_rag_app.cem.symbols.lookup import WORD_SEED, finish, mix, pair_hash
from cem_rag_app.cem.symbols.types import Integers
from cem_rag_app.cem.teachers.ngrams import WORD_BASE, ngram_keys
from cem_rag_app.schema import FloatArray

_IDEOGRAPHS = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U0001f000-\U0010ffff"
_TOKEN = re.compile(rf"(?P<word>[a-z0-9\u0100-\u1fff\uac00-\ud7af]+|[{_IDEOGRAPHS}])|[ \t\n\r\u00a0\u3000]+")
_FOLDED = {code: int(fold_latin(code)) for code in (*range(65, 91), *range(0xC0, 0x100), *range(0xFF01, 0xFF5F))}

Feature = tuple[str, ...]
"""``(word,)`` or ``(left, right)``."""


def text_features(text: str) -> Iterator[Feature]:
    """Yield the words of a text and the pairs that they make, in order of reading."""
    text = text.translate(_FOLDED)
    before = ""
    end = 0
    for match in _TOKEN.finditer(text):
        if match.start() != end:
            before = ""
        end = match.end()
        word = match["word"]
        if word:
            yield (word,)
            if before:
                yield (before, word)
            before = word


def feature_hash(feature: Feature) -> int:
    """The hash by which the compiled reader knows a feature."""
    states = [_word_state(word) for word in feature]
    return int(finish(states[0]) if len(states) == 1 else pair_hash(*states))


def _word_state(word: str) -> int:
    state = WORD_SEED
    for character in word:
        state = int(mix(state, ord(character)))
    return state


def choose_vocabulary(texts: Iterable[str], *, words: int, pairs: int, least: int = 3) -> list[tuple[Feature, int]]:
    """Choose words by document frequency, pairs by how much more often they stand together than chance has it.

    Args:
        texts: the training texts.
        words: words at most.
        pairs: word pairs at most.
        least: chunks a word must occur in; a pair twice as many.

    Returns:
        ``(feature, document frequency)``, words first, best first.
    """
    words_in: Counter[Feature] = Counter()
    pairs_in: Counter[Feature] = Counter()
    total = 0
    for text in texts:
        total += 1
        for feature in set(text_features(text)):
            if len(feature) == 1:
                words_in[feature] += 1
            elif pairs:
                pairs_in[feature] += 1
        if total % 50_000 == 0:
            # Singletons of a prefix are mostly singletons of the whole, and they are most of the memory.
            for feature in [feature for feature, count in pairs_in.items() if count == 1]:
                del pairs_in[feature]

    def together(feature: Feature) -> float:
        left, right = words_in[feature[:1]], words_in[feature[1:]]
        return pairs_in[feature] * max(0.0, math.log(pairs_in[feature] * total / max(1, left * right)))

    # Sorted by name where counts tie: the order of a set of strings differs from run to run.
    by_count = sorted(words_in.items(), key=lambda item: (-item[1], item[0]))
    chosen = [item for item in by_count[:words] if item[1] >= least]
    enough = [feature for feature, count in pairs_in.items() if count >= 2 * least]
    ranked = sorted(enough, key=lambda feature: (-together(feature), feature))
    return _without_collisions(chosen + [(feature, pairs_in[feature]) for feature in ranked[:pairs]])


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


def choose_tokens(
    texts: Iterable[str], fold: NDArray[np.uint16], *, grams: int, least: int = 3
) -> tuple[Integers, FloatArray]:
    """Keys of the most frequent character n-grams and the share of the texts that each is in, (v,) float32."""
    total: Counter[int] = Counter()
    number = 0
    for number, text in enumerate(texts, start=1):
        total.update(set(ngram_keys(np.frombuffer(text.encode(), dtype=np.uint8), fold).tolist()))
        if number % 50_000 == 0:
            for key in [key for key, count in total.items() if count == 1]:
                del total[key]
    by_count = sorted(total.items(), key=lambda item: (-item[1], item[0]))
    chosen = [(key, count) for key, count in by_count[:grams] if count >= least]
    share = np.array([count for _, count in chosen], dtype=np.float32) / np.float32(max(1, number))
    return np.array([key for key, _ in chosen], dtype=np.int64), share


def token_text(key: int) -> str:
    """The characters of an n-gram; a Latin run, of which only the hash is known, is a blank."""
    codes = [key >> 42, (key >> 21) & 0x1FFFFF, key & 0x1FFFFF]
    return "".join(" " if code >= WORD_BASE else chr(code) for code in codes if code)
