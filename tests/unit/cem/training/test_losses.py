"""The loss against plain arithmetic, and the same loss when a step is worked off in parts."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import nn

from cem_rag_app.cem.training import losses
from cem_rag_app.cem.training.config import LossConfig


def unit(generator: np.random.Generator, rows: int, width: int) -> np.ndarray:
    vectors = generator.normal(size=(rows, width))
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


class Given(nn.Module):
    """A network that says what it is told."""

    def forward(self, vectors: torch.Tensor) -> torch.Tensor:
        return vectors


def test_two_rows_worked_out_by_hand():
    student = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    teacher = torch.tensor([[0.6, 0.8], [0.0, 1.0]])
    own = torch.arange(2)
    assert losses.distillation(student, teacher).tolist() == pytest.approx([0.4, 0.0])
    assert losses.distillation(student, teacher, "mse").tolist() == pytest.approx([0.4**2 + 0.8**2, 0.0])
    found = losses.info_nce(student, teacher, own, torch.tensor(2.0)).tolist()
    assert found == pytest.approx([math.log(1 + math.exp(-1.2)), math.log(1 + math.exp(2 * 0.8 - 2))], abs=1e-6)
    assert losses.triplet(student, teacher, own, 0.2).tolist() == pytest.approx([0.0, 0.0], abs=1e-6)
    assert losses.triplet(student, teacher, own, 0.7).tolist() == pytest.approx([0.1, 0.5])
    assert losses.similarity_matrix(student, teacher).tolist() == pytest.approx([0.32, 0.32])


def test_the_squared_distance_of_unit_rows_is_twice_the_cosine_distance():
    generator = np.random.default_rng(1)
    student, teacher = (torch.from_numpy(unit(generator, 9, 5)) for _ in range(2))
    assert torch.allclose(losses.distillation(student, teacher, "mse"), 2 * losses.distillation(student, teacher))


def test_the_loss_is_the_weighted_sum_of_its_parts():
    generator = np.random.default_rng(0)
    student, teacher = unit(generator, 6, 4), unit(generator, 6, 4)
    product = student @ teacher.T
    own = np.diag(product)
    shares = np.exp(20 * product) / np.exp(20 * product).sum(axis=1, keepdims=True)
    hardest = np.array([max(product[i, j] for j in range(6) if j != i) for i in range(6)])
    expected = [
        np.mean(1 - own),
        -np.log(np.diag(shares)).mean(),
        np.maximum(0, 0.2 - own + hardest).mean(),
        6 * ((student @ student.T - teacher @ teacher.T) ** 2).mean(),
    ]
    config = LossConfig(alpha=1.0, beta=0.5, gamma=0.25, delta=0.125, temperature=0.05)
    objective = losses.Objective(Given(), config)
    loss, parts = objective({"vectors": torch.from_numpy(student)}, torch.from_numpy(teacher), torch.arange(6))
    assert parts.tolist() == pytest.approx(expected, rel=1e-5)
    assert loss.item() == pytest.approx(np.dot([1.0, 0.5, 0.25, 0.125], expected), rel=1e-5)


def test_a_part_of_weight_nothing_is_not_computed_and_has_no_temperature_to_learn():
    objective = losses.Objective(Given(), LossConfig(alpha=1.0, beta=0.0))
    assert list(objective.parameters()) == []
    vectors = torch.from_numpy(unit(np.random.default_rng(2), 3, 4))
    _, parts = objective({"vectors": vectors}, vectors, torch.arange(3))
    assert parts.tolist() == pytest.approx([0.0, 0.0, 0.0, 0.0], abs=1e-6)


def test_parts_of_a_step_have_the_whole_batch_as_negatives_and_the_gradient_of_the_whole():
    generator = np.random.default_rng(3)
    teacher = torch.from_numpy(unit(generator, 12, 5))
    config = LossConfig(alpha=1.0, beta=0.5, gamma=0.3, delta=0.0)
    student = torch.from_numpy(unit(generator, 12, 5)).requires_grad_()
    objective = losses.Objective(Given(), config)
    whole, _ = objective({"vectors": student}, teacher, torch.arange(12))
    whole.backward()
    together = student.grad.clone()
    student.grad = None
    total = 0.0
    for places in torch.arange(12).split([5, 4, 3]):
        part, _ = objective({"vectors": student[places]}, teacher, places)
        part.backward()
        total += part.item()
    assert total == pytest.approx(whole.item(), rel=1e-5)
    assert torch.allclose(student.grad, together, atol=1e-6)


def test_the_similarity_matrix_sees_pairs_within_a_part_alone_scaled_up_to_the_batch():
    generator = np.random.default_rng(4)
    student, teacher = (torch.from_numpy(unit(generator, 8, 5)) for _ in range(2))
    objective = losses.Objective(Given(), LossConfig(alpha=0.0, beta=0.0, delta=1.0))
    found = sum(
        objective({"vectors": student[places]}, teacher, places)[0].item() for places in torch.arange(8).split(4)
    )
    difference = (student @ student.T - teacher @ teacher.T) ** 2
    expected = 8 * (difference[:4, :4].mean() + difference[4:, 4:].mean()).item() / 2
    assert found == pytest.approx(expected, rel=1e-5)


def test_the_temperature_cannot_fall_below_a_hundredth():
    objective = losses.Objective(Given(), LossConfig(temperature=0.001))
    assert objective.scale().item() == 100.0


def test_bfloat16_is_the_modules_arithmetic_and_not_the_losses():
    vectors = torch.from_numpy(unit(np.random.default_rng(5), 4, 16))
    linear = nn.Linear(16, 16, bias=False)
    seen: list[torch.dtype] = []
    linear.register_forward_hook(lambda _module, _inputs, output: seen.append(output.dtype))
    objective = losses.Objective(linear, LossConfig(), torch.bfloat16)
    loss, parts = objective({"input": vectors}, vectors, torch.arange(4))
    assert seen == [torch.bfloat16]
    assert (loss.dtype, parts.dtype) == (torch.float32, torch.float32)
