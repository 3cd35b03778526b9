"""The training loss: ``alpha * distillation + beta * InfoNCE + gamma * triplet + delta * similarity matrix``.

Student and teacher rows are unit vectors of the same chunks (seed *cem-rag*, section 3.5).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class LossWeights:
    """How much each part counts.

    Attributes:
        alpha: distillation, ``1 - cosine``.
        beta: InfoNCE, the student's vector against its teacher's among those of the batch.
        gamma: triplet with the hardest wrong teacher vector of the batch.
        delta: squared difference of the two similarity matrices.
        margin: of the triplet loss, in cosine.
    """

    alpha: float = 1.0
    beta: float = 0.1
    gamma: float = 0.0
    delta: float = 0.0
    margin: float = 0.2


def distillation(student: Tensor, teacher: Tensor) -> Tensor:
    """Mean of ``1 - cosine`` over ``(n, d)`` rows."""
    return 1.0 - (student * teacher).sum(dim=1).mean()


def info_nce(student: Tensor, teacher: Tensor, scale: Tensor) -> Tensor:
    """Cross-entropy of finding one's own teacher vector in the batch; ``scale`` is 1 / temperature."""
    import torch
    from torch.nn.functional import cross_entropy

    return cross_entropy(scale * (student @ teacher.T), torch.arange(student.shape[0], device=student.device))


def triplet(student: Tensor, teacher: Tensor, margin: float) -> Tensor:
    """Mean hinge between the own teacher vector and the nearest other one."""
    import torch

    similarity = student @ teacher.T
    own = similarity.diagonal()
    others = similarity - 2.0 * torch.eye(similarity.shape[0], device=similarity.device)
    return torch.relu(margin - own + others.max(dim=1).values).mean()


def similarity_matrix(student: Tensor, teacher: Tensor) -> Tensor:
    """Mean squared difference between the chunks' similarities as the two see them, times the batch size."""
    import torch

    difference = student @ student.T - teacher @ teacher.T
    return torch.mean(difference**2) * student.shape[0]


def total_loss(student: Tensor, teacher: Tensor, scale: Tensor, weights: LossWeights) -> Tensor:
    """The weighted sum; parts of weight 0 are not computed."""
    loss = weights.alpha * distillation(student, teacher)
    if weights.beta:
        loss = loss + weights.beta * info_nce(student, teacher, scale)
    if weights.gamma:
        loss = loss + weights.gamma * triplet(student, teacher, weights.margin)
    if weights.delta:
        loss = loss + weights.delta * similarity_matrix(student, teacher)
    return loss
