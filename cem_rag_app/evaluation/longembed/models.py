"""From the name of a model to what ranks a collection with it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cem_rag_app.errors import CheckpointError
from cem_rag_app.evaluation.collections import Collection
from cem_rag_app.evaluation.documents import Pooling
from cem_rag_app.evaluation.rankings import (
    BM25_B,
    BM25_K1,
    CHUNK_TARGET,
    Reading,
    bm25_run,
    frame_settings,
    pack_run,
    random_run,
    text_run,
)
from cem_rag_app.evaluation.retrieval import Scores
from cem_rag_app.evaluation.static import MADE_BY, TABLE, StaticEncoder
from cem_rag_app.evaluation.students import STUDENTS, students_for
from cem_rag_app.settings import PackSettings

if TYPE_CHECKING:
    from cem_rag_app.cem.pair import FrameEncoder

FRAMES_POOLING: Pooling = "max"
"""How CEM reads a long document here where nothing else is said (docs/longembed.md, *Long documents*)."""


@dataclass(frozen=True, slots=True)
class Model:
    """A model under test."""

    name: str
    rank: Callable[[Collection], Scores]
    settings: dict[str, Any] = field(default_factory=dict)
    """What decides its figures; a run is resumed only where they are the same."""


def load_model(
    name: str,
    *,
    device: str = "cpu",
    batch_size: int | None = None,
    bfloat16: bool = False,
    pooling: Pooling | None = None,
    chunk_target: int = CHUNK_TARGET,
    static: str | Path | None = None,
    teacher: str = "minilm-en",
    pack: PackSettings | None = None,
) -> Model:
    """Load a model.

    Args:
        name: ``bm25``, ``random``, ``static``, ``teacher``; ``cem`` or a system's name (``cem-ngram``), for what ships
            for the teacher; the folder or shipped name of a CEM checkpoint; or a text encoder: as ``load_teacher``
            takes it, or the folder or hub name of a sentence-transformers model.
        device: torch device.
        batch_size: texts a forward pass, of encoders that use torch.
        bfloat16: run MiniLM in bfloat16.
        pooling: how documents longer than a chunk are read; None: best chunk by CEM, whole by encoders of text.
        chunk_target: bytes of a chunk.
        static: folder of the static baseline's table.
        teacher: the text encoder behind ``teacher``, ``cem`` and the systems' names.
        pack: level and dictionary of the packs CEM reads.

    Raises:
        CheckpointError: there is no such checkpoint or table.
    """
    if name == "bm25":
        return Model(name, bm25_run, {"k1": BM25_K1, "b": BM25_B})
    if name == "random":
        return Model(name, random_run)
    text = Reading(pooling or "whole", chunk_target)
    if name == "static":
        if static is None:
            raise CheckpointError("The static table is not shipped.", remedy=f"Make it: {MADE_BY}; name it: --static.")
        table = StaticEncoder.load(static)
        facts = {"table": _digest(Path(static) / TABLE), "encoder": table.name, **text.facts()}
        return Model(name, lambda collection: text_run(collection, table, text), facts)
    from cem_rag_app.cem.teachers.registry import load_teacher

    student = _student(name, teacher)
    if student is not None:
        query = load_teacher(student.teacher, device=device, batch_size=batch_size, bfloat16=bfloat16)
        frames = Reading(pooling or FRAMES_POOLING, chunk_target)
        packed = pack or PackSettings()
        facts = {
            "checkpoint": student.name,
            "weights": getattr(student, "fingerprint", ""),
            "teacher": query.name,
            "revision": getattr(query, "revision", ""),
            **frames.facts(),
        }
        return Model(
            student.name,
            lambda collection: pack_run(collection, student, query, packed, frames)[0],
            facts | {"level": frame_settings(student, packed).level, "bfloat16_queries": bfloat16},
        )
    name = teacher if name == "teacher" else name
    if Path(name).is_dir() or ("/" in name and ":" not in name):
        name = f"sentence-transformers:{name}"
    encoder = load_teacher(name, device=device, batch_size=batch_size, bfloat16=bfloat16)
    facts = {"encoder": encoder.name, "read": encoder.pooling, **text.facts(), "bfloat16": bfloat16}
    return Model(encoder.name, lambda collection: text_run(collection, encoder, text), facts)


def _student(name: str, teacher: str) -> FrameEncoder | None:
    """Return the student of that name, folder or system; None where the name means no student."""
    from cem_rag_app.cem.encoder import CompressedEncoder

    system = "cem-symbols" if name == "cem" else name
    if system in STUDENTS:
        return students_for([system], teacher)[system]
    if name.startswith("cem-") or _holds_student(Path(name)):
        return CompressedEncoder.from_pretrained(name)
    return None


def _holds_student(folder: Path) -> bool:
    """Whether a folder is a CEM checkpoint, and not one of transformers', which have a configuration too."""
    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(config, dict) and str(config.get("format", "")).startswith("cem-")


def _digest(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()[:16]
