"""The first look at every vector: FAISS's fast scan over the coarse plane.

FAISS's ``IndexPQFastScan`` (Andre et al. 2015) adds sixteen-entry tables held in registers. The coarse plane is such a
product code: two neighbouring axes of two bits each make a code of four bits. FAISS keeps its own rearranged copy in
memory, 32 bytes a vector; the file keeps the plain one.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from cem_rag_app.schema import FloatArray
from stores.indexes.base import IntArray
from stores.indexes.codes.plan import OCTET
from stores.indexes.codes.quantizer import CodeArray, Quantizer

SHARED_FROM = 400_000
"""Rows from which two threads share a scan: below, handing half of it over takes longer than it saves."""


class CoarseScan:
    """Searches a coarse plane of (n, c) bytes; made anew when rows are added."""

    def __init__(self, quantizer: Quantizer, coarse: CodeArray) -> None:
        self._axes = OCTET * quantizer.plan.coarse_octets
        self._rows = len(coarse)
        parts = np.array_split(coarse, 2) if len(coarse) >= SHARED_FROM else [coarse]
        self._starts = [0, len(parts[0])][: len(parts)]
        self._parts = [_fast_scan(quantizer, part) for part in parts]
        self._helper = ThreadPoolExecutor(1, thread_name_prefix="coarse-scan") if len(parts) > 1 else None

    def __len__(self) -> int:
        return self._rows

    def best(self, axes: FloatArray, count: int) -> IntArray:
        """Rows of the ``count`` best coarse scores, in no order.

        Args:
            axes: (axes,) the query along the axes of the quantizer.
            count: how many.
        """
        query = np.ascontiguousarray(axes[None, : self._axes], dtype=np.float32)
        if self._helper is None:
            return self._in_part(0, query, count)[0]
        other = self._helper.submit(self._in_part, 1, query, count)
        found = [self._in_part(0, query, count), other.result()]
        rows, scores = (np.concatenate(both) for both in zip(*found, strict=True))
        return rows if len(rows) <= count else rows[np.argpartition(-scores, count)[:count]]

    def _in_part(self, part: int, query: FloatArray, count: int) -> tuple[IntArray, FloatArray]:
        index = self._parts[part]
        # One thread a scan: with two, FAISS spends milliseconds on waking them. OpenMP keeps the number by thread.
        _faiss().omp_set_num_threads(1)
        scores, rows = index.search(query, min(count, int(index.ntotal)))
        found = rows[0] >= 0
        return rows[0][found] + self._starts[part], scores[0][found]


def _fast_scan(quantizer: Quantizer, coarse: CodeArray) -> Any:
    """FAISS's index over rows of the coarse plane."""
    faiss = _faiss()
    axes = OCTET * quantizer.plan.coarse_octets
    plain = faiss.IndexPQ(axes, axes // 2, 4, faiss.METRIC_INNER_PRODUCT)
    levels = quantizer.coarse_levels()
    code = np.arange(16)
    pairs = np.stack((levels[0::2][:, code & 3], levels[1::2][:, code >> 2]), axis=2)
    faiss.copy_array_to_vector(np.ascontiguousarray(pairs, dtype=np.float32).ravel(), plain.pq.centroids)
    faiss.copy_array_to_vector(np.ascontiguousarray(coarse).ravel(), plain.codes)
    plain.ntotal, plain.is_trained = len(coarse), True
    return faiss.IndexPQFastScan(plain)


def _faiss() -> Any:
    import faiss

    return faiss  # its stubs lack this way of making one index of another
