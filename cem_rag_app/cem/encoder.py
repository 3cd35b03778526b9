"""Compressed bytes to embeddings: the only door the store uses. Nothing here can decompress (I1, I2)."""

from __future__ import annotations

import json
from collections.abc import Sequence
from importlib import resources
from pathlib import Path

import numpy as np

from cem_rag_app.cem.checkpoint import CONFIG, Checkpoint, load_checkpoint, save_checkpoint
from cem_rag_app.cem.symbols.tables import shared_tables
from cem_rag_app.errors import CheckpointError
from cem_rag_app.schema import FloatArray
from cem_rag_app.zpkg.dictionary import Dictionary

_BATCH = 1024


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
            dictionary: the one they were made with; any will do, seen in training or not.

        Returns:
            ``(n, d)`` float32, unit rows. A row depends on its own frame alone.

        Raises:
            FrameError: a frame is damaged or expands beyond the limit.
            DictionaryError: the dictionary is damaged.
        """
        tables = shared_tables(dictionary)
        vectors = np.empty((len(frames), self.dimension), dtype=np.float32)
        for start in range(0, len(frames), _BATCH):
            batch = list(frames[start : start + _BATCH])
            features = self._checkpoint.reader.read(batch, tables)
            vectors[start : start + len(batch)] = self._checkpoint.student.embed(features)
        return vectors


def shipped_checkpoint(teacher_name: str) -> Path | None:
    """Folder of the shipped checkpoint that lives in a teacher's space, or None."""
    folder = _shipped_folder()
    if not folder.is_dir():
        return None
    for config in sorted(folder.glob(f"*/{CONFIG}")):
        try:
            teacher = json.loads(config.read_text(encoding="utf-8")).get("teacher")
        except (ValueError, AttributeError) as error:
            raise CheckpointError(f"{config} cannot be read.", remedy="Reinstall the package.") from error
        if teacher == teacher_name:
            return config.parent
    return None


def _shipped_folder() -> Path:
    return Path(str(resources.files("cem_rag_app.cem"))) / "checkpoints"
