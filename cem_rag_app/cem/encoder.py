"""Compressed bytes to embeddings: the only door the store uses. Nothing here can decompress (I1, I2)."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import resources
from pathlib import Path

import numpy as np

from cem_rag_app.cem.checkpoint import CONFIG, Checkpoint, load_checkpoint, load_config, save_checkpoint
from cem_rag_app.cem.records import View
from cem_rag_app.schema import FloatArray
from cem_rag_app.zpkg.dictionary import Dictionary

_BATCH = 1024
_BEST_FIRST: tuple[View, ...] = ("symbols", "ngram", "frame")


class CompressedEncoder:
    """Reads zstd frames and gives vectors in its teacher's space. Safe to share between threads.

    Args:
        checkpoint: a trained student, see `from_pretrained`.
    """

    def __init__(self, checkpoint: Checkpoint) -> None:
        self._checkpoint = checkpoint
        self.name = checkpoint.config.name
        self.teacher = checkpoint.config.teacher
        self.dimension = checkpoint.config.dimension
        self.view: View = checkpoint.config.view

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

    def encode(self, frames: Sequence[bytes], dictionary: Dictionary) -> FloatArray:
        """Embed compressed chunks.

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
        for start in range(0, len(frames), _BATCH):
            batch = frames[start : start + _BATCH]
            vectors[start : start + len(batch)] = self._checkpoint.student.embed_frames(batch, dictionary)
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
