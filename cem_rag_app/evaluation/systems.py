"""``cem-rag eval retrieval``: BM25, the teacher, CEM and their fusions on one collection, side by side."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cem_rag_app.cem.pair import FrameEncoder
from cem_rag_app.errors import CheckpointError, SettingsError
from cem_rag_app.evaluation.documents import Pooling
from cem_rag_app.evaluation.fusion import weighted_sum
from cem_rag_app.evaluation.metrics import retrieval_metrics
from cem_rag_app.evaluation.rankings import (
    BM25_B,
    BM25_K1,
    CHUNK_TARGET,
    Reading,
    bm25_run,
    pack_run,
    random_run,
    text_run,
)
from cem_rag_app.evaluation.report import Report
from cem_rag_app.evaluation.retrieval import DEPTH, Scores
from cem_rag_app.evaluation.static import MADE_BY, StaticEncoder
from cem_rag_app.evaluation.students import STUDENTS, students_for
from cem_rag_app.settings import PackSettings

if TYPE_CHECKING:
    from cem_rag_app.cem.teachers.base import TextEncoder
    from cem_rag_app.evaluation.collections import Collection

FUSIONS = {
    "hybrid": {"bm25": 0.6, "cem-symbols": 0.4},
    "teacher-hybrid": {"bm25": 0.4, "teacher": 0.6},
}
"""System -> what it adds up, with the weight of each. Chosen by ``python -m scripts.choose_fusion`` on text that
nothing is measured on (docs/log/evaluation.md)."""

SYSTEMS = ("random", "bm25", "teacher", "static", *STUDENTS, *FUSIONS)
DEFAULT_SYSTEMS = ("bm25", "teacher", "cem-symbols", "hybrid")


def evaluate_retrieval(
    collection: Collection,
    systems: Sequence[str] = DEFAULT_SYSTEMS,
    *,
    teacher: str = "auto",
    checkpoints: Sequence[str | Path] = (),
    static: str | Path | None = None,
    device: str = "cpu",
    query_encoder: TextEncoder | None = None,
    students: Mapping[str, FrameEncoder] | None = None,
    pack: PackSettings | None = None,
    pooling: Pooling | None = None,
    chunk_target: int = CHUNK_TARGET,
    progress: Callable[[str], None] = lambda _: None,
) -> Report:
    """Evaluate retrieval systems on a collection with exact search.

    Args:
        collection: documents, queries, judgements.
        systems: any of :data:`SYSTEMS`.
        teacher: the text encoder of the queries and of the text baseline; ``auto`` goes by language.
        checkpoints: folders of CEM checkpoints, ``VIEW=FOLDER`` where the view is to be checked; each takes the place
            of the one of its view that ships for the teacher.
        static: folder of the static baseline's table.
        device: torch device of teachers that use torch.
        query_encoder: a ready text encoder, instead of ``teacher``.
        students: ready compressed encoders by system, instead of ``checkpoints``.
        pack: level and dictionary of the pack CEM reads.
        pooling: how documents longer than a chunk are read; None: the mean of their chunks by CEM, whole by encoders
            of text.
        chunk_target: bytes of a chunk.
        progress: told the name of each system before it runs.

    Returns:
        A report whose ``metrics`` hold ``ndcg@10``, ``mrr@10``, ``recall@10``, ``recall@100`` by system.

    Raises:
        SettingsError: an unknown system, or a checkpoint that no system uses.
        CheckpointError: a system's checkpoint or table is not there, or is another teacher's.
    """
    check_systems(systems)
    needed = _needed(systems)
    by_text = Reading(pooling or "whole", chunk_target)
    by_frames = Reading(pooling or "mean", chunk_target)
    settings: dict[str, Any] = {
        "collection": collection.name,
        "documents": len(collection.corpus),
        "queries": len(collection.queries),
        "search": "exact",
        "depth": DEPTH,
    }
    if {"teacher", *STUDENTS} & set(needed):
        query_encoder = query_encoder or _teacher(teacher, collection, device)
        settings["teacher"] = {"name": query_encoder.name, "dimension": query_encoder.dimension}
        if students is None:
            students = students_for(needed, query_encoder.name, checkpoints)
    table = _static(static) if "static" in needed else None
    runs: dict[str, Scores] = {}
    for system in needed:
        progress(system)
        if system == "random":
            runs[system] = random_run(collection)
        elif system == "bm25":
            runs[system] = bm25_run(collection)
            settings["bm25"] = {"k1": BM25_K1, "b": BM25_B, "terms": "cem_rag_app.lexical"}
        elif system == "static" and table is not None:
            runs[system] = text_run(collection, table, by_text)
            settings["static"] = {"name": table.name, "words": len(table.words), **by_text.facts()}
        elif system == "teacher" and query_encoder is not None:
            runs[system] = text_run(collection, query_encoder, by_text)
            settings["teacher"] |= by_text.facts()
        elif query_encoder is not None and students is not None:
            runs[system], facts = pack_run(
                collection, students[system], query_encoder, pack or PackSettings(), by_frames
            )
            settings["cem" if system == "cem-symbols" else system] = facts
    for system in (name for name in FUSIONS if name in systems):
        weights = FUSIONS[system]
        runs[system] = weighted_sum([runs[name] for name in weights], list(weights.values()))
        settings[system] = {"fusion": "weighted sum of min-max scores", "weights": weights}
    metrics = {name: retrieval_metrics(runs[name], collection.qrels) for name in systems}
    return Report(metrics=metrics, settings=settings)


def check_systems(systems: Sequence[str]) -> None:
    """Refuse names that are none of :data:`SYSTEMS`, and an empty list.

    Raises:
        SettingsError: names them.
    """
    unknown = [system for system in systems if system not in SYSTEMS]
    if unknown or not systems:
        raise SettingsError(f"Unknown systems: {', '.join(unknown)}.", remedy=f"Choose from {', '.join(SYSTEMS)}.")


def _needed(systems: Sequence[str]) -> list[str]:
    """Return what has to be ranked: the systems and what the fusions add up, in the order of :data:`SYSTEMS`."""
    wanted = {name for system in systems for name in FUSIONS.get(system, (system,))}
    return [system for system in SYSTEMS if system in wanted]


def _teacher(name: str, collection: Collection, device: str) -> TextEncoder:
    from cem_rag_app.cem.teachers.registry import choose_teacher, load_teacher

    if name == "auto":
        name = choose_teacher(list(collection.corpus.values())[:200])
    return load_teacher(name, device=device)


def _static(folder: str | Path | None) -> StaticEncoder:
    if folder is None:
        raise CheckpointError(
            "The static baseline's table is not shipped.", remedy=f"Make it: {MADE_BY}; then name it: --static DIR."
        )
    return StaticEncoder.load(folder)
