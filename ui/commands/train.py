"""`train`: models of one's own."""

from __future__ import annotations

import dataclasses
import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cem_rag_app.errors import InputError
from ui.commands.common import emit, json_option, note

if TYPE_CHECKING:
    from cem_rag_app.cem.training.base import Tell
    from cem_rag_app.cem.training.config import TrainingConfig

NUMBERS: tuple[tuple[str, Any, str], ...] = (
    ("limit", int, "Lines of TEXTS that are read; 0 is all."),
    ("epochs", int, "Passes over the data."),
    ("batch_size", int, "Passages a step, which are also one another's negatives."),
    ("accumulate", int, "Parts that a step is computed in, to save memory; negatives stay the whole step's."),
    ("precision", click.Choice(["auto", "float32", "bfloat16"]), "Of the network; auto is what the device is fast at."),
    ("device", click.Choice(["auto", "cpu"]), "Where to train; auto takes a GPU where there is one."),
    ("optimizer.learning_rate", float, "Peak of the learning rate."),
    ("optimizer.weight_decay", float, "Of matrices."),
    ("loss.alpha", float, "Weight of the distillation."),
    ("loss.beta", float, "Weight of InfoNCE."),
    ("loss.gamma", float, "Weight of the triplet loss."),
    ("loss.delta", float, "Weight of the similarity-matrix loss."),
    ("loss.distance", click.Choice(["cosine", "mse"]), "Of the distillation."),
    ("level", int, "zstd level of the training frames."),
    ("held_out", int, "Last passages, kept for measuring."),
    ("held_out_pairs", int, "Pairs that choose the best epoch."),
    ("state_every", int, "Steps between two saved states."),
    ("seed", int, "Of everything random."),
)
"""Field of the recipe, kind, help; the option has the field's last name."""

_LINE_EVERY = 30.0
"""Seconds between two lines of progress where there is no terminal to draw a bar on."""


def number_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add an option for every number of the recipe that is often changed."""
    for name, kind, text in reversed(NUMBERS):
        option = name.rpartition(".")[2]
        flag = "--" + option.replace("_", "-")
        function = click.option(flag, option, type=kind, help=f"{text}  [default: the recipe's]")(function)
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
@click.option(
    "--view",
    type=click.Choice(["symbols", "frame", "ngram"]),
    help="How the model looks at a frame (docs/cem.md).  [default: the recipe's]",
)
@click.option("--language", type=click.Choice(["zh", "en"]), help="Language of TEXTS.  [default: the recipe's]")
@click.option(
    "--recipe",
    type=click.Path(exists=True, path_type=Path),
    help="A checkpoint's folder or a JSON file: train as that one was trained, save what is said here.",
)
@click.option("--resume", is_flag=True, help="Go on with the unfinished run in the output folder.")
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
@click.option("--pair-kind", "pair_kinds", multiple=True, metavar="KIND", help="Pairs that choose.  [default: all]")
@click.option(
    "--cache",
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder that keeps the encoder's vectors from run to run.  [default: teacher-cache in the output folder]",
)
@number_options
@click.option(
    "--set",
    "changes",
    multiple=True,
    metavar="NAME=VALUE",
    help="Any other number of the recipe, such as ngram.words=20000 (docs/training.md).",
)
@json_option
def cem(
    recipe: Path | None, encoder: str | None, resume: bool, changes: tuple[str, ...], as_json: bool, **given: Any
) -> None:
    """Teach a compressed encoder to see in frames what a text encoder sees in text.

    TEXTS holds a passage a line (.txt or .txt.gz). Ctrl-C saves the state of the run; --resume goes on from there, and
    ends in the same weights as if nothing had happened.
    """
    from cem_rag_app.cem.training.run import train_cem

    names = {name.rpartition(".")[2]: name for name, _, _ in NUMBERS}
    said = {names.get(option, option): value for option, value in given.items() if value not in (None, ())}
    config = training_config(recipe, {"teacher": encoder, **said, **dict(map(_change, changes))})
    try:
        with _progress() as progress:
            report = train_cem(config, progress, resume=resume)
    except KeyboardInterrupt as stop:
        note(str(stop) or "Stopped before the first step.")
        raise
    if os.environ.get("RANK", "0") != "0":  # several processes were launched, and the first one tells
        return
    data = {**dataclasses.asdict(report), "checkpoint": str(report.checkpoint)}

    def lines() -> Iterator[str]:
        figures = ", ".join(f"{measure} {value:.4f}" for measure, value in report.metrics.items())
        yield f"{report.checkpoint}: epoch {report.best_epoch}, {figures} ({report.seconds:.0f} s)"

    emit(data, as_json=as_json, lines=lines)


def training_config(recipe: Path | None, given: dict[str, Any]) -> TrainingConfig:
    """Put what was given on top of a recipe, and that on top of the view's defaults.

    Raises:
        InputError: The recipe cannot be read, or nobody says which text encoder to learn from.
        SettingsError: A name or a value of the recipe is not known.
    """
    from cem_rag_app.cem.training.config import build_config

    below = _read_recipe(recipe) if recipe else {}
    above = {name: value for name, value in given.items() if value is not None}
    if "teacher" not in {**below, **above}:
        raise InputError("Which text encoder shall be learned from?", remedy="Name it with --encoder, or a --recipe.")
    return build_config(below, above)


def _read_recipe(path: Path) -> dict[str, Any]:
    from cem_rag_app.cem.training.config import PLACES

    file = path / "config.json" if path.is_dir() else path
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
        content = dict(content.get("recipe", content))
    except (OSError, ValueError, AttributeError, TypeError) as error:
        raise InputError(
            f"no recipe can be read from it ({error}).", file=file, remedy="Give a checkpoint's folder or JSON."
        ) from error
    content.setdefault("view", "ngram")  # recipes of the time when there was one view do not name it
    return {name: value for name, value in content.items() if name not in {*PLACES, "scores"}}


def _change(text: str) -> tuple[str, Any]:
    name, equals, value = text.partition("=")
    if not (name and equals):
        raise InputError(f"--set {text} sets nothing.", remedy="Write NAME=VALUE.")
    try:
        return name, json.loads(value)
    except ValueError:
        return name, value


@contextmanager
def _progress() -> Iterator[Tell]:
    """Draw a bar for each stage on a terminal; elsewhere write a line now and then."""
    from tqdm import tqdm

    bars: list[tuple[str, tqdm[Any]]] = []
    last = {"stage": "", "at": 0.0}

    def draw(done: int, total: int, what: str, detail: str = "", /) -> None:
        if not bars or bars[-1][0] != what:
            for _, earlier in bars:
                earlier.close()
            bars.append((what, tqdm(desc=what, total=total or None, unit="", leave=True)))
        bar = bars[-1][1]
        bar.total = total or None
        bar.set_postfix_str(detail, refresh=False)
        bar.update(done - bar.n)

    def write(done: int, total: int, what: str, detail: str = "", /) -> None:
        now = time.monotonic()
        if what != last["stage"] or now - float(last["at"]) > _LINE_EVERY or (total and done == total):
            last.update(stage=what, at=now)
            count = f" {done} of {total}" if total else ""
            note(f"{what}{count}{', ' if detail else ''}{detail}")

    try:
        yield draw if sys.stderr.isatty() else write
    finally:
        for _, bar in bars:
            bar.close()
