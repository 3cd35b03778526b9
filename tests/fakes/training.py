"""A view, a student and data so small that a training run takes milliseconds; also a program that trains and dies.

``python -m tests.fakes.training FOLDER [--resume] [--die-at STEP] [--epochs N]``
"""

from __future__ import annotations

import argparse
import os
import signal
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn

from cem_rag_app.cem.students.base import Student
from cem_rag_app.cem.teacher_cache import TeacherCache
from cem_rag_app.cem.teachers.base import unit_rows
from cem_rag_app.cem.training.base import FrameSet
from cem_rag_app.cem.training.config import TrainingConfig, build_config
from cem_rag_app.cem.training.data import Targets, TrainingData
from cem_rag_app.cem.training.loop import Outcome, fit
from cem_rag_app.zpkg.dictionary import Dictionary

WIDTH = 6


def histogram(frames: Sequence[bytes]) -> np.ndarray:
    """How often each of 16 kinds of bytes is in a frame, at the scale of unit rows."""
    counts = np.zeros((len(frames), 16), dtype=np.float32)
    for row, frame in enumerate(frames):
        np.add.at(counts[row], np.frombuffer(frame, dtype=np.uint8) % 16, 1.0)
    return unit_rows(counts)


@dataclass
class ByteStudent:
    """A matrix over byte histograms."""

    weight: np.ndarray
    bias: np.ndarray

    @property
    def dimension(self) -> int:
        return self.weight.shape[0]

    def embed_frames(self, frames: Sequence[bytes], dictionary: Dictionary) -> np.ndarray:
        return unit_rows(histogram(frames) @ self.weight.T + self.bias)

    def tensors(self) -> dict[str, np.ndarray]:
        return {"weight": self.weight, "bias": self.bias}


class ByteNetwork(nn.Module):
    """With dropout, so that torch's own randomness matters."""

    def __init__(self, dropout: float = 0.1) -> None:
        super().__init__()
        self.dropout = nn.Dropout(dropout)
        self.linear = nn.Linear(16, WIDTH)

    def forward(self, counts: Tensor) -> Tensor:
        return nn.functional.normalize(self.linear(self.dropout(counts)), dim=1)


class ByteTrainable:
    """Hides counts at random, so that the generator handed in matters."""

    def __init__(self, frames: Sequence[bytes], *, dropout: float = 0.1, hidden: float = 0.2) -> None:
        torch.manual_seed(0)
        self.counts = histogram(frames)
        self.module = ByteNetwork(dropout)
        self.hidden = hidden
        self.asked: list[np.ndarray] = []

    def batch(self, rows: np.ndarray, generator: np.random.Generator | None) -> dict[str, Tensor]:
        self.asked.append(rows)
        counts = self.counts[rows]
        if generator is not None and self.hidden:
            counts = counts * (generator.random(counts.shape) >= self.hidden)
        return {"counts": torch.from_numpy(counts.astype(np.float32))}

    def parameter_groups(self) -> list[dict[str, Any]]:
        return [
            {"params": [self.module.linear.weight], "share": 0.5},
            {"params": [self.module.linear.bias], "share": 1.0},
        ]

    def export(self) -> Student:
        linear = self.module.linear
        return ByteStudent(linear.weight.detach().cpu().numpy().copy(), linear.bias.detach().cpu().numpy().copy())

    def record(self) -> dict[str, Any]:
        return {"format": "cem-ngram"}


def byte_data(passages: int = 96, seed: int = 5) -> TrainingData:
    """Random frames, and targets that a matrix over their histograms can nearly reach."""
    generator = np.random.default_rng(seed)
    frames = [
        generator.integers(0, 256, int(generator.integers(20, 40)), dtype=np.uint8).tobytes() for _ in range(passages)
    ]
    true = generator.normal(size=(16, WIDTH))
    vectors = unit_rows((histogram(frames) @ true + 0.1 * generator.normal(size=(passages, WIDTH))).astype(np.float32))
    cut, pairs = passages - 24, passages - 12

    def part(start: int, end: int) -> FrameSet:
        chosen = frames[start:end]
        return FrameSet(chosen, [Dictionary(b"")], np.zeros(len(chosen), dtype=np.uint8))

    return TrainingData(
        corpus=(),
        frames=part(0, cut),
        targets=Targets(vectors.astype(np.float16), np.arange(cut)),
        held=part(cut, pairs),
        held_targets=vectors[cut:pairs],
        pairs=part(pairs, passages),
        pair_queries=unit_rows(vectors[pairs:] + np.float32(0.2)),
        pair_targets=vectors[pairs:],
        cache=cast(TeacherCache, None),
    )


def byte_config(folder: Path, **changes: Any) -> TrainingConfig:
    """Nine steps an epoch, three epochs, a state every four steps."""
    numbers = {"batch_size": 8, "epochs": 3, "state_every": 4, "log_every": 1, "learning_rate": 0.02, "seed": 7}
    place = {"teacher": "fake", "texts": "none.txt", "output": folder, "precision": "float32", "device": "cpu"}
    return build_config(place, numbers, {"gamma": 0.2, "delta": 0.1, "weight_decay": 0.01, "clip": 1.0}, changes)


def byte_run(folder: Path, *, resume: bool = False, die_at: int = 0, **changes: Any) -> tuple[Outcome, ByteTrainable]:
    """Train; with ``die_at``, be killed when that many steps are done."""
    folder.mkdir(parents=True, exist_ok=True)
    config, data = byte_config(folder, **changes), byte_data()
    trainable = ByteTrainable(data.frames.frames)

    def tell(done: int, _total: int, _what: str, detail: str = "", /) -> None:
        if done == die_at and die_at and "loss" in detail:
            os.kill(os.getpid(), signal.SIGKILL)

    outcome = fit(config, trainable, data, tell, lambda *_: None, resume=resume)
    np.savez(folder / "weights.npz", **trainable.module.state_dict())
    return outcome, trainable


def main() -> None:
    """Train in a process of its own."""
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--resume", action="store_true")
    parser.add_argument("--die-at", type=int, default=0)
    parser.add_argument("--accumulate", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(1)
    byte_run(options.folder, resume=options.resume, die_at=options.die_at, accumulate=options.accumulate)


if __name__ == "__main__":
    main()
