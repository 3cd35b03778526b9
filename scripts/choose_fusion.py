"""Sweep the weight of CEM beside BM25 on a collection that nothing is measured on.

Usage: ``python -m scripts.choose_fusion examples/documents [--data FOLDER]``
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import click

from cem_rag_app.cem.encoders import load_encoders
from cem_rag_app.cem.teachers.registry import choose_teacher
from cem_rag_app.evaluation.collections import load_collection
from cem_rag_app.evaluation.documents import PackDocuments, pack_corpus
from cem_rag_app.evaluation.fusion import weighted_sum
from cem_rag_app.evaluation.metrics import retrieval_metrics
from cem_rag_app.evaluation.retrieval import search
from cem_rag_app.evaluation.systems import CHUNK_TARGET, bm25_run
from cem_rag_app.settings import PackSettings

WEIGHTS = tuple(step / 10 for step in range(11))


@click.command()
@click.argument("collection")
@click.option("--data", type=click.Path(exists=True, path_type=Path), help="Folder of the collection's files.")
def main(collection: str, data: Path | None) -> None:
    """Print nDCG@10 for each weight of CEM; BM25 has the rest."""
    loaded = load_collection(collection, data)
    encoders = load_encoders(choose_teacher(list(loaded.corpus.values())[:200]))
    lexical = bm25_run(loaded)
    with tempfile.TemporaryDirectory() as folder:
        packed = pack_corpus(loaded.corpus, Path(folder) / "corpus.zpkg", PackSettings(), chunk_target=CHUNK_TARGET)
        documents = PackDocuments(packed, encoders.document, encoders.query)
        semantic = search(documents, list(loaded.corpus), loaded.queries)
    for weight in WEIGHTS:
        run = weighted_sum([lexical, semantic], [1 - weight, weight])
        click.echo(f"{weight:.1f}  {retrieval_metrics(run, loaded.qrels)['ndcg@10']:.4f}")


if __name__ == "__main__":
    main()
