"""The training loop: seeded, measured after every epoch, the best epoch kept."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from cem_rag_app.cem.features import FeatureCounts
from cem_rag_app.cem.students.ngram import BagWeights
from cem_rag_app.cem.training.data import TrainingData, ranking_score
from cem_rag_app.cem.training.losses import total_loss
from cem_rag_app.cem.training.network import StudentNetwork, select
from cem_rag_app.schema import FloatArray

if TYPE_CHECKING:
    from cem_rag_app.cem.training.config import TrainingConfig

_WARM_UP = 0.05


@dataclass(frozen=True, eq=False)
class Outcome:
    """The best epoch: its weights as they will be shipped, and what was measured with them."""

    student: BagWeights
    epoch: int
    metrics: dict[str, float]


def fit(
    config: TrainingConfig,
    data: TrainingData,
    features: FeatureCounts,
    held: FeatureCounts,
    passages: FeatureCounts,
    initial: FloatArray,
    projection: FloatArray,
    tell: Callable[[int, int, str], None],
) -> Outcome:
    """Train, and return the epoch with the best nDCG@10 (without pairs: cosine) of the rounded student."""
    torch.manual_seed(config.seed)
    generator = np.random.default_rng(config.seed)
    network = StudentNetwork(
        initial.shape[0], initial.shape[1], config.hidden, projection.shape[1], initial, projection
    )
    slow = [network.bag.weight]
    quick = [parameter for parameter in network.parameters() if parameter is not network.bag.weight]
    optimizer = torch.optim.Adam([{"params": quick, "share": 1.0}, {"params": slow, "share": config.table_rate}])
    batches = max(1, len(data.texts) // config.batch_size)
    steps = batches * config.epochs
    targets = torch.from_numpy(data.targets)
    best: Outcome | None = None
    done = 0
    started = time.monotonic()
    with (config.output / "metrics.jsonl").open("w", encoding="utf-8") as log:
        for epoch in range(config.epochs + 1):
            losses: list[float] = []
            if epoch > 0:
                network.train()
                for rows in np.array_split(generator.permutation(len(data.texts)), batches):
                    _set_rate(optimizer, config.learning_rate, done, steps)
                    indices, bounds, weights = select(features, rows)
                    if config.feature_dropout:
                        weights = weights * (generator.random(weights.size, dtype=np.float32) >= config.feature_dropout)
                    predicted = network(
                        torch.from_numpy(indices),
                        torch.from_numpy(bounds),
                        torch.from_numpy(weights.astype(np.float32)),
                    )
                    loss = total_loss(predicted, targets[rows], network.log_scale.exp(), config.loss)
                    optimizer.zero_grad()
                    loss.backward()  # type: ignore[no-untyped-call]
                    optimizer.step()
                    losses.append(loss.item())
                    done += 1
                    left = (time.monotonic() - started) / done * (steps - done)
                    tell(done, steps, f"epoch {epoch}, loss {losses[-1]:.4f}, {left:.0f} s left")
            student = network.export()
            metrics = _measure(student, data, held, passages)
            line = {"epoch": epoch, "loss": float(np.mean(losses)) if losses else None, **metrics}
            log.write(json.dumps(line) + "\n")
            log.flush()
            key = "ndcg@10" if "ndcg@10" in metrics else "cosine"
            if best is None or metrics[key] > best.metrics[key]:
                best = Outcome(student, epoch, metrics)
    assert best is not None  # epoch 0 was measured
    return best


def _set_rate(optimizer: torch.optim.Optimizer, peak: float, step: int, steps: int) -> None:
    """Rise over the first 5 % of the steps, then fall as half a cosine."""
    share = step / max(1, steps)
    rate = peak * (share / _WARM_UP if share < _WARM_UP else 0.5 * (1 + math.cos(math.pi * share)))
    for group in optimizer.param_groups:
        group["lr"] = max(rate, peak * 1e-3) * group["share"]


def _measure(student: BagWeights, data: TrainingData, held: FeatureCounts, passages: FeatureCounts) -> dict[str, float]:
    metrics = {"cosine": float((student.embed(held) * data.held_targets).sum(axis=1).mean())}
    if len(data.pair_passages):
        metrics["ndcg@10"] = ranking_score(data.pair_queries, student.embed(passages))
        metrics["teacher_ndcg@10"] = ranking_score(data.pair_queries, data.pair_targets)
    return metrics
