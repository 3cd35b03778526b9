"""The fastest student: a bag of features with learned vectors, a small network behind it. numpy and numba only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cem_rag_app.cem.features import FeatureConfig, FeatureCounts, FeatureReader
from cem_rag_app.cem.pooling import pool_rows
from cem_rag_app.cem.product import multiply
from cem_rag_app.cem.records import CheckpointConfig
from cem_rag_app.cem.students.base import Tensors, UnfitError, check_numbers
from cem_rag_app.cem.symbols.tables import shared_tables
from cem_rag_app.schema import FloatArray
from cem_rag_app.zpkg.dictionary import Dictionary


@dataclass(frozen=True, eq=False)
class BagWeights:
    """Weights of a trained bag.

    ``x = pooled / |pooled|``, then ``x @ projection + bias + relu(x @ inner + inner_bias) @ outer`` (each term where it
    was trained), scaled to length 1.

    Attributes:
        table: (rows, rank) int8, one vector a feature.
        scales: (rows,) float32, what a row's integers are multiplied by.
        projection: (rank, d) float32; None where the table's own columns are the space.
        bias: (d,) float32, added before scaling.
        inner: (rank, h) float32 or None.
        inner_bias: (h,) float32 or None.
        outer: (h, d) float32 or None.
    """

    table: NDArray[np.int8]
    scales: FloatArray
    bias: FloatArray
    projection: FloatArray | None = None
    inner: FloatArray | None = None
    inner_bias: FloatArray | None = None
    outer: FloatArray | None = None

    @property
    def dimension(self) -> int:
        """Width of its vectors."""
        return int(self.bias.size)

    def embed(self, features: FeatureCounts) -> FloatArray:
        """Vectors of chunks from their features: ``(n, d)`` float32, unit rows.

        A chunk without a known feature has the vector of ``bias``.
        """
        pooled: FloatArray = pool_rows(features.bounds, features.indices, features.weights, self.table, self.scales)
        # Chunk by chunk sums and products row by row keep a vector independent of its batch-mates.
        norms = np.sqrt(np.einsum("ij,ij->i", pooled, pooled))
        pooled /= np.maximum(norms, 1e-12)[:, None]
        out = (pooled if self.projection is None else multiply(pooled, self.projection)) + self.bias
        if self.inner is not None and self.inner_bias is not None and self.outer is not None:
            out += multiply(np.maximum(multiply(pooled, self.inner) + self.inner_bias, 0.0), self.outer)
        lengths = np.sqrt(np.einsum("ij,ij->i", out, out))
        silent = lengths < 1e-12
        out /= np.where(silent, 1.0, lengths)[:, None]
        if silent.any():
            out[silent, 0] = 1.0
        return np.ascontiguousarray(out, dtype=np.float32)


@dataclass(frozen=True, eq=False)
class NgramStudent:
    """A bag of features read from frames of any level and any dictionary.

    Attributes:
        reader: finds the features.
        weights: what they mean.
    """

    reader: FeatureReader
    weights: BagWeights

    @property
    def dimension(self) -> int:
        """Width of its vectors."""
        return self.weights.dimension

    def embed_frames(self, frames: Sequence[bytes], dictionary: Dictionary) -> FloatArray:
        """Embed frames, see `Student.embed_frames`."""
        return self.embed(self.read(frames, dictionary))

    def read(self, frames: Sequence[bytes], dictionary: Dictionary) -> FeatureCounts:
        """Parse frames and count their features."""
        return self.reader.read(list(frames), shared_tables(dictionary))

    def embed(self, read: FeatureCounts) -> FloatArray:
        """Run the model on counted features."""
        return self.weights.embed(read)

    def tensors(self) -> Tensors:
        """The vocabulary's hashes and the weights; small matrices as float16."""
        weights = self.weights
        tensors: dict[str, np.ndarray[Any, Any]] = {
            "hashes": self.reader.hashes,
            "table": weights.table,
            "scales": weights.scales,
            "bias": weights.bias.astype(np.float16),
        }
        if self.reader.config.kind == "tokens":
            tensors["fold"] = self.reader.fold
        for name in ("projection", "inner", "inner_bias", "outer"):
            part = getattr(weights, name)
            if part is not None:
                tensors[name] = part.astype(np.float16)
        return tensors


def from_tensors(config: CheckpointConfig, tensors: Tensors) -> NgramStudent:
    """Put a saved bag together again.

    Raises:
        UnfitError: the tensors do not fit one another or the configuration.
    """
    if config.features is None:
        raise UnfitError("the configuration names no features")
    check_numbers(tensors)
    needed = {"hashes", "table", "scales", "bias"} | ({"fold"} if config.features.kind == "tokens" else set())
    missing = needed - set(tensors)
    if missing:
        raise UnfitError(f"the weights lack {', '.join(sorted(missing))}")
    if tensors["hashes"].dtype != np.int64 or tensors["hashes"].ndim != 1 or not tensors["hashes"].all():
        raise UnfitError("hashes is no vocabulary")
    fold = tensors.get("fold", np.zeros(65536, dtype=np.uint16))
    if fold.shape != (65536,) or fold.dtype != np.uint16:
        raise UnfitError("fold is no folding table")
    reader = FeatureReader(tensors["hashes"], FeatureConfig(**config.features.model_dump()), fold)
    table = tensors["table"]
    optional = {name: tensors[name].astype(np.float32) for name in ("inner", "inner_bias", "outer") if name in tensors}
    rank = table.shape[1] if table.ndim == 2 else -1
    width = optional["inner"].size // max(1, rank) if "inner" in optional else 0
    shapes = {
        "table": (reader.size, rank),
        "scales": (reader.size,),
        "projection": (rank, config.dimension),
        "bias": (config.dimension,),
        "inner": (rank, width),
        "inner_bias": (width,),
        "outer": (width, config.dimension),
    }
    for name, shape in shapes.items():
        if name in tensors and tensors[name].shape != shape:
            raise UnfitError(f"{name} has the shape {tensors[name].shape}, not {shape}")
    if "projection" not in tensors and rank != config.dimension:
        raise UnfitError(f"without a projection the table is {rank} wide, not {config.dimension}")
    if table.dtype != np.int8 or len(optional) not in (0, 3):
        raise UnfitError("the weights hold other kinds of numbers than a bag has")
    projection = np.ascontiguousarray(tensors["projection"].astype(np.float32)) if "projection" in tensors else None
    weights = BagWeights(
        table=np.ascontiguousarray(table),
        scales=tensors["scales"].astype(np.float32),
        projection=projection,
        bias=tensors["bias"].astype(np.float32),
        **optional,
    )
    return NgramStudent(reader, weights)
