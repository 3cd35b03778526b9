"""When what happens: the order of the passages and the learning rate, as functions of the step alone.

Nothing here remembers anything, so a resumed run needs no more than the number of steps that are done.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from cem_rag_app.cem.training.base import Rows
from cem_rag_app.cem.training.config import OptimizerConfig

_ORDER, _STEP, _TORCH = range(3)
"""What a seed is drawn for: kinds of randomness must not share a stream."""


@dataclass(frozen=True)
class Plan:
    """A run's steps.

    Attributes:
        passages: to train on.
        batch_size: wished for; batches of an epoch are of equal size, give or take one passage, and none is smaller.
        epochs: passes.
        seed: of every random number.
    """

    passages: int
    batch_size: int
    epochs: int
    seed: int

    @property
    def batches(self) -> int:
        """Steps of an epoch."""
        return max(1, self.passages // self.batch_size)

    @property
    def steps(self) -> int:
        """Steps of the run."""
        return self.batches * self.epochs

    def order(self, epoch: int) -> Rows:
        """The passages in the order of an epoch, counted from 0."""
        return np.random.default_rng([self.seed, _ORDER, epoch]).permutation(self.passages)

    def rows(self, step: int, order: Rows | None = None) -> Rows:
        """The passages of a step, counted from 0; ``order`` is that of its epoch, where it is at hand."""
        epoch, batch = divmod(step, self.batches)
        order = self.order(epoch) if order is None else order
        start, end = (number * self.passages // self.batches for number in (batch, batch + 1))
        return order[start:end]

    def generator(self, step: int, part: int) -> np.random.Generator:
        """Where a part of a step draws its augmentation from."""
        return np.random.default_rng([self.seed, _STEP, step, part])

    def torch_seed(self, step: int, part: int) -> int:
        """Seed of torch's own generators (dropout) for a part of a step."""
        return int(np.random.default_rng([self.seed, _TORCH, step, part]).integers(1 << 62))


def rate(step: int, steps: int, config: OptimizerConfig) -> float:
    """Learning rate of a step counted from 0: rises to the peak as a line, falls to the floor as half a cosine."""
    warm = round(config.warm_up * steps)
    if step < warm:
        return config.learning_rate * (step + 1) / warm
    share = (step - warm) / max(1, steps - warm)
    return config.learning_rate * (config.floor + (1.0 - config.floor) * 0.5 * (1.0 + math.cos(math.pi * share)))
