"""`eval`: measuring quality."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ui.commands.common import json_option, note, print_report, settings_for

if TYPE_CHECKING:
    from cem_rag_app.evaluation.report import Report

MEASURES = ("ndcg@10", "mrr@10", "recall@10", "recall@100")


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
    "--systems", default="bm25,teacher,cem-symbols,hybrid", show_default=True, help="Which to compare, by comma."
)
@click.option("--encoder", "--teacher", default="auto", show_default=True, help="Text encoder; auto goes by language.")
@click.option(
    "--checkpoint",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Folder of a CEM checkpoint.  [default: the one shipped for the text encoder]",
)
@json_option
def retrieval(
    collection: str, data: Path | None, systems: str, encoder: str, checkpoint: Path | None, as_json: bool
) -> None:
    """Rank a collection with BM25, the text encoder, CEM and their fusion, side by side."""
    from cem_rag_app.evaluation.collections import load_collection
    from cem_rag_app.evaluation.systems import evaluate_retrieval
    from ui.app import text_encoder

    settings = settings_for()
    report = evaluate_retrieval(
        load_collection(collection, data),
        tuple(name.strip() for name in systems.split(",") if name.strip()),
        query_encoder=None if encoder == "auto" else text_encoder(settings, encoder),
        checkpoint=checkpoint,
        device=settings.device,
        pack=settings.pack,
        progress=lambda system: note(f"{system} ..."),
    )
    print_report(report, as_json=as_json, lines=lambda: _table(report))


def _table(report: Report) -> Iterator[str]:
    facts = report.settings
    yield f"{facts['collection']}: {facts['documents']} documents, {facts['queries']} queries"
    yield f"{'':14}" + "".join(f"{measure:>12}" for measure in MEASURES)
    for system, figures in report.metrics.items():
        yield f"{system:14}" + "".join(f"{figures[measure]:12.4f}" for measure in MEASURES)
