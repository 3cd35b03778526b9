"""How alike two texts are, in the space the memory's queries live in."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from cem_rag_app.persona.scoring import Similarity
from cem_rag_app.schema import FloatArray
from graphs.persona.state import PersonaMemory

Encode = Callable[[Sequence[str]], FloatArray]
"""Texts -> (n, d) float32, unit rows."""

CACHE_LIMIT = 20_000
"""Texts kept: both sides of the longest history that is learned from, at most 20 MB with the embedded encoder."""


class EncoderSimilarity:
    """Cosine of an encoder's vectors; each text is encoded once while it stays in the cache."""

    def __init__(self, encode: Encode) -> None:
        self._encode = encode
        self._cache: dict[str, FloatArray] = {}

    def __call__(self, left: Sequence[str], right: Sequence[str], /) -> FloatArray:
        """Return (len(left), len(right)) float32 cosines."""
        if not left or not right:
            return np.zeros((len(left), len(right)), dtype=np.float32)
        return self.vectors(left) @ self.vectors(right).T

    def vectors(self, texts: Sequence[str]) -> FloatArray:
        """(n, d) float32, unit rows."""
        cache = self._cache
        missing = [text for text in dict.fromkeys(texts) if text not in cache]
        fresh = dict(zip(missing, self._encode(missing), strict=True)) if missing else {}
        rows = [fresh[text] if text in fresh else cache[text] for text in texts]
        if len(cache) + len(fresh) > CACHE_LIMIT:
            self._cache = cache = {}
        cache.update(fresh)
        return np.stack(rows)


def memory_similarity(memory: PersonaMemory) -> Similarity:
    """The similarity that a memory's own query encoder gives; the encoder is loaded at the first comparison."""
    return EncoderSimilarity(lambda texts: memory.encoders().query.encode_queries(texts))  # noqa: PLW0108 - loads late
