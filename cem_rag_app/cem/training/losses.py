"""The training loss: ``alpha * distillation + beta * InfoNCE + gamma * triplet + delta * similarity matrix``.

Student and teacher rows are unit vectors of the same passages (seed *cem-rag*, section 3.5). A step's batch may be
worked off in parts, and on several devices. Distillation, InfoNCE and triplet are sums over the student's rows, and a
row is compared with *teacher* vectors, which are at hand for the whole batch: so every row has the whole batch as its
negatives, and the parts' losses add up to the batch's. The similarity matrix alone compares student rows with one
another; in parts, only pairs within a part are seen, and the sum is scaled up to the whole batch.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from cem_rag_app.cem.training.config import LossConfig

PARTS = ("distillation", "info_nce", "triplet", "similarity")
LARGEST_SCALE = 100.0
"""1 / temperature is held below it, as in CLIP: beyond, bfloat16 cannot tell neighbours apart."""


def distillation(student: Tensor, teacher: Tensor, distance: str = "cosine") -> Tensor:
    """``(m,)``: ``1 - cosine`` of each row, or the squared distance, which is twice that between unit vectors."""
    if distance == "mse":
        return ((student - teacher) ** 2).sum(dim=1)
    return 1.0 - (student * teacher).sum(dim=1)


def info_nce(student: Tensor, teacher: Tensor, own: Tensor, scale: Tensor) -> Tensor:
    """``(m,)``: cross-entropy of finding one's own among the batch's teacher vectors.

    Args:
        student: (m, d) rows.
        teacher: (n, d), of the whole batch.
        own: (m,) int64, the place of each student row's own teacher vector.
        scale: 1 / temperature.
    """
    return cross_entropy(scale * (student @ teacher.T), own, reduction="none")


def triplet(student: Tensor, teacher: Tensor, own: Tensor, margin: float) -> Tensor:
    """``(m,)``: hinge between the own teacher vector and the nearest other one of the batch, see `info_nce`."""
    similarity = student @ teacher.T
    mine = similarity.gather(1, own[:, None])
    others = similarity.scatter(1, own[:, None], -math.inf)
    return torch.relu(margin - mine.squeeze(1) + others.max(dim=1).values)


def similarity_matrix(student: Tensor, teacher: Tensor) -> Tensor:
    """``(m,)``: mean squared difference between a row's similarities to the others as student and teacher see them."""
    difference = student @ student.T - teacher @ teacher.T
    return (difference**2).mean(dim=1)


class Objective(nn.Module):
    """A view's module with the loss behind it: what is wrapped for several devices, and what is differentiated.

    Args:
        module: ``forward(**batch)`` gives ``(m, d)`` unit rows.
        config: weights of the parts; a part of weight 0 is not computed.
        precision: of the module's arithmetic; the loss itself is float32.
    """

    def __init__(self, module: nn.Module, config: LossConfig, precision: torch.dtype = torch.float32) -> None:
        super().__init__()
        self.module = module
        self.config = config
        self.precision = precision
        # Without InfoNCE it would be a parameter without a gradient, which several devices wait for.
        self.log_scale = nn.Parameter(torch.tensor(-math.log(config.temperature))) if config.beta else None

    def forward(self, batch: dict[str, Tensor], teacher: Tensor, own: Tensor) -> tuple[Tensor, Tensor]:
        """The share of these rows in the loss of their batch.

        Args:
            batch: what the module reads for ``m`` of the batch's passages.
            teacher: (n, d) float32, the teacher's vectors of the whole batch.
            own: (m,) int64, places of the ``m`` passages in the batch.

        Returns:
            The loss, and `PARTS` without their weights, detached: each summed over the ``m`` rows and divided by ``n``.
        """
        with torch.autocast(teacher.device.type, self.precision, enabled=self.precision != torch.float32):
            student = cast(Tensor, self.module(**batch))
        student = student.float()
        config = self.config
        size = teacher.shape[0]
        rows: list[tuple[float, Callable[[], Tensor]]] = [
            (config.alpha, lambda: distillation(student, teacher[own], config.distance)),
            (config.beta, lambda: info_nce(student, teacher, own, self.scale())),
            (config.gamma, lambda: triplet(student, teacher, own, config.margin)),
            (config.delta, lambda: size * similarity_matrix(student, teacher[own])),
        ]
        zero = torch.zeros((), device=teacher.device)
        parts = [part().sum() / size if weight else zero for weight, part in rows]
        loss = sum((weight * part for (weight, _), part in zip(rows, parts, strict=True)), zero)
        parts = [part.detach() for part in parts]
        return loss, torch.stack(parts)

    def scale(self) -> Tensor:
        """1 / temperature, as it is learned so far."""
        if self.log_scale is None:
            return torch.tensor(1.0 / self.config.temperature)
        return torch.exp(self.log_scale).clamp(max=LARGEST_SCALE)
