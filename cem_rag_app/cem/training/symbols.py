"""The transformer over patches while it learns; what is shipped of it is `students.symbols`."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from cem_rag_app.cem.patches import Patches, PatchReader
from cem_rag_app.cem.records import SymbolsRecord
from cem_rag_app.cem.students.symbols import SymbolsStudent
from cem_rag_app.cem.students.transformer import PatchTransformer
from cem_rag_app.cem.symbols.tables import shared_tables
from cem_rag_app.cem.training.base import FrameSet, Rows, Tell
from cem_rag_app.cem.training.config import SymbolsConfig, TrainingConfig
from cem_rag_app.cem.training.data import TrainingData
from cem_rag_app.cem.training.feature_space import principal_vectors, word_importance
from cem_rag_app.cem.training.vocabulary import choose_vocabulary, vocabulary_hashes
from cem_rag_app.schema import FloatArray

_BLOCK = 8192
"""Frames read at a time."""


def prepare(config: TrainingConfig, data: TrainingData, tell: Tell) -> SymbolsTrainable:
    """Choose the words, ask the teacher for each alone, and read the patches of the training frames."""
    numbers = config.symbols
    tell(0, 0, "choosing words")
    vocabulary = choose_vocabulary(data.corpus, words=numbers.words, pairs=0)
    reader = PatchReader(vocabulary_hashes(word for word, _ in vocabulary), numbers.buckets, numbers.joined)
    tell(0, 0, "reading patches")
    patches = read_patches(reader, data.frames)
    tell(0, 0, "first vectors of words")
    alone = data.cache.encode([" ".join(word) for word, _ in vocabulary])
    importance = word_importance([count for _, count in vocabulary], len(data.corpus))
    initial, projection = principal_vectors(alone, importance, reader.size, numbers.width, config.seed)
    torch.manual_seed(config.seed)
    return SymbolsTrainable(reader, patches, PatchNetwork(numbers, data.dimension, initial, projection), numbers)


class PatchNetwork(nn.Module):
    """A table of words and the transformer over it.

    Args:
        numbers: of the view.
        dimension: the teacher's.
        initial: (rows, width) first vectors of the words.
        projection: (width, dimension) where they lie in the teacher's space.
    """

    def __init__(self, numbers: SymbolsConfig, dimension: int, initial: FloatArray, projection: FloatArray) -> None:
        super().__init__()
        table = torch.from_numpy(initial.astype(np.float32))
        self.table = nn.EmbeddingBag.from_pretrained(table, freeze=False, mode="sum", include_last_offset=True)
        # How much a word counts is quickly learned from few occurrences; where it points is not.
        self.log_gain = nn.Parameter(torch.zeros(len(initial)))
        self.transformer = PatchTransformer(numbers.width, numbers.layers, numbers.heads, numbers.hidden, dimension)
        with torch.no_grad():
            self.transformer.bag.weight.copy_(torch.from_numpy(projection.T.copy()))

    def forward(self, indices: Tensor, entries: Tensor, weights: Tensor, lengths: Tensor) -> Tensor:
        """``(n, dimension)`` unit rows from patches, see `Patches`."""
        patches = self.table(indices, entries, per_sample_weights=weights * self.log_gain[indices].exp())
        found: Tensor = self.transformer(patches, lengths)
        return found

    def rounded(self) -> tuple[np.ndarray[Any, np.dtype[np.int8]], FloatArray]:
        """The table in 8 bits a number, with one scale a row."""
        with torch.no_grad():
            table = (self.table.weight * self.log_gain.exp()[:, None]).cpu().numpy()
        scales = (np.abs(table).max(axis=1) / 127.0).astype(np.float16).astype(np.float32)
        scales = np.maximum(scales, np.float32(6e-5))
        return np.clip(np.rint(table / scales[:, None]), -127, 127).astype(np.int8), scales


@dataclass(eq=False)
class SymbolsTrainable:
    """The network as the loop wants it.

    Attributes:
        reader: finds the patches.
        patches: of the training frames.
        module: the network.
        numbers: of the view.
    """

    reader: PatchReader
    patches: Patches
    module: PatchNetwork
    numbers: SymbolsConfig

    def batch(self, rows: Rows, generator: np.random.Generator | None) -> dict[str, Tensor]:
        """Patches of passages, some of their words hidden."""
        chosen = self.patches.select(rows)
        weights = chosen.weights
        if self.numbers.word_dropout and generator is not None:
            weights = weights * (generator.random(weights.size, dtype=np.float32) >= self.numbers.word_dropout)
        return {
            "indices": torch.from_numpy(chosen.indices.astype(np.int64)),
            "entries": torch.from_numpy(chosen.entries),
            "weights": torch.from_numpy(weights),
            "lengths": torch.from_numpy(chosen.lengths),
        }

    def parameter_groups(self) -> list[dict[str, Any]]:
        """The table at a rate of its own."""
        table = self.module.table.weight
        quick = [parameter for parameter in self.module.parameters() if parameter is not table]
        return [
            {"params": quick, "share": 1.0},
            {"params": [table], "share": self.numbers.table_rate, "decay": False},
        ]

    def export(self) -> SymbolsStudent:
        """The network rounded: 8 bits for the table, float16 for the rest."""
        table, scales = self.module.rounded()
        network = copy.deepcopy(self.module.transformer).cpu()
        with torch.no_grad():
            for parameter in network.parameters():
                parameter.copy_(parameter.half().float())
        return SymbolsStudent(self.reader, table, scales, network)

    def record(self) -> dict[str, Any]:
        """What ``config.json`` says of the network."""
        numbers = self.numbers
        shape = SymbolsRecord(
            buckets=numbers.buckets,
            joined=numbers.joined,
            width=numbers.width,
            layers=numbers.layers,
            heads=numbers.heads,
            hidden=numbers.hidden,
        )
        return {"format": "cem-symbols", "symbols": shape}


def read_patches(reader: PatchReader, frames: FrameSet) -> Patches:
    """Patches of frames of several dictionaries, in the frames' order."""
    parts: list[Patches] = []
    numbers: list[Rows] = []
    for dictionary, rows in frames.parts():
        tables = shared_tables(dictionary)
        for start in range(0, rows.size, _BLOCK):
            block = rows[start : start + _BLOCK]
            parts.append(reader.read([frames.frames[row] for row in block], tables))
            numbers.append(block)
    together = Patches(
        bounds=_ends(parts, "bounds"),
        entries=_ends(parts, "entries"),
        indices=np.concatenate([part.indices for part in parts]),
        weights=np.concatenate([part.weights for part in parts]),
    )
    order = np.concatenate(numbers)
    return together if np.array_equal(order, np.arange(order.size)) else together.select(np.argsort(order))


def _ends(parts: list[Patches], name: str) -> np.ndarray[Any, np.dtype[np.int64]]:
    sizes = np.concatenate([np.diff(getattr(part, name)) for part in parts])
    return np.concatenate([np.zeros(1, dtype=np.int64), np.cumsum(sizes)])
