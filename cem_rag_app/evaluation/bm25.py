"""Okapi BM25 over :func:`cem_rag_app.lexical.terms`, exact, in numpy.

Robertson & Zaragoza, *The Probabilistic Relevance Framework: BM25 and Beyond* (2009), with Lucene's idf, which
is never negative: ``ln(1 + (N - df + 0.5) / (df + 0.5))``.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from cem_rag_app.lexical import terms

Postings = tuple[NDArray[np.int32], NDArray[np.float32]]


class Bm25:
    """An inverted index of impact scores over a fixed list of texts.

    Args:
        texts: the documents, in the order :meth:`scores` reports them.
        k1: saturation of term frequency.
        b: strength of length normalisation.
    """

    def __init__(self, texts: Sequence[str], *, k1: float = 1.2, b: float = 0.75) -> None:
        self._count = len(texts)
        found: dict[str, tuple[list[int], list[int]]] = {}
        lengths = np.zeros(self._count, dtype=np.float32)
        for number, text in enumerate(texts):
            words = terms(text)
            lengths[number] = len(words)
            for word, frequency in Counter(words).items():
                documents, frequencies = found.setdefault(word, ([], []))
                documents.append(number)
                frequencies.append(frequency)
        average = float(lengths.mean()) if self._count and lengths.any() else 1.0
        norms = (k1 * (1 - b + b * lengths / average)).astype(np.float32)
        self._postings: dict[str, Postings] = {}
        for word, (documents, frequencies) in found.items():
            where = np.asarray(documents, dtype=np.int32)
            frequency_of = np.asarray(frequencies, dtype=np.float32)
            idf = np.log1p((self._count - len(where) + 0.5) / (len(where) + 0.5))
            impact = idf * frequency_of * (k1 + 1) / (frequency_of + norms[where])
            self._postings[word] = (where, impact.astype(np.float32))

    def scores(self, query: str) -> NDArray[np.float32]:
        """Return every document's score, shape (n,), float32; a repeated query term counts each time."""
        totals = np.zeros(self._count, dtype=np.float32)
        for word in terms(query):
            posting = self._postings.get(word)
            if posting is not None:
                totals[posting[0]] += posting[1]
        return totals
