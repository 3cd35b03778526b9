"""Which student plays which system of an evaluation: a checkpoint that is named, or the one that ships."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import get_args

from cem_rag_app.cem.pair import FrameEncoder
from cem_rag_app.cem.records import View
from cem_rag_app.errors import CheckpointError, SettingsError

STUDENTS: dict[str, tuple[View, ...]] = {
    "cem-symbols": ("symbols", "ngram"),
    "cem-frame": ("frame",),
    "cem-ngram": ("ngram",),
}
"""System -> the views that can play it, best first. A bag of n-grams reads the frame's symbols too: it plays
``cem-symbols`` where no sequence model ships for the teacher, and the report's ``view`` says so."""


def students_for(
    systems: Sequence[str], teacher: str, checkpoints: Sequence[str | Path] = ()
) -> dict[str, FrameEncoder]:
    """Load the student of every system that needs one.

    Args:
        systems: names; those that no student plays are passed over.
        teacher: name of the text encoder whose space they must live in.
        checkpoints: folders, ``VIEW=FOLDER`` or names of shipped ones; each takes the place of the shipped one of
            its view.

    Returns:
        System -> student, in the order of ``systems``.

    Raises:
        CheckpointError: a system has none, or a checkpoint learned from another teacher or has another view than said.
        SettingsError: a checkpoint that none of the systems uses.
    """
    from cem_rag_app.cem.encoder import CompressedEncoder, shipped_checkpoint

    given = dict(_named(each, teacher) for each in checkpoints)
    chosen: dict[str, FrameEncoder] = {}
    used: set[View] = set()
    for system in systems:
        # What is named goes before what ships, but not to two systems.
        views = [v for v in STUDENTS.get(system, ()) if f"cem-{v}" == system or f"cem-{v}" not in systems]
        view = next((v for v in views if v in given), None)
        if view is not None:
            chosen[system] = given[view]
            used.add(view)
            continue
        folder = next((found for v in STUDENTS.get(system, ()) if (found := shipped_checkpoint(teacher, v))), None)
        if folder is not None:
            chosen[system] = CompressedEncoder.from_pretrained(folder)
        elif system in STUDENTS:
            raise CheckpointError(
                f"No CEM checkpoint of the view {STUDENTS[system][0]!r} ships for the text encoder {teacher!r}.",
                remedy=f"Name one: --checkpoint {STUDENTS[system][0]}=DIR, or leave {system} out of --systems.",
            )
    idle = sorted(set(given) - used)
    if idle:
        raise SettingsError(
            f"No system uses the checkpoint {given[idle[0]].name!r}.", remedy=f"Add cem-{idle[0]} to --systems."
        )
    return chosen


def _named(checkpoint: str | Path, teacher: str) -> tuple[View, FrameEncoder]:
    from cem_rag_app.cem.encoder import CompressedEncoder

    said, _, folder = str(checkpoint).partition("=")
    if said not in get_args(View):
        said, folder = "", str(checkpoint)
    encoder = CompressedEncoder.from_pretrained(folder)
    if said and said != encoder.view:
        raise CheckpointError(f"{folder} has the view {encoder.view!r}, not {said!r}.", remedy="Name its own view.")
    if encoder.teacher != teacher:
        raise CheckpointError(
            f"{folder} was trained for the text encoder {encoder.teacher!r}, not {teacher!r}.",
            remedy=f"Evaluate it with --encoder {encoder.teacher}.",
        )
    return encoder.view, encoder
