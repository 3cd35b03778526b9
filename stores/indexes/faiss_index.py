"""Vector indexes by FAISS, all kinds behind one class: what differs is the recipe and the search parameters."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cem_rag_app.errors import DimensionError, MemoryCorruptError
from cem_rag_app.schema import FloatArray
from stores.indexes.base import IndexName, IndexParameters, IntArray

TRAIN_FROM = 1_000
"""Vectors that cells and codes are learned from at least; below, a memory is searched exactly."""

EXACT_UP_TO = 0.1
"""Share of allowed positions up to which they are scanned exactly: a graph walked under a strict filter loses its
way (recall .47 at 1 %), while a scan of so few is exact and quick."""

_CODED = ("ivfpq", "rabitq")
_POINTS_PER_CELL = 39  # FAISS warns below; fewer cells are taken instead


class FaissIndex:
    """One FAISS index; see :class:`stores.indexes.base.VectorIndex`. Not thread-safe while ``add`` runs.

    Args:
        dimension: of the vectors.
        parameters: kind and knobs.
        training: (n, d) vectors that cells and codes are learned from; needed by ``ivf``, ``ivfpq``, ``rabitq``.
    """

    def __init__(self, dimension: int, parameters: IndexParameters, training: FloatArray | None = None) -> None:
        faiss = _faiss()
        self.dimension = dimension
        self.parameters = parameters
        count = 0 if training is None else len(training)
        metric = faiss.METRIC_L2 if parameters.metric == "l2" else faiss.METRIC_INNER_PRODUCT
        self._index: Any = faiss.index_factory(dimension, _recipe(parameters, dimension, count), metric)
        if parameters.kind == "hnsw":
            self._index.hnsw.efConstruction = parameters.ef_construction
        if not self._index.is_trained:
            if training is None or count < TRAIN_FROM:
                raise DimensionError(
                    f"An index of kind {parameters.kind!r} is learned from at least {TRAIN_FROM} vectors, not {count}.",
                    remedy="Use the kind 'flat' or 'auto' for a memory of this size.",
                )
            self._index.train(np.ascontiguousarray(training, dtype=np.float32))
        self._prepare()

    @classmethod
    def load(cls, path: Path, parameters: IndexParameters) -> FaissIndex:
        """Read an index file that the caller has checked against its checksum.

        Raises:
            MemoryCorruptError: FAISS cannot read it, or it is of another kind.
        """
        faiss = _faiss()
        index = cls.__new__(cls)
        try:
            index._index = faiss.read_index(str(path))
        except RuntimeError as error:
            raise MemoryCorruptError(
                f"{path} is no index ({error}).", remedy="It is rebuilt from the frames."
            ) from error
        index.parameters = parameters
        index.dimension = index._index.d
        index._prepare()
        return index

    def __len__(self) -> int:
        """Vectors added."""
        return int(self._index.ntotal)

    def add(self, vectors: FloatArray) -> None:
        """Append (n, d) unit vectors.

        Raises:
            DimensionError: they have another width.
        """
        if vectors.ndim != 2 or vectors.shape[1] != self.dimension:
            raise DimensionError(
                f"Vectors of shape {vectors.shape} do not fit an index of dimension {self.dimension}.",
                remedy="Use the encoder that the memory was made with.",
            )
        self._index.add(np.ascontiguousarray(vectors, dtype=np.float32))

    def search(
        self, query: FloatArray, k: int, allowed: NDArray[np.bool_] | None = None
    ) -> tuple[IntArray, FloatArray]:
        """Up to k positions and similarities, best first; see the protocol."""
        count = len(self) if allowed is None else int(allowed.sum())
        k = min(k, count)
        if k < 1:
            return np.empty(0, dtype=np.int64), np.empty(0, dtype=np.float32)
        if allowed is not None and count < len(self) * EXACT_UP_TO:
            return self._scan(query, k, np.flatnonzero(allowed))
        selector = None if allowed is None else _selector(allowed)
        scores, positions = self._index.search(
            np.ascontiguousarray(query[None, :], dtype=np.float32), k, params=self._search_parameters(selector)
        )
        found = positions[0] >= 0
        similarities = -scores[0][found] if self.parameters.metric == "l2" else scores[0][found]
        return positions[0][found].astype(np.int64), similarities.astype(np.float32)

    def vectors(self, positions: IntArray) -> FloatArray:
        """Stored vectors (n, d)."""
        if not len(positions):
            return np.empty((0, self.dimension), dtype=np.float32)
        rows: FloatArray = self._index.reconstruct_batch(np.ascontiguousarray(positions, dtype=np.int64))
        return rows

    def save(self, path: Path) -> None:
        """Write the index to a file; making it durable is the caller's business."""
        _faiss().write_index(self._index, str(path))

    def _prepare(self) -> None:
        # So that vectors can be read back by position; a refining index reads them from its second stage.
        if self.parameters.kind == "ivf" or (self.parameters.kind in _CODED and not self.parameters.refine_factor):
            self._index.make_direct_map()

    def _scan(self, query: FloatArray, k: int, positions: IntArray) -> tuple[IntArray, FloatArray]:
        rows = self.vectors(positions)
        similarities = -np.square(rows - query).sum(axis=1) if self.parameters.metric == "l2" else rows @ query
        order = np.argsort(-similarities, kind="stable")[:k]
        return positions[order], similarities[order].astype(np.float32)

    def _search_parameters(self, selector: Any) -> Any:
        faiss = _faiss()
        chosen = self.parameters
        if chosen.kind == "flat":
            return faiss.SearchParameters(sel=selector)
        if chosen.kind == "hnsw":
            return faiss.SearchParametersHNSW(sel=selector, efSearch=chosen.ef_search)
        cells = faiss.SearchParametersIVF(sel=selector, nprobe=chosen.nprobe)
        if chosen.kind == "ivf" or not chosen.refine_factor:
            return cells
        return faiss.IndexRefineSearchParameters(k_factor=float(chosen.refine_factor), base_index_params=cells)


