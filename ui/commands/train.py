"""`train`: models of one's own."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import click

from ui.commands.common import emit, json_option, progress_bar


@click.group("train")
def train() -> None:
    """Train a model on a corpus of your own."""


@train.command()
@click.argument("texts", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option(
    "--output", required=True, type=click.Path(file_okay=False, path_type=Path), help="Folder of the checkpoint."
)
@click.option(
    "--encoder", "--teacher", required=True, help="Text encoder to learn from, whose space the model will share."
)
@click.option("--name", default="cem", show_default=True, help="Name of the checkpoint.")
@click.option(
    "--vectors",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="The encoder's vectors of the first lines of TEXTS (.npy).  [default: the encoder is asked]",
)
@click.option(
    "--pairs",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="TSV of kind, query, passage, held out; chooses the best epoch by nDCG@10.  [default: by cosine]",
)
@click.option("--language", type=click.Choice(["zh", "en"]), default="en", show_default=True, help="Language of TEXTS.")
@click.option("--limit", default=0, show_default=True, type=click.IntRange(0), help="Passages at most; 0 is all.")
@click.option("--epochs", default=20, show_default=True, type=click.IntRange(1), help="Passes over the data.")
@click.option("--batch-size", default=1024, show_default=True, type=click.IntRange(2), help="Passages a step.")
@click.option("--seed", default=0, show_default=True, help="Of everything random.")
@json_option
def cem(
    texts: Path,
    output: Path,
    encoder: str,
    name: str,
    vectors: Path | None,
    pairs: Path | None,
    language: Literal["zh", "en"],
    limit: int,
    epochs: int,
    batch_size: int,
    seed: int,
    as_json: bool,
) -> None:
    """Teach a compressed encoder to see in frames what a text encoder sees in text.

    TEXTS holds a passage a line (.txt or .txt.gz).
    """
    from cem_rag_app.cem.training import TrainingConfig, train_cem

    config = TrainingConfig(
        teacher=encoder,
        texts=texts,
        output=output,
        name=name,
        vectors=vectors,
        pairs=pairs,
        language=language,
        limit=limit,
        epochs=epochs,
        batch_size=batch_size,
        seed=seed,
    )
    with progress_bar() as progress:
        report = train_cem(config, progress=lambda done, total, what: progress(what, done, total))
    data = {**dataclasses.asdict(report), "checkpoint": str(report.checkpoint)}

    def lines() -> Iterator[str]:
        figures = ", ".join(f"{measure} {value:.4f}" for measure, value in report.metrics.items())
        yield f"{report.checkpoint}: epoch {report.best_epoch}, {figures} ({report.seconds:.0f} s)"

    emit(data, as_json=as_json, lines=lines)
