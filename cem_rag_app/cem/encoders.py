"""The pair a memory needs: a text encoder for queries, a compressed-bytes encoder for documents, in one space."""

from __future__ import annotations

from pathlib import Path

from cem_rag_app.cem.encoder import CompressedEncoder, shipped_checkpoint
from cem_rag_app.cem.pair import Encoders
from cem_rag_app.cem.teachers.registry import load_teacher
from cem_rag_app.errors import CheckpointError, DimensionError


def load_encoders(
    name: str,
    *,
    checkpoint: str | Path | None = None,
    device: str = "cpu",
    api_key: str | None = None,
    base_url: str | None = None,
) -> Encoders:
    """Load the pair for a teacher.

    Args:
        name: the teacher's name, as `load_teacher` takes it.
        checkpoint: folder of a student trained for it; None: the one that ships with the package.
        device: torch device of teachers that use torch.
        api_key: key for ``gemini``.
        base_url: another address of the Gemini API.

    Raises:
        CheckpointError: no student is known for that teacher, or the given one learned from another.
        DimensionError: the student's vectors are not as wide as the teacher's.
    """
    folder = checkpoint if checkpoint is not None else shipped_checkpoint(name)
    if folder is None:
        raise CheckpointError(
            f"No shipped checkpoint lives in the space of {name!r}.",
            remedy=f"Train one into the memory: cem-rag train cem TEXTS --teacher {name} --output MEMORY/model",
        )
    document = CompressedEncoder.from_pretrained(folder)
    if document.teacher != name:
        raise CheckpointError(
            f"The checkpoint {document.name!r} learned from {document.teacher!r}, not from {name!r}.",
            remedy="Name the checkpoint that was trained for this text encoder.",
        )
    query = load_teacher(name, device=device, api_key=api_key, base_url=base_url)
    if query.dimension != document.dimension:
        raise DimensionError(
            f"{name!r} has {query.dimension} dimensions, its student {document.dimension}.",
            remedy="Train the student again for this teacher.",
        )
    return Encoders(query, document)
