"""The first look at every vector: FAISS's fast scan over the coarse plane.

FAISS's ``IndexPQFastScan`` (Andre et al. 2015) adds sixteen-entry tables held in registers. The coarse plane is such a
product code: two neighbouring axes of two bits each make a code of four bits. FAISS keeps its own rearranged copy in
memory, 32 bytes a vector; the file keeps the plain one.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from cem_rag_app.schema import FloatArray
from stores.indexes.base import IntArray
from stores.indexes.codes.plan import OCTET
from stores.indexes.codes.quantizer import CodeArray, Quantizer


class CoarseScan:
    """Searches a coarse plane of (n, c) bytes; made anew when rows are added."""

    def __init__(self, quantizer: Quantizer, coarse: CodeArray) -> None:
        faiss = _faiss()
        self._axes = OCTET * quantizer.plan.coarse_octets
        plain = faiss.IndexPQ(self._axes, self._axes // 2, 4, faiss.METRIC_INNER_PRODUCT)
        levels = quantizer.coarse_levels()
        code = np.arange(16)
        pairs = np.stack((levels[0::2][:, code & 3], levels[1::2][:, code >> 2]), axis=2)
        faiss.copy_array_to_vector(np.ascontiguousarray(pairs, dtype=np.float32).ravel(), plain.pq.centroids)
        faiss.copy_array_to_vector(np.ascontiguousarray(coarse).ravel(), plain.codes)
        plain.ntotal, plain.is_trained = len(coarse), True
        self._index: Any = faiss.IndexPQFastScan(plain)

    def __len__(self) -> int:
        return int(self._index.ntotal)

    def best(self, axes: FloatArray, count: int) -> IntArray:
        """Rows of the ``count`` best coarse scores, in no order.

        Args:
            axes: (axes,) the query along the axes of the quantizer.
            count: how many.
        """
        # One thread a query: with two, FAISS spends milliseconds on waking them. OpenMP keeps the number by thread.
        _faiss().omp_set_num_threads(1)
        query = np.ascontiguousarray(axes[None, : self._axes], dtype=np.float32)
        _, rows = self._index.search(query, min(count, len(self)))
        found: IntArray = rows[0][rows[0] >= 0]
        return found


def _faiss() -> Any:
    import faiss

    return faiss  # its stubs lack this way of making one index of another
