"""The student in torch, for training only; `export` turns it into the numpy one that is shipped."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor, nn

from cem_rag_app.cem.features import FeatureCounts
from cem_rag_app.cem.students.ngram import BagWeights
from cem_rag_app.schema import FloatArray


class StudentNetwork(nn.Module):
    """Bag of feature vectors, a projection and, with ``hidden``, a gated correction that starts at nothing.

    Args:
        rows: features.
        rank: width of a feature's vector.
        hidden: width of the correction; 0 for none.
        dimension: the teacher's.
        initial: (rows, rank) first vectors, or None for small random ones.
        projection: (rank, dimension) first projection, or None.
    """

    def __init__(
        self,
        rows: int,
        rank: int,
        hidden: int,
        dimension: int,
        initial: FloatArray | None = None,
        projection: FloatArray | None = None,
    ) -> None:
        super().__init__()
        table = torch.randn(rows, rank) * 0.02 if initial is None else torch.from_numpy(initial.astype(np.float32))
        self.bag = nn.EmbeddingBag.from_pretrained(table, freeze=False, mode="sum", include_last_offset=True)
        # How much a feature counts is quickly learned from few occurrences; where it points is not.
        self.log_gain = nn.Parameter(torch.zeros(rows))
        self.projection = nn.Parameter(
            torch.randn(rank, dimension) / math.sqrt(rank)
            if projection is None
            else torch.from_numpy(projection.astype(np.float32))
        )
        self.bias = nn.Parameter(torch.zeros(dimension))
        self.inner = nn.Linear(rank, hidden) if hidden else None
        self.outer = nn.Linear(hidden, dimension, bias=False) if hidden else None
        if self.outer is not None:
            nn.init.zeros_(self.outer.weight)
        self.log_scale = nn.Parameter(torch.tensor(math.log(20.0)))

    def forward(self, indices: Tensor, bounds: Tensor, weights: Tensor) -> Tensor:
        """``(n, dimension)`` unit rows from sparse counts."""
        pooled = nn.functional.normalize(
            self.bag(indices, bounds, per_sample_weights=weights * self.log_gain[indices].exp()), dim=1
        )
        out = pooled @ self.projection + self.bias
        if self.inner is not None and self.outer is not None:
            out = out + self.outer(torch.relu(self.inner(pooled)))
        return nn.functional.normalize(out, dim=1)

    def export(self) -> BagWeights:
        """Round the table to 8 bits a number, with one scale a row."""
        with torch.no_grad():
            table = (self.bag.weight * self.log_gain.exp()[:, None]).numpy()
            scales = (np.abs(table).max(axis=1) / 127.0).astype(np.float16).astype(np.float32)
            scales = np.maximum(scales, np.float32(6e-5))
            parts: dict[str, FloatArray] = {}
            if self.inner is not None and self.outer is not None:
                parts = {
                    "inner": np.ascontiguousarray(self.inner.weight.detach().numpy().T),
                    "inner_bias": self.inner.bias.detach().numpy().copy(),
                    "outer": np.ascontiguousarray(self.outer.weight.detach().numpy().T),
                }
            return BagWeights(
                table=np.clip(np.rint(table / scales[:, None]), -127, 127).astype(np.int8),
                scales=scales,
                projection=self.projection.detach().numpy().copy(),
                bias=self.bias.detach().numpy().copy(),
                **parts,
            )


def select(features: FeatureCounts, chosen: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Rows ``chosen`` of sparse counts: ``(indices int64, bounds int64, weights float32)``."""
    sizes = features.bounds[chosen + 1] - features.bounds[chosen]
    bounds = np.zeros(chosen.size + 1, dtype=np.int64)
    np.cumsum(sizes, out=bounds[1:])
    places = np.arange(bounds[-1]) - np.repeat(bounds[:-1] - features.bounds[chosen], sizes)
    return features.indices[places].astype(np.int64), bounds, features.weights[places]
