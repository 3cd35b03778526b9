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


@evaluate.command()
@click.option(
    "--model",
    default="cem",
    show_default=True,
    metavar="NAME|DIR",
    help="cem, cem-symbols, cem-frame, cem-ngram, teacher, bm25, static, random, a CEM checkpoint, or a text encoder: "
    "its name here, a folder, or a sentence-transformers name.",
)
@click.option(
    "--tasks",
    multiple=True,
    help="passkey, needle, qmsum, narrativeqa, 2wikimqa, summscreenfd, qmsum-questions; by comma, or repeated.  "
    "[default: the first six]",
)
@click.option(
    "--output-dir",
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder of results_summary.json and a folder a task; a run that was stopped goes on there.  "
    "[default: results/MODEL]",
)
@click.option("--device", default="cpu", show_default=True, help="Torch device of encoders that use torch.")
@click.option("--batch-size", type=click.IntRange(min=1), help="Texts a forward pass.  [default: the encoder's own]")
@click.option("--bfloat16", is_flag=True, help="Run MiniLM in bfloat16.")
@click.option(
    "--data",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Folder with QMSum's val.jsonl and test.jsonl, or the folder above it.",
)
@click.option(
    "--lengths",
    default="256,512,1024,2048,4096,8192,16384,32768",
    show_default=True,
    help="Tokens of the documents of passkey and needle, by comma.",
)
@static_option
@click.option(
    "--pooling",
    type=click.Choice(["mean", "max", "whole"]),
    help="How a document longer than a chunk is read: mean of its chunks' vectors, its best chunk, or all at once.  "
    "[default: max by CEM, whole by encoders of text]",
)
@click.option("--chunk-target", type=click.IntRange(min=1), default=440, show_default=True, help="Bytes of a chunk.")
@json_option
def longembed(
    model: str,
    tasks: tuple[str, ...],
    output_dir: Path | None,
    device: str,
    batch_size: int | None,
    bfloat16: bool,
    data: Path | None,
    lengths: str,
    static: Path | None,
    pooling: Pooling | None,
    chunk_target: int,
    as_json: bool,
) -> None:
    """Find long documents by one detail: LongEmbed's tasks with one model, beside published figures."""
    from cem_rag_app.errors import SettingsError
    from cem_rag_app.evaluation.longembed.models import load_model
    from cem_rag_app.evaluation.longembed.runner import BENCHMARK, run_longembed, task_names

    names = task_names([name for given in tasks for name in given.split(",") if name]) or list(BENCHMARK)
    try:
        sizes = [int(length) for length in lengths.split(",")]
    except ValueError as error:
        raise SettingsError(f"{lengths!r} is no list of lengths.", remedy="Give tokens by comma: 256,512.") from error
    loaded = load_model(
        model,
        device=device,
        batch_size=batch_size,
        bfloat16=bfloat16,
        pooling=pooling,
        chunk_target=chunk_target,
        static=static,
        pack=settings_for().pack,
    )
    folder = output_dir or Path("results") / loaded.name.replace("/", "_").replace(":", "_")
    report = run_longembed(loaded, names, folder, data=data, lengths=sizes, progress=note)
    print_report(report, as_json=as_json, lines=lambda: _long_table(report))


def _table(report: Report) -> Iterator[str]:
    facts = report.settings
    yield f"{facts['collection']}: {facts['documents']} documents, {facts['queries']} queries"
    yield f"{'':14}" + "".join(f"{measure:>12}" for measure in MEASURES)
    for system, figures in report.metrics.items():
        yield f"{system:14}" + "".join(f"{figures[measure]:12.4f}" for measure in MEASURES)


def _long_table(report: Report) -> Iterator[str]:
    """Draw the summary: a task a line, ours, then what others published."""
    published = report.settings["published"]["tasks"]
    yield f"{'':16}{'measure':>9}{report.settings['model'][:24]:>26}" + "".join(f"{name:>36}" for name in published)
    for task, figures in report.metrics.items():
        if "not_run" in figures:
            yield f"{task:16}  not run: {figures['not_run']}"
        elif task != "average":
            others = "".join(f"{scores.get(task, float('nan')):36.4f}" for scores in published.values())
            yield f"{task:16}{figures['measure']:>9}{figures['score']:26.4f}{others}"
    for task, figures in report.metrics.items():
        if len(figures.get("splits", {})) > 1:
            yield f"{task}: " + "  ".join(
                f"{split} {point[figures['measure']]:.2f}" for split, point in figures["splits"].items()
            )
    average = report.metrics["average"]
    if average["of"]:
        yield f"mean of {', '.join(average['of'])}: {average['score']:.4f}"
    yield "The columns after ours are published figures, not measured here (docs/longembed.md)."
