"""A probe: how much of a passage's meaning can be read off its bytes by the plainest of models.

Signed hashing of byte n-grams into a few thousand columns and one ridge regression onto the teacher's vectors. It is no
model that anyone would ship: it is cheap enough to be fitted anew for every compression, so it shows which compressions
leave something to be learned. Text may be given as well as frames: that is what the probe can do at best.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numba import njit

from cem_rag_app.cem.product import multiply
from cem_rag_app.cem.symbols.types import Bytes, Integer, Integers
from cem_rag_app.cem.teachers.base import unit_rows
from cem_rag_app.errors import SettingsError
from cem_rag_app.schema import FloatArray

COLUMNS = 4096
LONGEST = 4
RIDGES = (0.3, 3.0)
"""Penalties that are tried, in units of the mean diagonal of the features' own products."""
_BLOCK = 4096


@dataclass(frozen=True, eq=False)
class FrameProbe:
    """A fitted probe.

    Attributes:
        weights: (columns, d) float32.
        centre: (columns,) float32, mean features of the training bytes.
        bias: (d,) float32, mean vector of the teacher.
        ridge: the penalty that was chosen.
        self_retrieval: nDCG@10 with which held-out passages find themselves: the teacher's vector is the question.
    """

    weights: FloatArray
    centre: FloatArray
    bias: FloatArray
    ridge: float
    self_retrieval: float

    def encode(self, chunks: Sequence[bytes]) -> FloatArray:
        """Vectors of frames (or of whatever it was fitted on): ``(n, d)`` float32, unit rows."""
        vectors = np.empty((len(chunks), self.bias.size), dtype=np.float32)
        for start in range(0, len(chunks), _BLOCK):
            block = chunks[start : start + _BLOCK]
            features = hash_ngrams(block, self.centre.size) - self.centre
            vectors[start : start + len(block)] = multiply(features, self.weights) + self.bias
        return unit_rows(vectors)


def fit_probe(chunks: Sequence[bytes], vectors: FloatArray, *, held_out: int, columns: int = COLUMNS) -> FrameProbe:
    """Fit a probe; the penalty is chosen by retrieval on the last ``held_out`` of the training bytes themselves.

    Args:
        chunks: frames of passages, or their texts.
        vectors: (n, d) float32, unit rows: the teacher's, of the same passages.
        held_out: how many at the end are not fitted on.
        columns: that n-grams are hashed into; the cost of a fit grows with their square, and beyond.

    Raises:
        SettingsError: not more passages than are held out, or not one vector for each.
    """
    count = len(chunks) - held_out
    if count < 1 or held_out < 1 or len(vectors) != len(chunks):
        raise SettingsError(
            f"A probe cannot be fitted on {len(chunks)} passages, {held_out} held out, and {len(vectors)} vectors.",
            remedy="Give more passages than are held out, and a vector for each.",
        )
    features = hash_ngrams(chunks, columns)
    centre = features[:count].mean(axis=0)
    features -= centre
    bias = vectors[:count].mean(axis=0)
    products = features[:count].T @ features[:count]
    targets = features[:count].T @ (vectors[:count] - bias)
    diagonal = np.arange(columns)
    unit = float(np.trace(products)) / columns or 1.0
    fitted = []
    for ridge in RIDGES:
        penalised = products.copy()
        penalised[diagonal, diagonal] += ridge * unit
        weights = np.linalg.solve(penalised, targets).astype(np.float32)
        guessed = unit_rows(features[count:] @ weights + bias)
        fitted.append(FrameProbe(weights, centre, bias, ridge, finds_itself(vectors[count:], guessed)))
    return max(fitted, key=lambda probe: probe.self_retrieval)


def finds_itself(questions: FloatArray, documents: FloatArray) -> float:
    """Mean nDCG@10 where document ``i`` is the only answer to question ``i``; ties count against it."""
    scores = questions @ documents.T
    rank = (scores >= scores.diagonal()[:, None]).sum(axis=1)
    gains = np.where(rank <= 10, 1.0 / np.log2(rank + 1.0), 0.0)
    return float(gains.mean())


def hash_ngrams(chunks: Sequence[bytes], columns: int = COLUMNS) -> FloatArray:
    """Features: ``(n, columns)`` float32, unit rows (zeros for no bytes): roots of signed counts of 1- to 4-grams."""
    starts = np.zeros(len(chunks) + 1, dtype=np.int64)
    np.cumsum([len(chunk) for chunk in chunks], out=starts[1:])
    out = np.zeros((len(chunks), columns), dtype=np.float32)
    _hash(np.frombuffer(b"".join(chunks), dtype=np.uint8), starts, LONGEST, out)
    return out


@njit(cache=True, nogil=True)
def _hash(source: Bytes, starts: Integers, longest: Integer, out: FloatArray) -> None:
    """FNV-1a of each n-gram, mixed once more, so that its low bits choose a column and another bit a sign."""
    columns = np.uint64(out.shape[1])
    for row in range(starts.size - 1):
        end = starts[row + 1]
        for first in range(starts[row], end):
            state = np.uint64(0xCBF29CE484222325)
            for place in range(first, min(first + longest, end)):
                state = (state ^ np.uint64(source[place])) * np.uint64(0x100000001B3)
                mixed = state ^ (state >> np.uint64(29))
                mixed *= np.uint64(0xBF58476D1CE4E5B9)
                mixed ^= mixed >> np.uint64(32)
                sign = np.float32(1.0) if (mixed >> np.uint64(40)) & np.uint64(1) else np.float32(-1.0)
                out[row, np.int64(mixed % columns)] += sign
        length = np.float32(0.0)
        for column in range(out.shape[1]):
            value = out[row, column]
            length += abs(value)  # the square of its root
            out[row, column] = np.sqrt(value) if value >= 0 else -np.sqrt(-value)
        if length > 0:
            for column in range(out.shape[1]):
                out[row, column] /= np.sqrt(length)
