"""`eval`: measuring quality."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ui.commands.common import json_option, note, print_report, settings_for

if TYPE_CHECKING:
    from cem_rag_app.evaluation.documents import Pooling
    from cem_rag_app.evaluation.report import Report

MEASURES = ("ndcg@10", "mrr@10", "recall@10", "recall@100")

static_option = click.option(
    "--static",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Folder of the static baseline's table (python -m scripts.make_static).",
)
pooling_option = click.option(
    "--pooling",
    type=click.Choice(["mean", "max", "whole"]),
    help="How a document longer than a chunk is read: mean of its chunks' vectors, its best chunk, or all at once.  "
    "[default: mean by CEM, whole by encoders of text]",
)


@click.group("eval")
def evaluate() -> None:
    """Measure quality on a collection."""


@evaluate.command()
@click.option(
    "--collection",
    required=True,
    metavar="NAME|DIR",
    help="cranfield, cisi, madial-zh, drcd, or a folder in BEIR's form (corpus.jsonl, queries.jsonl, qrels/test.tsv).",
)
@click.option(
    "--data",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Folder with the collection's files, or the folder above it.",
)
@click.option(
    "--systems",
    default="bm25,teacher,cem-symbols,hybrid",
    show_default=True,
    help="Which to compare, by comma; also random, static, cem-frame, cem-ngram, teacher-hybrid.",
)
@click.option("--encoder", "--teacher", default="auto", show_default=True, help="Text encoder; auto goes by language.")
@click.option(
    "--checkpoint",
    "checkpoints",
    multiple=True,
    metavar="[VIEW=]DIR",
    help="Folder of a CEM checkpoint; may be repeated, one a view.  [default: those shipped for the text encoder]",
)
@static_option
@pooling_option
@click.option("--chunk-target", type=click.IntRange(min=1), default=440, show_default=True, help="Bytes of a chunk.")
@json_option
def retrieval(
    collection: str,
    data: Path | None,
    systems: str,
    encoder: str,
    checkpoints: tuple[str, ...],
    static: Path | None,
    pooling: Pooling | None,
    chunk_target: int,
    as_json: bool,
) -> None:
    """Rank a collection with BM25, the text encoder, CEM and their fusions, side by side."""
    from cem_rag_app.evaluation.collections import load_collection
    from cem_rag_app.evaluation.systems import check_systems, evaluate_retrieval
    from ui.app import text_encoder

    names = tuple(name.strip() for name in systems.split(",") if name.strip())
    check_systems(names)
    settings = settings_for()
    report = evaluate_retrieval(
        load_collection(collection, data),
        names,
        query_encoder=None if encoder == "auto" else text_encoder(settings, encoder),
        checkpoints=checkpoints,
        static=static,
        device=settings.device,
        pack=settings.pack,
        pooling=pooling,
        chunk_target=chunk_target,
        progress=lambda system: note(f"{system} ..."),
    )
    print_report(report, as_json=as_json, lines=lambda: _table(report))


def _table(report: Report) -> Iterator[str]:
    facts = report.settings
    yield f"{facts['collection']}: {facts['documents']} documents, {facts['queries']} queries"
    yield f"{'':14}" + "".join(f"{measure:>12}" for measure in MEASURES)
    for system, figures in report.metrics.items():
        yield f"{system:14}" + "".join(f"{figures[measure]:12.4f}" for measure in MEASURES)
