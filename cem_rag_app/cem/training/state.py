"""A run that can be killed: everything the next step depends on, in one file that is there whole or not at all.

``state.safetensors`` holds the weights, the optimizer's means and, as JSON in the file's own metadata, how far the run
is and which run it is. Random generators are not in it: each step seeds its own (`schedule`), so the number of steps
that are done is the state of all of them, and of the order of the data too. Reading it cannot run code.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from cem_rag_app.errors import CheckpointError
from cem_rag_app.files import create_temporary, discard, full_disk_named, publish

STATE = "state.safetensors"
_VERSION = 1
_AGAIN = "Delete it and train from the start."


@dataclass
class Position:
    """How far a run is.

    Attributes:
        step: steps that are done.
        measured: the last epoch that was measured, -1 for none.
        total: the losses of the epoch's steps so far, summed.
        best_epoch: the epoch kept, -1 for none.
        best: what was measured of it.
        log_bytes: length of ``metrics.jsonl``.
    """

    step: int = 0
    measured: int = -1
    total: float = 0.0
    best_epoch: int = -1
    best: dict[str, float] = field(default_factory=dict)
    log_bytes: int = 0


def save_state(
    folder: Path, module: nn.Module, optimizer: Optimizer, position: Position, identity: Mapping[str, Any]
) -> None:
    """Write the state, replacing the one before only when the new one is on the disk.

    Raises:
        DiskFullError: there is no room; the state before is still there.
    """
    from safetensors.torch import save

    tensors = _collect(module, optimizer)
    run = json.dumps({"position": asdict(position), "identity": dict(identity)})
    metadata = {"version": str(_VERSION), "run": run, "checksum": str(_checksum(tensors, run))}
    path = folder / STATE
    with full_disk_named(path, safe="the state before is still whole"):
        file = create_temporary(folder, suffix=".state.tmp")
        try:
            file.write(save(tensors, metadata=metadata))
            publish(file, path)
        finally:
            discard(file)


def load_state(folder: Path, module: nn.Module, optimizer: Optimizer, identity: Mapping[str, Any]) -> Position:
    """Put a run back where it was: weights, optimizer, position.

    Raises:
        CheckpointError: there is no state, it is damaged, or it belongs to another run; nothing was changed.
    """
    from safetensors import SafetensorError, safe_open

    path = folder / STATE
    if not path.is_file():
        raise CheckpointError(f"There is no {STATE} in {folder} to go on from.", remedy="Train without --resume.")
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata()
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - no mapping
        version, checksum = metadata["version"], metadata["checksum"]
        run: dict[str, Any] = json.loads(metadata["run"])
        position = Position(**run["position"])
        there: dict[str, Any] = dict(run["identity"])
    except (SafetensorError, OSError, ValueError, KeyError, TypeError) as error:
        raise CheckpointError(f"{path} cannot be read ({error}).", remedy=_AGAIN) from error
    if version != str(_VERSION):
        raise CheckpointError(f"{path} has version {version}; this release goes on from {_VERSION}.", remedy=_AGAIN)
    if checksum != str(_checksum(tensors, metadata["run"])):
        raise CheckpointError(f"{path} is damaged: its checksum is another.", remedy=_AGAIN)
    _compare(path, there, identity)
    _restore(path, tensors, module, optimizer)
    return position


def remove_state(folder: Path) -> None:
    """Forget a finished run's state."""
    (folder / STATE).unlink(missing_ok=True)


def _compare(path: Path, there: Mapping[str, Any], here: Mapping[str, Any]) -> None:
    """Raise where a state belongs to another run, and name what differs."""
    old, new = _flat(there), _flat(here)
    different = [name for name in sorted({*old, *new}) if old.get(name) != new.get(name)]
    if not different:
        return
    said = ", ".join(f"{name} is {new.get(name)!r} and was {old.get(name)!r}" for name in different[:4])
    more = f", and {len(different) - 4} more" if len(different) > 4 else ""
    raise CheckpointError(
        f"{path} belongs to another run: {said}{more}.",
        remedy="Give the options it was started with, name another --output, or delete it to train from the start.",
    )


def _flat(mapping: Mapping[str, Any], before: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in mapping.items():
        if isinstance(value, Mapping):
            flat.update(_flat(value, f"{before}{name}."))
        else:
            flat[before + name] = list(value) if isinstance(value, tuple) else value
    return flat


def _collect(module: nn.Module, optimizer: Optimizer) -> dict[str, Tensor]:
    tensors = {f"module.{name}": tensor for name, tensor in module.state_dict().items()}
    for number, values in optimizer.state_dict()["state"].items():
        tensors.update({f"optimizer.{number}.{name}": torch.as_tensor(value) for name, value in values.items()})
    seen: set[int] = set()
    for name, tensor in tensors.items():
        tensors[name] = plain = tensor.detach().cpu().contiguous()
        if plain.data_ptr() in seen:  # one parameter under two names; the format wants each tensor's own bytes
            tensors[name] = plain.clone()
        seen.add(plain.data_ptr())
    return tensors


def _restore(path: Path, tensors: dict[str, Tensor], module: nn.Module, optimizer: Optimizer) -> None:
    weights = {name[7:]: tensor for name, tensor in tensors.items() if name.startswith("module.")}
    expected = {name: tuple(tensor.shape) for name, tensor in module.state_dict().items()}
    if expected != {name: tuple(tensor.shape) for name, tensor in weights.items()}:
        raise CheckpointError(f"{path} holds the weights of another network.", remedy=_AGAIN)
    means: dict[int, dict[str, Tensor]] = {}
    for name, tensor in tensors.items():
        kind, _, rest = name.partition(".")
        if kind == "optimizer":
            number, _, key = rest.partition(".")
            means.setdefault(int(number), {})[key] = tensor
    groups = optimizer.param_groups
    shapes = [tuple(parameter.shape) for group in groups for parameter in group["params"]]
    for place, parts in means.items():
        if place >= len(shapes) or any(part.ndim and tuple(part.shape) != shapes[place] for part in parts.values()):
            raise CheckpointError(f"{path} holds the optimizer of another network.", remedy=_AGAIN)
    module.load_state_dict(weights)
    optimizer.load_state_dict({"state": means, "param_groups": optimizer.state_dict()["param_groups"]})


def _checksum(tensors: Mapping[str, Tensor], run: str) -> int:
    value = zlib.crc32(run.encode())
    for name in sorted(tensors):
        tensor = tensors[name]
        value = zlib.crc32(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode(), value)
        content: Any = tensor.reshape(-1).view(torch.uint8).numpy()
        value = zlib.crc32(content, value)
    return value
