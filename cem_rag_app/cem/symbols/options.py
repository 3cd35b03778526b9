"""Places in the small integer array that tells the compiled readers what to read."""

from __future__ import annotations

KIND = 0
"""0: words (``symbols.words``); 1: tokens (``symbols.tokens``)."""
EDGES = 1
"""1: the window lives across span borders; 0: it is forgotten there."""
PAIRS = 2
"""1: pairs of neighbouring words are features."""
BUCKETS = 3
"""Rows behind the vocabulary for what is outside of it: letter n-grams of words, or single tokens; 0: dropped."""
PAIR_BUCKETS = 4
"""Rows behind those for pairs of tokens outside the vocabulary."""
VOCABULARY = 5
"""Rows of the vocabulary, so the first row of the buckets."""
OPTIONS = 6
