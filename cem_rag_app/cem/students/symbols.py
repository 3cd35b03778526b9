"""The default student: words read from a frame's symbols, cut into patches, seen in their order by a transformer."""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from cem_rag_app.cem.patches import Patches, PatchReader
from cem_rag_app.cem.pooling import pool_rows
from cem_rag_app.cem.records import CheckpointConfig
from cem_rag_app.cem.students.base import Tensors, UnfitError, check_numbers
from cem_rag_app.cem.students.transformer import PatchTransformer
from cem_rag_app.cem.symbols.tables import shared_tables
from cem_rag_app.schema import FloatArray
from cem_rag_app.zpkg.dictionary import Dictionary

_NETWORK = "network."
"""What the names of the transformer's tensors begin with."""


class SymbolsStudent:
    """Reads frames of any level and any dictionary.

    Args:
        reader: finds the patches.
        table: (rows, width) int8, a vector a word and a piece of a word.
        scales: (rows,) float32, what a row's integers are multiplied by.
        network: what is made of the patches.
    """

    def __init__(
        self, reader: PatchReader, table: NDArray[np.int8], scales: FloatArray, network: PatchTransformer
    ) -> None:
        self.reader = reader
        self.table = table
        self.scales = scales
        self.network = network.eval().requires_grad_(False)
        self._device = next(network.parameters()).device

    @property
    def dimension(self) -> int:
        """Width of its vectors."""
        return self.network.dimension

    def to(self, device: str) -> SymbolsStudent:
        """The same student with its model on another torch device; frames are still parsed on the processor."""
        return SymbolsStudent(self.reader, self.table, self.scales, deepcopy(self.network).to(device))

    def embed_frames(self, frames: Sequence[bytes], dictionary: Dictionary) -> FloatArray:
        """Embed frames, see `Student.embed_frames`."""
        return self.embed(self.read(frames, dictionary))

    def read(self, frames: Sequence[bytes], dictionary: Dictionary) -> Patches:
        """Parse frames and cut their words into patches."""
        return self.reader.read(frames, shared_tables(dictionary))

    def embed(self, read: Patches) -> FloatArray:
        """Run the model on patches."""
        vectors = pool_rows(read.entries, read.indices, read.weights, self.table, self.scales)
        patches, lengths = torch.from_numpy(vectors), torch.from_numpy(read.lengths)
        with torch.inference_mode():
            found: FloatArray = self.network(patches.to(self._device), lengths.to(self._device)).cpu().numpy()
        return found

    def tensors(self) -> Tensors:
        """The words' hashes, the table, and the transformer as float16."""
        network = {_NETWORK + name: part.numpy().astype(np.float16) for name, part in self.network.state_dict().items()}
        return {"hashes": self.reader.hashes, "table": self.table, "scales": self.scales, **network}


def from_tensors(config: CheckpointConfig, tensors: Tensors) -> SymbolsStudent:
    """Put a saved student together again.

    Raises:
        UnfitError: the tensors do not fit one another or the configuration.
    """
    shape = config.symbols
    if shape is None:
        raise UnfitError("the configuration says nothing of the transformer")
    check_numbers(tensors)
    if shape.width % shape.heads:
        raise UnfitError(f"{shape.heads} heads do not share a width of {shape.width}")
    missing = {"hashes", "table", "scales"} - set(tensors)
    if missing:
        raise UnfitError(f"the weights lack {', '.join(sorted(missing))}")
    hashes, table = tensors["hashes"], tensors["table"]
    if hashes.dtype != np.int64 or hashes.ndim != 1 or not hashes.all():
        raise UnfitError("hashes is no vocabulary")
    reader = PatchReader(hashes, shape.buckets, shape.joined)
    if table.dtype != np.int8 or table.shape != (reader.size, shape.width):
        raise UnfitError(f"table has the shape {table.shape}, not {(reader.size, shape.width)} of 8-bit integers")
    if tensors["scales"].shape != (reader.size,):
        raise UnfitError(f"scales has the shape {tensors['scales'].shape}, not {(reader.size,)}")
    network = PatchTransformer(shape.width, shape.layers, shape.heads, shape.hidden, config.dimension)
    network.load_state_dict(_state(network, tensors))
    return SymbolsStudent(reader, np.ascontiguousarray(table), tensors["scales"].astype(np.float32), network)


def _state(network: PatchTransformer, tensors: Tensors) -> dict[str, torch.Tensor]:
    wanted: dict[str, Any] = network.state_dict()
    given = {name.removeprefix(_NETWORK): part for name, part in tensors.items() if name.startswith(_NETWORK)}
    if set(given) != set(wanted):
        raise UnfitError(f"the transformer's tensors differ in {', '.join(sorted(set(given) ^ set(wanted))[:3])}")
    for name, part in given.items():
        if part.shape != tuple(wanted[name].shape):
            raise UnfitError(f"{name} has the shape {part.shape}, not {tuple(wanted[name].shape)}")
    return {name: torch.from_numpy(part.astype(np.float32)) for name, part in given.items()}
