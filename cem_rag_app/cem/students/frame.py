"""The student over raw frame bytes: it decodes nothing, and so reads few dictionaries and one kind of compression."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from cem_rag_app.cem.frame.blocks import FrameBatch, batches, cut, split
from cem_rag_app.cem.frame.network import FrameNetwork
from cem_rag_app.cem.frame.shape import FrameShape
from cem_rag_app.cem.students.base import Tensors, UnfitError
from cem_rag_app.errors import CheckpointError, FrameError, FrameTooLargeError
from cem_rag_app.schema import FloatArray
from cem_rag_app.zpkg.dictionary import Dictionary
from cem_rag_app.zpkg.frame import check_frame

if TYPE_CHECKING:
    from torch import Tensor

    from cem_rag_app.cem.records import CheckpointConfig

LARGEST_FRAME = 1 << 20
_BATCH_BYTES = 1 << 14
_SCALE = ".scale"
_COMPRESSED_BLOCK = 2
_ENTROPY_CODED = 2
_FIRST_BLOCK, _FIRST_SECTION = 2, 5


class FrameStudent:
    """Reads frames as bytes.

    Args:
        network: the trained model; it is put into its reading state and must not be trained on.
        dimension: width of its vectors.
        dictionaries: digests of the dictionaries that it learned with.
        level: zstd level of the frames that it learned from.
    """

    def __init__(self, network: FrameNetwork, dimension: int, dictionaries: Iterable[str], level: int) -> None:
        self._network = network.eval().requires_grad_(False)
        self._dimension = dimension
        self._dictionaries = frozenset(dictionaries)
        self.level = level

    @property
    def dimension(self) -> int:
        """Width of its vectors."""
        return self._dimension

    @property
    def shape(self) -> FrameShape:
        """Its sizes."""
        return self._network.shape

    def embed_frames(self, frames: Sequence[bytes], dictionary: Dictionary) -> FloatArray:
        """Embed frames, see `Student.embed_frames`.

        Raises:
            FrameError: a frame is damaged as far as its block headers tell, or above 1 MiB.
            CheckpointError: the dictionary is none that it learned with, or literals are entropy coded and it only
                learned to read them raw.
        """
        if dictionary.digest not in self._dictionaries:
            raise CheckpointError(
                f"This student of raw frames never saw the dictionary {dictionary.digest[:12]}, and a frame's bytes "
                "mean nothing without it.",
                remedy="Pack with a dictionary that config.json names (the general one, as a rule), train on frames "
                "of this one, or take a student of the view `symbols`, which reads any.",
            )
        for number, frame in enumerate(frames):
            self._check(number, frame)
        pieces, owners = split(frames, self.shape.piece)
        sums = torch.zeros(len(frames), self.shape.width)
        counts = torch.zeros(len(frames))
        with torch.inference_mode():
            for numbers in batches(pieces, _BATCH_BYTES):
                batch = cut([pieces[n] for n in numbers], np.arange(len(numbers)), len(numbers), self.shape)
                owner = torch.from_numpy(owners[numbers])
                sums.index_add_(0, owner, self._network.pool(**as_tensors(batch)))
                counts.index_add_(0, owner, torch.from_numpy(batch.counts).float())
            vectors: FloatArray = self._network.project(sums / counts[:, None]).numpy()
        return vectors

    def tensors(self) -> Tensors:
        """Matrices as int8 with a float16 scale a row, the rest as float16."""
        return rounded(self._network)

    def _check(self, number: int, frame: bytes) -> None:
        if len(frame) > LARGEST_FRAME:
            raise FrameTooLargeError(
                f"Frame {number} has {len(frame)} bytes; {LARGEST_FRAME} are read at most.",
                remedy="Split the text into smaller chunks.",
            )
        try:
            check_frame(frame)
        except FrameError as error:
            raise FrameError(f"Frame {number}: {error}", remedy=error.remedy) from error
        if self.shape.literals == "raw" and has_coded_literals(frame):
            raise CheckpointError(
                f"Frame {number} holds entropy-coded literals; this student reads raw ones (level {self.level}).",
                remedy=f"Compress at level {self.level}, or take a student of the view `symbols`, which reads any "
                "level.",
            )


def has_coded_literals(frame: bytes) -> bool:
    """Whether the first block's literals are Huffman coded (RFC 8878, 3.1.1.3.1.1); two bits are looked at.

    ``frame`` is one that `check_frame` lets pass.
    """
    compressed = frame[_FIRST_BLOCK] >> 1 & 3 == _COMPRESSED_BLOCK
    return compressed and len(frame) > _FIRST_SECTION and frame[_FIRST_SECTION] & 3 >= _ENTROPY_CODED


def as_tensors(batch: FrameBatch) -> dict[str, Tensor]:
    """A batch as the network takes it."""
    return {name: torch.from_numpy(part) for name, part in vars(batch).items()}


def new_network(shape: FrameShape, dimension: int, seed: int) -> FrameNetwork:
    """A network with random weights, without touching torch's own generator."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return FrameNetwork(shape, dimension)


def rounded(network: FrameNetwork) -> dict[str, np.ndarray[Any, Any]]:
    """A network's weights as they are saved."""
    tensors: dict[str, np.ndarray[Any, Any]] = {}
    for name, weight in network.state_dict().items():
        array = weight.detach().cpu().float().numpy()
        if array.ndim == 1:
            tensors[name] = array.astype(np.float16)
            continue
        # A scale of 0 would lose a row of zeros on the way back, and one below float16's range every row.
        scales = np.maximum(np.abs(array).max(axis=1) / 127.0, 6e-5).astype(np.float16)
        steps = np.rint(array / scales.astype(np.float32)[:, None])
        tensors[name] = np.clip(steps, -127, 127).astype(np.int8)
        tensors[name + _SCALE] = scales
    return tensors


def restore(network: FrameNetwork, tensors: Tensors) -> None:
    """Load what `rounded` gave.

    Raises:
        UnfitError: names, shapes or kinds of numbers are not the network's.
    """
    state = network.state_dict()
    matrices = {name for name, weight in state.items() if weight.ndim > 1}
    expected = set(state) | {name + _SCALE for name in matrices}
    if expected != set(tensors):
        odd = sorted(expected ^ set(tensors))
        raise UnfitError(f"the weights lack, or should not hold, {', '.join(odd[:3])}")
    loaded: dict[str, Tensor] = {}
    for name, weight in state.items():
        array = tensors[name]
        kind = np.int8 if name in matrices else np.float16
        if array.shape != tuple(weight.shape) or array.dtype != kind:
            raise UnfitError(f"{name} is {array.dtype} {array.shape}, not {np.dtype(kind)} {tuple(weight.shape)}")
        values = array.astype(np.float32)
        if name in matrices:
            scales = tensors[name + _SCALE]
            if scales.shape != array.shape[:1] or scales.dtype != np.float16:
                raise UnfitError(f"{name + _SCALE} does not fit {name}")
            values *= scales.astype(np.float32)[:, None]
        if not np.isfinite(values).all():
            raise UnfitError(f"{name} holds numbers that are none")
        loaded[name] = torch.from_numpy(values)
    network.load_state_dict(loaded)


def from_tensors(config: CheckpointConfig, tensors: Tensors) -> FrameStudent:
    """Put a saved student together again.

    Raises:
        UnfitError: the tensors do not fit one another or the configuration.
    """
    if config.frame is None:
        raise UnfitError("the configuration has no section `frame`")
    network = new_network(config.frame, config.dimension, 0)
    restore(network, tensors)
    return FrameStudent(network, config.dimension, config.compression.dictionaries, config.compression.level)
