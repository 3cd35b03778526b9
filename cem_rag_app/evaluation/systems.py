"""``cem-rag eval retrieval``: BM25, the teacher, CEM and their fusion on one collection, side by side."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from cem_rag_app.cem.pair import FrameEncoder
from cem_rag_app.errors import SettingsError
from cem_rag_app.evaluation.bm25 import Bm25
from cem_rag_app.evaluation.documents import PackDocuments, TextDocuments, pack_corpus
from cem_rag_app.evaluation.fusion import weighted_sum
from cem_rag_app.evaluation.metrics import retrieval_metrics
from cem_rag_app.evaluation.report import Report
from cem_rag_app.evaluation.retrieval import DEPTH, Scores, search
from cem_rag_app.settings import PackSettings

if TYPE_CHECKING:
    from cem_rag_app.cem.teachers.base import TextEncoder
    from cem_rag_app.evaluation.collections import Collection

SYSTEMS = ("bm25", "teacher", "cem-symbols", "hybrid")
CHUNK_TARGET = 440
BM25_K1 = 1.2
BM25_B = 0.75
HYBRID_WEIGHTS = {"bm25": 0.6, "cem-symbols": 0.4}
"""Chosen by ``python -m scripts.choose_fusion`` on text that nothing is measured on (docs/log.md)."""


def evaluate_retrieval(
    collection: Collection,
    systems: Sequence[str] = SYSTEMS,
    *,
    teacher: str = "auto",
    checkpoint: str | Path | None = None,
    device: str = "cpu",
    query_encoder: TextEncoder | None = None,
    document_encoder: FrameEncoder | None = None,
    pack: PackSettings | None = None,
    chunk_target: int | None = CHUNK_TARGET,
    progress: Callable[[str], None] = lambda _: None,
) -> Report:
    """Evaluate retrieval systems on a collection with exact search.

    Args:
        collection: documents, queries, judgements.
        systems: any of ``bm25``, ``teacher``, ``cem-symbols``, ``hybrid`` (BM25 and CEM, weighted sum).
        teacher: the text encoder of the queries and of the text baseline; ``auto`` goes by language.
        checkpoint: folder of a CEM checkpoint; None takes the one that ships for the teacher.
        device: torch device of teachers that use torch.
        query_encoder: a ready text encoder, instead of ``teacher``.
        document_encoder: a ready compressed encoder, instead of ``checkpoint``.
        pack: level and dictionary of the pack CEM reads.
        chunk_target: bytes of a chunk CEM reads; None takes each document whole.
        progress: told the name of each system before it runs.

    Returns:
        A report whose ``metrics`` hold ``ndcg@10``, ``mrr@10``, ``recall@10``, ``recall@100`` by system.

    Raises:
        SettingsError: an unknown system.
        CheckpointError: no CEM checkpoint lives in the teacher's space.
    """
    unknown = [system for system in systems if system not in SYSTEMS]
    if unknown or not systems:
        raise SettingsError(f"Unknown systems: {', '.join(unknown)}.", remedy=f"Choose from {', '.join(SYSTEMS)}.")
    pack = pack or PackSettings()
    needs_cem = bool({"cem-symbols", "hybrid"} & set(systems))
    if needs_cem or "teacher" in systems:
        query_encoder = query_encoder or _teacher(teacher, collection, device)
    runs: dict[str, Scores] = {}
    settings: dict[str, Any] = {
        "collection": collection.name,
        "documents": len(collection.corpus),
        "queries": len(collection.queries),
        "search": "exact",
        "depth": DEPTH,
    }
    ids = list(collection.corpus)
    if "bm25" in systems or "hybrid" in systems:
        progress("bm25")
        runs["bm25"] = bm25_run(collection)
        settings["bm25"] = {"k1": BM25_K1, "b": BM25_B, "terms": "cem_rag_app.lexical"}
    if "teacher" in systems and query_encoder is not None:
        progress("teacher")
        runs["teacher"] = search(TextDocuments(collection.corpus, query_encoder), ids, collection.queries)
    if query_encoder is not None:
        settings["teacher"] = {"name": query_encoder.name, "dimension": query_encoder.dimension}
    if needs_cem and query_encoder is not None:
        progress("cem-symbols")
        document_encoder = document_encoder or _student(query_encoder.name, checkpoint)
        with tempfile.TemporaryDirectory(prefix="cem-rag-eval-") as folder:
            packed = pack_corpus(collection.corpus, Path(folder) / "corpus.zpkg", pack, chunk_target=chunk_target)
            documents = PackDocuments(packed, document_encoder, query_encoder)
            runs["cem-symbols"] = search(documents, ids, collection.queries)
        settings["cem"] = {
            "checkpoint": document_encoder.name,
            "chunk_target": chunk_target,
            "pooling": "mean of chunk vectors",
            "text_bytes": packed.text_bytes,
            "pack_bytes": packed.pack_bytes,
            "level": pack.level,
        }
    if "hybrid" in systems:
        runs["hybrid"] = weighted_sum([runs[name] for name in HYBRID_WEIGHTS], list(HYBRID_WEIGHTS.values()))
        settings["hybrid"] = {"fusion": "weighted sum of min-max scores", "weights": HYBRID_WEIGHTS}
    return Report(metrics=_metrics(runs, systems, collection), settings=settings)


def bm25_run(collection: Collection) -> Scores:
    """Rank a collection with BM25; documents without a query term are left out."""
    ids = list(collection.corpus)
    index = Bm25(list(collection.corpus.values()), k1=BM25_K1, b=BM25_B)
    run: Scores = {}
    for query, text in collection.queries.items():
        scores = index.scores(text)
        best = np.argsort(-scores, kind="stable")[:DEPTH]
        run[query] = {ids[place]: float(scores[place]) for place in best if scores[place] > 0}
    return run


def _metrics(runs: Mapping[str, Scores], systems: Sequence[str], collection: Collection) -> dict[str, dict[str, float]]:
    return {name: retrieval_metrics(runs[name], collection.qrels) for name in systems}


def _teacher(name: str, collection: Collection, device: str) -> TextEncoder:
    from cem_rag_app.cem.teachers.registry import choose_teacher, load_teacher

    if name == "auto":
        name = choose_teacher(list(collection.corpus.values())[:200])
    return load_teacher(name, device=device)


def _student(teacher: str, checkpoint: str | Path | None) -> FrameEncoder:
    from cem_rag_app.cem.encoder import CompressedEncoder, shipped_checkpoint
    from cem_rag_app.errors import CheckpointError

    folder = checkpoint or shipped_checkpoint(teacher)
    if folder is None:
        raise CheckpointError(
            f"No CEM checkpoint ships for the text encoder {teacher!r}.",
            remedy="Name one, or evaluate other systems: --systems bm25,teacher.",
        )
    encoder = CompressedEncoder.from_pretrained(folder)
    if encoder.teacher != teacher:
        raise CheckpointError(
            f"{folder} was trained for the text encoder {encoder.teacher!r}, not {teacher!r}.",
            remedy=f"Evaluate it with --encoder {encoder.teacher}.",
        )
    return encoder
