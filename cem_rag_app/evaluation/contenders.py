"""Who takes part in a bench: the students that live in a text encoder's space, and that encoder itself."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from cem_rag_app.cem.encoder import CompressedEncoder, shipped_checkpoint
from cem_rag_app.cem.records import View
from cem_rag_app.cem.teachers.registry import MINILM_EN, load_teacher
from cem_rag_app.errors import CheckpointError, SettingsError

if TYPE_CHECKING:
    import torch

    from cem_rag_app.cem.teachers.base import TextEncoder

VIEWS: tuple[View, ...] = ("symbols", "ngram", "frame")


def load_students(
    teacher: str, checkpoints: Sequence[str | Path] = (), *, device: str = "cpu"
) -> dict[str, CompressedEncoder]:
    """Load students by the names of their systems: ``cem-`` and the view.

    Args:
        teacher: name of the text encoder.
        checkpoints: folders or shipped names; none takes every one that ships for the teacher, a view each.
        device: torch device of the models that have one.

    Returns:
        The students in the order given. A second one of a view has its own name behind the view's.

    Raises:
        CheckpointError: none ships for the teacher, or one cannot be read or learned from another teacher.
        SettingsError: torch knows no such device, or it is not to be had here.
    """
    _device(device)
    paths: list[str | Path] = list(checkpoints)
    if not paths:
        shipped = (shipped_checkpoint(teacher, view) for view in VIEWS)
        paths = [folder for folder in shipped if folder is not None]
    if not paths:
        raise CheckpointError(
            f"No student ships for the text encoder {teacher!r}.", remedy="Name a checkpoint, or another encoder."
        )
    found: dict[str, CompressedEncoder] = {}
    for path in paths:
        student = CompressedEncoder.from_pretrained(path).to(device)
        if student.teacher != teacher:
            raise CheckpointError(
                f"{path} learned from {student.teacher!r}, not from {teacher!r}.",
                remedy=f"Run it with --encoder {student.teacher}.",
            )
        system = f"cem-{student.view}"
        found[system if system not in found else f"{system}:{student.name}"] = student
    return found


def with_bfloat16(
    encoder: TextEncoder, *, device: str = "cpu", batch_size: int | None = None
) -> dict[str, TextEncoder]:
    """The text encoder, and itself in bfloat16 where both it and the device know that.

    Returns:
        ``teacher`` and, of ``minilm-en`` on a device with such units, ``teacher-bfloat16``.

    Raises:
        SettingsError: torch knows no such device, or it is not to be had here.
    """
    import torch

    from cem_rag_app.cem.training.device import resolve_precision

    place = _device(device)
    found: dict[str, TextEncoder] = {"teacher": encoder}
    if encoder.name == MINILM_EN and resolve_precision("auto", place) is torch.bfloat16:
        found["teacher-bfloat16"] = load_teacher(MINILM_EN, device=device, batch_size=batch_size, bfloat16=True)
    return found


def _device(name: str) -> torch.device:
    import torch

    try:
        place = torch.device(name)
        torch.empty(1, device=place)
    except (RuntimeError, AssertionError) as error:
        why = str(error).partition("\n")[0].rstrip(".")
        raise SettingsError(f"The device {name!r} cannot be used ({why}).", remedy="Use --device cpu.") from error
    return place
