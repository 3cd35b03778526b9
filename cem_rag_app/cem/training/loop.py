"""One training loop for every view: steps, state, measuring, and the choice of the epoch that is kept."""

from __future__ import annotations

import contextlib
import signal
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from cem_rag_app.cem.students.base import Student
from cem_rag_app.cem.training.base import Tell, Trainable
from cem_rag_app.cem.training.config import VIEWS, WITHOUT_EFFECT, TrainingConfig, plain
from cem_rag_app.cem.training.curves import draw_curves
from cem_rag_app.cem.training.data import TrainingData
from cem_rag_app.cem.training.device import give_back_memory, resolve_precision, start_accelerator
from cem_rag_app.cem.training.losses import PARTS, Objective
from cem_rag_app.cem.training.metrics import METRICS, MetricsLog, deciding, measure
from cem_rag_app.cem.training.schedule import Plan, rate
from cem_rag_app.cem.training.state import Position, load_state, remove_state, save_state

if TYPE_CHECKING:
    from accelerate import Accelerator

_DRAW_EVERY = 20.0
"""Seconds between two pictures of the curves; the last one is always drawn."""

Keep = Callable[[Student, int, dict[str, float]], None]
"""Called with the student of an epoch that is better than all before, the epoch and its measures."""


@dataclass(frozen=True)
class Outcome:
    """The epoch that was kept, and what was measured of it; -1 and nothing in all processes but the first."""

    epoch: int
    metrics: dict[str, float]


class Interrupted(KeyboardInterrupt):
    """Ctrl-C or a polite kill, answered between two steps with the state on disk."""

    def __init__(self, folder: Path, step: int, steps: int) -> None:
        self.folder = folder
        super().__init__(f"Stopped after step {step} of {steps}; --resume goes on from there ({folder}).")


def fit(
    config: TrainingConfig, trainable: Trainable, data: TrainingData, tell: Tell, keep: Keep, *, resume: bool = False
) -> Outcome:
    """Train, and hand over every epoch that ranks held-out passages better than those before.

    Epoch 0 is the student before the first step.

    Raises:
        CheckpointError: ``resume`` without a state, or with one that is damaged or of another run.
        Interrupted: a signal came; the state is saved.
        MissingDependencyError: the extra ``train`` is not installed.
    """
    accelerator = start_accelerator(config.device)
    return _Run(config, trainable, data, tell, keep, accelerator, resume).finish()


class _Run:
    def __init__(
        self,
        config: TrainingConfig,
        trainable: Trainable,
        data: TrainingData,
        tell: Tell,
        keep: Keep,
        accelerator: Accelerator,
        resume: bool,
    ) -> None:
        self.config, self.trainable, self.data = config, trainable, data
        self.tell, self.keep, self.accelerator = tell, keep, accelerator
        self.folder = config.output
        self.main = accelerator.is_main_process
        self.parts = config.accumulate * accelerator.num_processes
        self.plan = Plan(len(data.frames), config.batch_size, config.epochs, config.seed)
        precision = resolve_precision(config.precision, accelerator.device)
        self.objective = Objective(trainable.module, config.loss, precision)
        alone = accelerator.num_processes == 1  # then wrapping does nothing, and its imports take seconds
        self.wrapped = self.objective.to(accelerator.device) if alone else accelerator.prepare_model(self.objective)
        self.optimizer = _optimizer(trainable, self.objective, config)
        self.identity = {
            **_choices(config),
            "parts": self.parts,
            "precision": str(precision).removeprefix("torch."),
            "passages": len(data.frames),
            "corpus": data.digest,
        }
        self.position = Position()
        if resume:
            self.position = load_state(self.folder, self.objective, self.optimizer, self.identity)
        self.log = MetricsLog(self.folder / METRICS, self.position.log_bytes) if self.main else None
        self.order = np.empty(0, dtype=np.int64)
        self.order_epoch = -1
        self.drawn = time.monotonic()

    def finish(self) -> Outcome:
        """Run to the end."""
        position, plan = self.position, self.plan
        before, spent = position.step, 0.0
        try:
            with _signals() as stopped:
                while True:
                    epoch, batch = divmod(position.step, plan.batches)
                    if batch == 0 and position.measured < epoch:
                        self._measure(epoch)
                        if epoch == plan.epochs:
                            break
                        self._save()
                    started = time.monotonic()
                    loss, stop = self._step(position.step, stopped())
                    if stop:
                        self._save()
                        raise Interrupted(self.folder, position.step, plan.steps)
                    if position.step % self.config.state_every == 0 and position.step % plan.batches:
                        self._save()
                    spent += time.monotonic() - started
                    left = _duration(spent / (position.step - before) * (plan.steps - position.step))
                    self._tell(f"epoch {epoch + 1}, loss {loss:.4f}, {left} left")
        finally:
            if self.log is not None:
                self.log.close()
        if self.main:
            remove_state(self.folder)
        return Outcome(position.best_epoch, position.best)

    def _step(self, step: int, stop: bool) -> tuple[float, bool]:
        """Take a step; its loss, and whether any process was asked to stop."""
        config, plan, accelerator = self.config, self.plan, self.accelerator
        learning_rate = rate(step, plan.steps, config.optimizer)
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate * group["share"]
        rows = self._rows(step)
        teacher = torch.from_numpy(self.data.targets.take(rows)).to(accelerator.device)
        mine = range(accelerator.process_index, self.parts, accelerator.num_processes)
        places = np.array_split(np.arange(rows.size), self.parts)
        self.wrapped.train()
        self.optimizer.zero_grad(set_to_none=True)
        # The loss's share of each part, and one number more: whether a signal came.
        sums = torch.zeros(len(PARTS) + 2, device=accelerator.device)
        for part in mine:
            torch.manual_seed(plan.torch_seed(step, part))
            batch = self.trainable.batch(rows[places[part]], plan.generator(step, part))
            with self._together(part == mine[-1]):
                loss, losses = self.wrapped(_to(batch, accelerator.device), teacher, _place(places[part], teacher))
                # Gradients of several devices are averaged, and these are shares of one sum.
                accelerator.backward(loss * accelerator.num_processes)
            sums[0] += loss.detach()
            sums[1:-1] += losses
        sums[-1] = float(stop)
        length = self._clip()
        self.optimizer.step()
        if accelerator.num_processes > 1:
            sums = accelerator.reduce(sums, reduction="sum")
        total, *losses, stopping = sums.tolist()
        self.position.step = step + 1
        self.position.total += total
        if self.log is not None and self.position.step % config.log_every == 0:
            self.log.write(
                {
                    "kind": "step",
                    "step": self.position.step,
                    "loss": total,
                    **{name: value for name, value in zip(PARTS, losses, strict=True) if value},
                    "rate": learning_rate,
                    "temperature": 1.0 / self.objective.scale().item(),
                    "gradient": length,
                }
            )
        return total, stopping > 0

    def _clip(self) -> float:
        """Shorten the gradient where it is too long; its length before."""
        length = torch.nn.utils.clip_grad_norm_(self.objective.parameters(), self.config.optimizer.clip or torch.inf)
        return float(length)

    def _rows(self, step: int) -> np.ndarray[Any, np.dtype[np.int64]]:
        epoch = step // self.plan.batches
        if epoch != self.order_epoch:
            self.order, self.order_epoch = self.plan.order(epoch), epoch
        return self.plan.rows(step, self.order)

    def _together(self, last: bool) -> contextlib.AbstractContextManager[None]:
        """Devices exchange gradients after the last part of a step alone."""
        return contextlib.nullcontext() if last else self.accelerator.no_sync(self.wrapped)

    def _measure(self, epoch: int) -> None:
        position = self.position
        self._tell(f"epoch {epoch}, measuring")
        self.wrapped.eval()
        if self.log is not None:
            with torch.no_grad():
                student = self.trainable.export()
            metrics = measure(student, self.data)
            mean = position.total / self.plan.batches if epoch else None
            self.log.write({"kind": "epoch", "epoch": epoch, "step": position.step, "loss": mean, **metrics})
            if position.best_epoch < 0 or deciding(metrics) > deciding(position.best):
                position.best_epoch, position.best = epoch, metrics
                self.keep(student, epoch, metrics)
            if epoch == self.plan.epochs or time.monotonic() - self.drawn > _DRAW_EVERY:
                draw_curves(self.folder / METRICS, self.folder)
                self.drawn = time.monotonic()
        position.measured = epoch
        position.total = 0.0
        self.accelerator.wait_for_everyone()

    def _save(self) -> None:
        if self.log is not None:
            self.position.log_bytes = self.log.sync()
            save_state(self.folder, self.objective, self.optimizer, self.position, self.identity)
        give_back_memory()
        self.accelerator.wait_for_everyone()

    def _tell(self, detail: str) -> None:
        if self.main:
            self.tell(self.position.step, self.plan.steps, "training", detail)


