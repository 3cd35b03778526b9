"""What every vector index does, and how one is asked for."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from cem_rag_app.schema import FloatArray

IndexName = Literal["flat", "codes", "hnsw", "ivf", "ivfpq", "rabitq"]
MetricName = Literal["cosine", "l2"]
IntArray = NDArray[np.int64]

FLAT_UP_TO = 10_000
"""Vectors up to which exact search answers within some ten milliseconds on one thread."""

CODES_FROM = 1_000
"""Chunks from which a memory keeps codes instead of vectors: fewer are too few to learn the codes from."""


@dataclass(frozen=True, slots=True)
class IndexParameters:
    """Everything that shapes an index; saved beside it.

    Attributes:
        kind: how vectors are searched.
        metric: ``cosine`` compares unit vectors by their inner product, ``l2`` any vectors by their distance.
        m: links of an HNSW node.
        ef_construction: HNSW candidates while building.
        ef_search: HNSW candidates while searching.
        nlist: IVF cells; 0 takes 4 * sqrt(n).
        nprobe: IVF cells searched.
        pq_m: pieces that ``ivfpq`` cuts a vector in, one code each; must divide the dimension; 0 takes a piece of 4.
        pq_bits: bits of such a code, 4 or 8.
        code_bytes: bytes a vector takes in ``codes``.
        refine_factor: codes of ``ivfpq`` and ``rabitq`` looked at again in 8 bits, as a multiple of k; 0 keeps
            the codes alone.
    """

    kind: IndexName = "flat"
    metric: MetricName = "cosine"
    m: int = 32
    ef_construction: int = 200
    ef_search: int = 128
    nlist: int = 0
    nprobe: int = 32
    pq_m: int = 0
    pq_bits: int = 4
    refine_factor: int = 8
    code_bytes: int = 96

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)


def choose_kind(wanted: str, count: int) -> IndexName:
    """Resolve ``auto`` by size: exact vectors for a small memory, then codes."""
    if wanted == "auto":
        return "flat" if count < CODES_FROM else "codes"
    for kind in ("flat", "codes", "hnsw", "ivf", "ivfpq", "rabitq"):
        if wanted == kind:
            return kind
    raise ValueError(f"no index is called {wanted!r}")


class VectorIndex(Protocol):
    """Vectors at positions 0, 1, 2, ... in the order they were added.

    Under ``cosine`` vectors are float32 with unit rows (I6), and the similarity is their inner product. Under ``l2``
    it is the squared distance, negated, so that more is nearer there too.
    """

    parameters: IndexParameters
    dimension: int

    def __len__(self) -> int:
        """Vectors added."""
        ...

    def add(self, vectors: FloatArray) -> None:
        """Append (n, d) vectors."""
        ...

    def search(
        self, query: FloatArray, k: int, allowed: NDArray[np.bool_] | None = None
    ) -> tuple[IntArray, FloatArray]:
        """Up to k positions and their similarities, best first.

        Args:
            query: (d,) float32, unit.
            k: how many.
            allowed: (n,) mask of the positions that may be returned; None allows all.
        """
        ...

    def vectors(self, positions: IntArray) -> FloatArray:
        """Stored vectors (n, d); approximate where the index keeps codes."""
        ...

    def save(self, path: Path) -> None:
        """Write the index to a file."""
        ...
