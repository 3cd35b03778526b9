"""What every student is: frames of one dictionary in, unit vectors out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

import numpy as np

from cem_rag_app.schema import FloatArray
from cem_rag_app.zpkg.dictionary import Dictionary

Tensors = Mapping[str, "np.ndarray[Any, Any]"]
"""What ``model.safetensors`` holds, by name."""


class UnfitError(ValueError):
    """Tensors that make no student; `checkpoint` turns it into a `CheckpointError` that names the folder."""


def check_numbers(tensors: Tensors) -> None:
    """Raise `UnfitError` where a floating-point tensor holds an infinity or no number at all."""
    for name, tensor in tensors.items():
        if tensor.dtype.kind == "f" and not np.isfinite(tensor).all():
            raise UnfitError(f"{name} holds numbers that are none")


class Student(Protocol):
    """A trained model over compressed bytes. Safe to share between threads; a row depends on its own frame alone."""

    @property
    def dimension(self) -> int:
        """Width of its vectors."""
        ...

    def embed_frames(self, frames: Sequence[bytes], dictionary: Dictionary) -> FloatArray:
        """Embed magicless zstd frames that were made with one dictionary.

        Returns:
            ``(n, dimension)`` float32, unit rows.

        Raises:
            FrameError: a frame is damaged; the message says which.
            CheckpointError: frames of this kind cannot be read by this student.
        """
        ...

    def tensors(self) -> Tensors:
        """Everything that is saved of it, as contiguous arrays."""
        ...


@runtime_checkable
class StagedStudent(Protocol):
    """A student whose two halves can be asked apart, so that each can be timed.

    ``embed_frames(frames, dictionary)`` is ``embed(read(frames, dictionary))``.
    """

    def read(self, frames: Sequence[bytes], dictionary: Dictionary) -> Any:
        """Parse frames into what the model is given of them."""
        ...

    def embed(self, read: Any) -> FloatArray:
        """Run the model on it: ``(n, dimension)`` float32, unit rows."""
        ...