def _choices(config: TrainingConfig) -> dict[str, Any]:
    """What makes a run this run and no other."""
    left_out = {*WITHOUT_EFFECT, "accumulate", "device", *VIEWS} - {config.view}
    return {name: value for name, value in plain(config).items() if name not in left_out}


def _optimizer(trainable: Trainable, objective: Objective, config: TrainingConfig) -> torch.optim.AdamW:
    """AdamW over the view's groups, each cut into what is decayed and what is not."""
    groups: list[dict[str, Any]] = []
    given = trainable.parameter_groups()
    if objective.log_scale is not None:
        given = [*given, {"params": [objective.log_scale], "share": 1.0}]
    for group in given:
        decay = config.optimizer.weight_decay if group.get("decay", True) else 0.0
        for matrices in (True, False):
            parameters = [parameter for parameter in group["params"] if (parameter.ndim >= 2) == matrices]
            if parameters:
                weight_decay = decay if matrices else 0.0
                groups.append({"params": parameters, "share": group["share"], "weight_decay": weight_decay})
    numbers = config.optimizer
    # One pass over each tensor in place of five: on a CPU, where tables of words are large, six times as fast.
    return torch.optim.AdamW(groups, lr=numbers.learning_rate, betas=(numbers.beta1, numbers.beta2), fused=True)


@contextlib.contextmanager
def _signals() -> Iterator[Callable[[], bool]]:
    """Answer Ctrl-C and SIGTERM between two steps; the second one is not waited for."""
    if threading.current_thread() is not threading.main_thread():
        yield lambda: False
        return
    came: list[int] = []
    kinds = (signal.SIGINT, signal.SIGTERM)
    before = {kind: signal.getsignal(kind) or signal.SIG_DFL for kind in kinds}

    def note(kind: int, _frame: object) -> None:
        came.append(kind)
        for each, handler in before.items():
            signal.signal(each, handler)

    for kind in kinds:
        signal.signal(kind, note)
    try:
        yield lambda: bool(came)
    finally:
        for kind, handler in before.items():
            signal.signal(kind, handler)


def _to(batch: dict[str, Tensor], device: torch.device) -> dict[str, Tensor]:
    return {name: tensor.to(device, non_blocking=True) for name, tensor in batch.items()}


def _place(places: np.ndarray[Any, Any], like: Tensor) -> Tensor:
    return torch.from_numpy(places).to(like.device)


def _duration(seconds: float) -> str:
    minutes = round(seconds / 60)
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60} min"