def _recipe(parameters: IndexParameters, dimension: int, count: int) -> str:
    """The FAISS factory string (https://github.com/facebookresearch/faiss/wiki/The-index-factory)."""
    cells = parameters.nlist or max(1, min(int(4 * math.sqrt(count)), count // _POINTS_PER_CELL))
    refine = ",Refine(SQ8)" if parameters.refine_factor else ""
    recipes: dict[IndexName, str] = {
        "flat": "Flat",
        "hnsw": f"HNSW{parameters.m},Flat",
        "ivf": f"IVF{cells},Flat",
        "ivfpq": f"IVF{cells},{_product_code(parameters, dimension)}{refine}",
        "rabitq": f"IVF{cells},RaBitQ{refine}",
    }
    return recipes[parameters.kind]


def _product_code(parameters: IndexParameters, dimension: int) -> str:
    """Codes of 4 bits lie in blocks that are compared 32 at a time ("fast scan"); those of 8 bits do not fit one."""
    pieces = parameters.pq_m or _subquantizers(dimension)
    if dimension % pieces or parameters.pq_bits not in (4, 8):
        raise DimensionError(
            f"Vectors of dimension {dimension} cannot be cut in {pieces} pieces of {parameters.pq_bits} bits each.",
            remedy="Choose a pq_m that divides the dimension, and 4 or 8 bits.",
        )
    return f"PQ{pieces}x4fs" if parameters.pq_bits == 4 else f"PQ{pieces}x8"


def _subquantizers(dimension: int) -> int:
    """The largest divisor of the dimension up to a quarter of it: 4 dimensions or more share a 4-bit code."""
    return max(divisor for divisor in range(1, max(1, dimension // 4) + 1) if dimension % divisor == 0)


def _selector(allowed: NDArray[np.bool_]) -> Any:
    bitmap = np.packbits(allowed, bitorder="little")
    selector = _faiss().IDSelectorBitmap(bitmap)
    selector.kept_alive = bitmap  # FAISS keeps a pointer into it, not a reference
    return selector


def _faiss() -> Any:
    import faiss

    # One thread a query: with two, FAISS spends milliseconds on waking them. OpenMP keeps the number by calling thread,
    # so it is said again wherever FAISS is called.
    faiss.omp_set_num_threads(1)
    return faiss  # its stubs lack most of what its SWIG classes have
