"""Compressed bytes to embeddings: the only door the store uses. Nothing here can decompress (I1, I2)."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from importlib import resources
from pathlib import Path

import numpy as np

from cem_rag_app.cem.checkpoint import CONFIG, Checkpoint, load_checkpoint, load_config, save_checkpoint
from cem_rag_app.cem.records import View
from cem_rag_app.cem.students.base import Student
from cem_rag_app.errors import SettingsError
from cem_rag_app.schema import FloatArray
from cem_rag_app.zpkg.dictionary import Dictionary

_BLOCK = 256
"""Frames a thread takes at a time. Blocks are the same however many threads there are, and so are the vectors."""
_SMALLEST_BLOCK = 4
_lock = threading.Lock()
_beside = 0
"""Calls of `encode` that share blocks out at this moment."""
_before = 0
"""Threads that torch had before the first of them."""
_BEST_FIRST: tuple[View, ...] = ("symbols", "ngram", "frame")


class CompressedEncoder:
    """Reads zstd frames and gives vectors in its teacher's space. Safe to share between threads.

    Args:
        checkpoint: a trained student, see `from_pretrained`.
        threads: that `encode` may use; None: one for each core that the process may use.

    Raises:
        SettingsError: ``threads`` is not positive.
    """

    def __init__(self, checkpoint: Checkpoint, *, threads: int | None = None) -> None:
        if threads is not None and threads < 1:
            raise SettingsError(f"{threads} threads cannot encode anything.", remedy="Take 1 or more.")
        self._checkpoint = checkpoint
        self.threads = threads or _cores()
        self.name = checkpoint.config.name
        self.teacher = checkpoint.config.teacher
        self.dimension = checkpoint.config.dimension
        self.view: View = checkpoint.config.view
        self.fingerprint = checkpoint.config.weights_sha256[:16]

    @classmethod
    def from_pretrained(cls, path_or_shipped_name: str | Path) -> CompressedEncoder:
        """Load a checkpoint from its folder, or one that ships with the package by name (``cem-mini-en``).

        Raises:
            CheckpointError: there is none, or it is damaged.
        """
        folder = Path(path_or_shipped_name)
        shipped = _shipped_folder() / str(path_or_shipped_name)
        if not folder.is_dir() and folder.name == str(path_or_shipped_name) and shipped.is_dir():
            folder = shipped
        return cls(load_checkpoint(folder))

    def save_pretrained(self, path: str | Path) -> None:
        """Write ``config.json`` and ``model.safetensors`` into a folder."""
        save_checkpoint(self._checkpoint, path)

    @property
    def quick(self) -> bool:
        """Whether a frame takes some ten microseconds: a bag of n-grams does, a transformer needs fifty times that."""
        return self.view == "ngram"

    @property
    def student(self) -> Student:
        """The model itself, for those who look at its parts."""
        return self._checkpoint.student

    def with_threads(self, threads: int) -> CompressedEncoder:
        """The same encoder, its weights shared, with another number of threads."""
        return CompressedEncoder(self._checkpoint, threads=threads)

    def to(self, device: str) -> CompressedEncoder:
        """The same encoder with its model on another torch device, where it has one; frames are parsed where they were.

        On another device one thread encodes: the device has its own ways of doing much at once.
        """
        move = getattr(self.student, "to", None)
        if device == "cpu" or move is None:
            return self
        return CompressedEncoder(Checkpoint(self._checkpoint.config, move(device)), threads=1)

    def encode(self, frames: Sequence[bytes], dictionary: Dictionary) -> FloatArray:
        """Embed compressed chunks. More than one block of them is shared out among the threads.

        Args:
            frames: magicless zstd frames, of any level.
            dictionary: the one they were made with; the views `symbols` and `ngram` read any, seen in training or not.

        Returns:
            ``(n, d)`` float32, unit rows. A row depends on its own frame alone.

        Raises:
            FrameError: a frame is damaged or expands beyond the limit.
            DictionaryError: the dictionary is damaged.
            CheckpointError: the view `frame`: frames made with a dictionary it was not trained for.
        """
        vectors = np.empty((len(frames), self.dimension), dtype=np.float32)
        # A few frames are a search's best candidates: halves of them are worth a second thread where one takes long.
        size = _BLOCK if self.quick else min(_BLOCK, max(_SMALLEST_BLOCK, -(-len(frames) // 2)))

        def embed(start: int) -> None:
            block = frames[start : start + size]
            vectors[start : start + len(block)] = self.student.embed_frames(block, dictionary)

        starts = range(0, len(frames), size)
        if len(starts) < 2:
            for start in starts:
                embed(start)
        else:
            # The compiled readers and the matrix products hold no lock, so threads are enough and nothing is copied.
            with _torch_beside(), ThreadPoolExecutor(min(self.threads, len(starts)), initializer=_torch_alone) as pool:
                for _ in pool.map(embed, starts):
                    pass
        return vectors


def shipped_checkpoint(teacher_name: str, view: View | None = None) -> Path | None:
    """Folder of the shipped checkpoint that lives in a teacher's space, or None.

    Args:
        teacher_name: of the text encoder.
        view: how the student looks at a frame; None: the best that ships (``symbols``, ``ngram``, ``frame``).

    Raises:
        CheckpointError: a shipped configuration is damaged.
    """
    folder = _shipped_folder()
    if not folder.is_dir():
        return None
    found: dict[View, Path] = {}
    for path in sorted(folder.glob(f"*/{CONFIG}")):
        config = load_config(path.parent)
        if config.teacher == teacher_name:
            found.setdefault(config.view, path.parent)
    if view is not None:
        return found.get(view)
    return next((found[one] for one in _BEST_FIRST if one in found), None)


def _shipped_folder() -> Path:
    return Path(str(resources.files("cem_rag_app.cem"))) / "checkpoints"


@contextmanager
def _torch_beside() -> Iterator[None]:
    """Give threads that torch meets later its own number again, after `_torch_alone` changed what they start with."""
    global _beside, _before  # noqa: PLW0603 - torch's number is the process's, and so is the count of who changes it
    torch = sys.modules.get("torch")
    if torch is None:
        yield
        return
    with _lock:
        _beside += 1
        if _beside == 1:
            _before = torch.get_num_threads()
    try:
        yield
    finally:
        with _lock:
            _beside -= 1
            if _beside == 0:
                torch.set_num_threads(_before)


def _torch_alone() -> None:
    """In a thread of the encoder's: let torch use this one alone, for the others have blocks of their own."""
    torch = sys.modules.get("torch")
    if torch is not None:
        torch.set_num_threads(1)


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
