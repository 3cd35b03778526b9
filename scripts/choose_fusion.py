"""Sweep the weights of CEM and of the text encoder beside BM25 on a collection that nothing is measured on.

Usage: ``python -m scripts.choose_fusion examples/documents [--data FOLDER] [--checkpoint VIEW=DIR]``
"""

from __future__ import annotations

from pathlib import Path

import click

from cem_rag_app.cem.teachers.registry import choose_teacher, load_teacher
from cem_rag_app.evaluation.collections import load_collection
from cem_rag_app.evaluation.fusion import weighted_sum
from cem_rag_app.evaluation.metrics import retrieval_metrics
from cem_rag_app.evaluation.rankings import Reading, bm25_run, pack_run, text_run
from cem_rag_app.evaluation.students import students_for
from cem_rag_app.settings import PackSettings

WEIGHTS = tuple(step / 10 for step in range(11))


@click.command()
@click.argument("collection")
@click.option("--data", type=click.Path(exists=True, path_type=Path), help="Folder of the collection's files.")
@click.option("--checkpoint", help="Of CEM, instead of the one that ships.")
def main(collection: str, data: Path | None, checkpoint: str | None) -> None:
    """Print nDCG@10 for each weight of CEM and of the text encoder; BM25 has the rest."""
    loaded = load_collection(collection, data)
    teacher = load_teacher(choose_teacher(list(loaded.corpus.values())[:200]))
    student = students_for(["cem-symbols"], teacher.name, [checkpoint] if checkpoint else [])["cem-symbols"]
    lexical = bm25_run(loaded)
    semantic, _ = pack_run(loaded, student, teacher, PackSettings(), Reading("mean"))
    by_teacher = text_run(loaded, teacher, Reading("whole"))
    click.echo(f"{'':3}  {'cem':6}  teacher")
    for weight in WEIGHTS:
        fused = [weighted_sum([lexical, run], [1 - weight, weight]) for run in (semantic, by_teacher)]
        scores = [retrieval_metrics(run, loaded.qrels)["ndcg@10"] for run in fused]
        click.echo(f"{weight:.1f}  {scores[0]:.4f}  {scores[1]:.4f}")


if __name__ == "__main__":
    main()
