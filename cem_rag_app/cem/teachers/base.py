"""What every text encoder promises, and the two helpers they share.

A *teacher* reads text. A student (``cem_rag_app.cem.encoder``) reads compressed bytes and lands in the same space,
so a query, which is always text (invariant I4), is encoded by the teacher and compared with the student's vectors.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Protocol, runtime_checkable

import numpy as np

from cem_rag_app.schema import FloatArray


@runtime_checkable
class TextEncoder(Protocol):
    """Text to unit vectors.

    ``name`` is the name `load_teacher` takes; ``dimension`` is the width of every vector. A text without content
    (``""``) has a unit vector too: every row can go into an index of inner products.
    """

    @property
    def name(self) -> str:
        """The name `load_teacher` takes."""

    @property
    def dimension(self) -> int:
        """Width of every vector."""

    def encode_queries(self, texts: Sequence[str]) -> FloatArray:
        """Encode questions: ``(n, dimension)`` float32, unit rows."""

    def encode_documents(self, texts: Sequence[str]) -> FloatArray:
        """Encode passages: ``(n, dimension)`` float32, unit rows."""


@runtime_checkable
class IdentifiedEncoder(TextEncoder, Protocol):
    """A text encoder that says exactly which space it makes, so that its vectors can be kept."""

    @property
    def revision(self) -> str:
        """Fingerprint of the weights."""

    @property
    def pooling(self) -> str:
        """How token vectors become one vector."""


def unit_rows(vectors: FloatArray) -> FloatArray:
    """Scale every row of ``(n, d)`` to length 1; a row of zeros becomes the first basis vector.

    The zero row has to become *something* of length 1 (I6). One fixed direction keeps it deterministic.
    """
    vectors = np.ascontiguousarray(vectors, dtype=np.float32)
    norms = np.sqrt(np.einsum("ij,ij->i", vectors, vectors, dtype=np.float64))
    empty = norms < 1e-12
    unit: FloatArray = (vectors / np.where(empty, 1.0, norms)[:, None]).astype(np.float32)
    if empty.any():
        unit[empty] = 0.0
        unit[empty, 0] = 1.0
    return unit


def in_length_order(
    texts: Sequence[str], dimension: int, batch_size: int, encode: Callable[[list[str]], FloatArray]
) -> FloatArray:
    """Encode ``texts`` in batches of similar length, and return the rows in the callers' order.

    Padding a short text to the longest of its batch is work thrown away; sorting first halves the time on mixed
    lengths. Rows come back as ``(n, dimension)`` float32.
    """
    out = np.empty((len(texts), dimension), dtype=np.float32)
    order = sorted(range(len(texts)), key=lambda i: len(texts[i]), reverse=True)
    for rows in _batches(order, batch_size):
        out[rows] = encode([texts[i] for i in rows])
    return out


def _batches(order: list[int], size: int) -> Iterator[list[int]]:
    for start in range(0, len(order), size):
        yield order[start : start + size]
