"""The contract between the training loop and a view.

A view is a module ``cem_rag_app.cem.training.<view>`` with

::

    def prepare(config: TrainingConfig, data: TrainingData, tell: Tell) -> Trainable

and everything else (order of the data, loss, schedule, measuring, state on disk) is the loop's.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from cem_rag_app.cem.students.base import Student
from cem_rag_app.schema import FloatArray
from cem_rag_app.zpkg.dictionary import Dictionary

if TYPE_CHECKING:
    import torch
    from torch import Tensor

Rows = NDArray[np.int64]


class Tell(Protocol):
    """Hears how far the work is."""

    def __call__(self, done: int, total: int, what: str, detail: str = "", /) -> None:
        """``done`` of ``total`` (0: not known) of a stage called ``what``; ``detail`` changes within the stage."""
        ...


class Trainable(Protocol):
    """A view while it learns."""

    module: torch.nn.Module
    """``forward(**batch)`` gives ``(n, d)`` unit rows. Parameters must not be shared with anything that is kept."""

    def batch(self, rows: Rows, generator: np.random.Generator | None) -> dict[str, Tensor]:
        """What ``module`` reads for these training passages, on the CPU.

        Args:
            rows: (n,) numbers of training passages, that is of ``data.frames``.
            generator: where augmentation draws from; None: no augmentation. It is seeded for every step anew, so
                whoever draws from it alone is repeated exactly when a run is resumed.
        """
        ...

    def parameter_groups(self) -> list[dict[str, Any]]:
        """``[{"params": [...], "share": 1.0 or less}]``: share of the peak learning rate.

        A group may say ``"decay": False``; parameters with less than two dimensions are never decayed.
        """
        ...

    def export(self) -> Student:
        """What would be shipped, rounding included. The loop may call it while the module is on any device."""
        ...

    def record(self) -> dict[str, Any]:
        """The fields of `CheckpointConfig` that describe the view: ``format`` and its section."""
        ...


@dataclass(frozen=True, eq=False)
class FrameSet:
    """Magicless frames with the dictionary that each was made with.

    Attributes:
        frames: (n,) frames.
        dictionaries: the dictionaries there are.
        dictionary_of: (n,) uint8, the place of a frame's own in ``dictionaries``.
    """

    frames: Sequence[bytes]
    dictionaries: Sequence[Dictionary]
    dictionary_of: NDArray[np.uint8]

    def __len__(self) -> int:
        """Number of frames."""
        return len(self.frames)

    def parts(self) -> Iterator[tuple[Dictionary, Rows]]:
        """Each dictionary that has frames, with their numbers, ascending."""
        for number, dictionary in enumerate(self.dictionaries):
            rows = np.flatnonzero(self.dictionary_of == number)
            if rows.size:
                yield dictionary, rows

    def embed(self, student: Student) -> FloatArray:
        """Vectors of all frames, in order: ``(n, d)`` float32."""
        vectors = np.empty((len(self), student.dimension), dtype=np.float32)
        for dictionary, rows in self.parts():
            vectors[rows] = student.embed_frames([self.frames[row] for row in rows], dictionary)
        return vectors
