"""The bag of n-grams while it learns; what is shipped of it is `students.ngram`."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from cem_rag_app.cem.features import FeatureCounts, FeatureReader
from cem_rag_app.cem.records import FeatureRecord
from cem_rag_app.cem.students.ngram import BagWeights, NgramStudent
from cem_rag_app.cem.symbols.tables import shared_tables
from cem_rag_app.cem.training.base import FrameSet, Rows, Tell
from cem_rag_app.cem.training.config import TrainingConfig
from cem_rag_app.cem.training.data import TrainingData
from cem_rag_app.cem.training.feature_space import first_vectors, token_space, word_space
from cem_rag_app.schema import FloatArray


def prepare(config: TrainingConfig, data: TrainingData, tell: Tell) -> NgramTrainable:
    """Choose the features, ask the teacher for each alone, and read those of the training frames."""
    tell(0, 0, "choosing features")
    space = (word_space if config.language == "en" else token_space)(config.ngram, data.corpus)
    tell(0, 0, "reading features")
    features = read_features(space.reader, data.frames)
    tell(0, 0, "first vectors of features")
    initial, projection = first_vectors(space, data.cache.encode(space.names), config.ngram.rank, config.seed)
    torch.manual_seed(config.seed)
    network = BagNetwork(len(initial), initial.shape[1], config.ngram.hidden, data.dimension, initial, projection)
    return NgramTrainable(space.reader, features, network, config.ngram.feature_dropout, config.ngram.table_rate)


@dataclass(eq=False)
class NgramTrainable:
    """A bag as the loop wants it.

    Attributes:
        reader: finds the features.
        features: of the training frames.
        module: the network.
        dropout: share of features hidden from a step.
        table_rate: learning rate of the features' vectors, as a share of the others'.
    """

    reader: FeatureReader
    features: FeatureCounts
    module: BagNetwork
    dropout: float = 0.0
    table_rate: float = 1.0

    def batch(self, rows: Rows, generator: np.random.Generator | None) -> dict[str, Tensor]:
        """Sparse counts of passages, some of them hidden."""
        indices, bounds, weights = select(self.features, rows)
        if self.dropout and generator is not None:
            weights = weights * (generator.random(weights.size, dtype=np.float32) >= self.dropout)
        parts = {"indices": indices, "bounds": bounds, "weights": weights}
        return {name: torch.from_numpy(part) for name, part in parts.items()}

    def parameter_groups(self) -> list[dict[str, Any]]:
        """The table at a rate of its own."""
        table = self.module.bag.weight
        quick = [parameter for parameter in self.module.parameters() if parameter is not table]
        return [{"params": quick, "share": 1.0}, {"params": [table], "share": self.table_rate}]

    def export(self) -> NgramStudent:
        """The network rounded."""
        return NgramStudent(self.reader, self.module.export())

    def record(self) -> dict[str, Any]:
        """What ``config.json`` says of a bag."""
        features = self.reader.config
        return {"format": "cem-ngram", "features": FeatureRecord(**vars(features))}


class BagNetwork(nn.Module):
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
            table = _numpy(self.bag.weight * self.log_gain.exp()[:, None])
        scales = (np.abs(table).max(axis=1) / 127.0).astype(np.float16).astype(np.float32)
        scales = np.maximum(scales, np.float32(6e-5))
        parts: dict[str, FloatArray] = {}
        if self.inner is not None and self.outer is not None:
            parts = {
                "inner": np.ascontiguousarray(_numpy(self.inner.weight).T),
                "inner_bias": _numpy(self.inner.bias),
                "outer": np.ascontiguousarray(_numpy(self.outer.weight).T),
            }
        return BagWeights(
            table=np.clip(np.rint(table / scales[:, None]), -127, 127).astype(np.int8),
            scales=scales,
            projection=_numpy(self.projection),
            bias=_numpy(self.bias),
            **parts,
        )


def read_features(reader: FeatureReader, frames: FrameSet) -> FeatureCounts:
    """Features of frames of several dictionaries, in the frames' order."""
    parts: list[FeatureCounts] = []
    numbers: list[Rows] = []
    for dictionary, rows in frames.parts():
        parts.append(reader.read([frames.frames[row] for row in rows], shared_tables(dictionary)))
        numbers.append(rows)
    sizes = np.concatenate([np.diff(part.bounds) for part in parts])
    together = FeatureCounts(
        bounds=np.concatenate([np.zeros(1, dtype=np.int64), np.cumsum(sizes)]),
        indices=np.concatenate([part.indices for part in parts]),
        weights=np.concatenate([part.weights for part in parts]),
    )
    order = np.concatenate(numbers)
    if np.array_equal(order, np.arange(order.size)):
        return together
    indices, bounds, weights = select(together, np.argsort(order))
    return FeatureCounts(bounds, indices.astype(np.int32), weights)


def select(features: FeatureCounts, chosen: Rows) -> tuple[Rows, Rows, FloatArray]:
    """Rows ``chosen`` of sparse counts: ``(indices int64, bounds int64, weights float32)``."""
    sizes = features.bounds[chosen + 1] - features.bounds[chosen]
    bounds = np.zeros(chosen.size + 1, dtype=np.int64)
    np.cumsum(sizes, out=bounds[1:])
    places = np.arange(bounds[-1]) - np.repeat(bounds[:-1] - features.bounds[chosen], sizes)
    return features.indices[places].astype(np.int64), bounds, features.weights[places]


def _numpy(tensor: Tensor) -> FloatArray:
    array: FloatArray = tensor.detach().cpu().numpy().copy()
    return array
