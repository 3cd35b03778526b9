"""`train`: models of one's own."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cem_rag_app.errors import InputError
from ui.commands.common import emit, json_option, progress_bar

if TYPE_CHECKING:
    from cem_rag_app.cem.training.config import TrainingConfig

PATHS = ("texts", "output", "vectors", "pairs", "cache")
"""What a recipe never says: it is about where things lie on one machine."""

NUMBERS: tuple[tuple[str, type[int | float], str], ...] = (
    ("limit", int, "Passages at most; 0 is all."),
    ("epochs", int, "Passes over the data."),
    ("batch_size", int, "Passages a step, which are also one another's negatives."),
    ("learning_rate", float, "Peak of the learning rate."),
    ("words", int, "Vocabulary of words (English)."),
    ("word_pairs", int, "Vocabulary of word pairs (English)."),
    ("grams", int, "Vocabulary of character n-grams (Chinese)."),
    ("buckets", int, "Rows for the letter n-grams of unknown words (English)."),
    ("rank", int, "Width of a feature's vector."),
    ("hidden", int, "Width of the correction network; 0 for none."),
    ("held_out", int, "Last passages, kept for measuring."),
    ("held_out_pairs", int, "Pairs that choose the best epoch."),
    ("seed", int, "Of everything random."),
)


def number_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add an option for every number of the recipe."""
    for name, kind, text in reversed(NUMBERS):
        flag = "--" + name.replace("_", "-")
        function = click.option(flag, type=kind, help=f"{text}  [default: the recipe's]")(function)
    return function


@click.group("train")
def train() -> None:
    """Train a model on a corpus of your own."""


@train.command()
@click.argument("texts", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option(
    "--output", required=True, type=click.Path(file_okay=False, path_type=Path), help="Folder of the checkpoint."
)
@click.option(
    "--encoder",
    "--teacher",
    metavar="NAME",
    help="Text encoder to learn from, whose space the model will share.  [default: the recipe's]",
)
@click.option("--name", metavar="NAME", help="Name of the checkpoint.  [default: the recipe's]")
@click.option("--language", type=click.Choice(["zh", "en"]), help="Language of TEXTS.  [default: the recipe's]")
@click.option(
    "--recipe",
    type=click.Path(exists=True, path_type=Path),
    help="A checkpoint's folder or a JSON file: train as that one was trained, save what is said here.",
)
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
@number_options
@json_option
def cem(recipe: Path | None, encoder: str | None, as_json: bool, **given: Any) -> None:
    """Teach a compressed encoder to see in frames what a text encoder sees in text.

    TEXTS holds a passage a line (.txt or .txt.gz).
    """
    from cem_rag_app.cem.training.run import train_cem

    config = training_config(recipe, {"teacher": encoder, **given})
    with progress_bar() as progress:
        report = train_cem(config, progress=lambda done, total, what: progress(what, done, total))
    data = {**dataclasses.asdict(report), "checkpoint": str(report.checkpoint)}

    def lines() -> Iterator[str]:
        figures = ", ".join(f"{measure} {value:.4f}" for measure, value in report.metrics.items())
        yield f"{report.checkpoint}: epoch {report.best_epoch}, {figures} ({report.seconds:.0f} s)"

    emit(data, as_json=as_json, lines=lines)


def training_config(recipe: Path | None, given: dict[str, Any]) -> TrainingConfig:
    """Put what was given on top of a recipe, and that on top of the defaults.

    Raises:
        InputError: The recipe cannot be read, or nobody says which text encoder to learn from.
    """
    from cem_rag_app.cem.training.config import TrainingConfig
    from cem_rag_app.cem.training.losses import LossWeights

    values = {**(_read_recipe(recipe) if recipe else {}), **{k: v for k, v in given.items() if v is not None}}
    if "teacher" not in values:
        raise InputError("Which text encoder shall be learned from?", remedy="Name it with --encoder, or a --recipe.")
    if isinstance(values.get("loss"), dict):
        values["loss"] = LossWeights(**values["loss"])
    return TrainingConfig(**values)


def _read_recipe(path: Path) -> dict[str, Any]:
    from cem_rag_app.cem.training.config import TrainingConfig

    file = path / "config.json" if path.is_dir() else path
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
        content = content.get("recipe", content)
    except (OSError, ValueError, AttributeError) as error:
        raise InputError(
            f"no recipe can be read from it ({error}).", file=file, remedy="Give a checkpoint's folder or JSON."
        ) from error
    known = {field.name for field in dataclasses.fields(TrainingConfig)} - set(PATHS)
    scores = {name for name, value in content.items() if isinstance(value, dict)} - {"loss"}  # measured, not chosen
    return {name: value for name, value in content.items() if name in known - scores}
