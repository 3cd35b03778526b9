"""``cem-rag eval longembed``: one model on the tasks, resumed where it was stopped.

::

    DIR/results_summary.json   a report: every task's score, its lengths, published figures beside
    DIR/TASK/SPLIT.json        one measured point: passkey/256.json … needle/32768.json, qmsum/all.json
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from cem_rag_app.errors import InputError, SettingsError
from cem_rag_app.evaluation.collections import Collection
from cem_rag_app.evaluation.longembed.hub import HUB_TASKS, NotRunError, run_on_hub
from cem_rag_app.evaluation.longembed.models import Model
from cem_rag_app.evaluation.longembed.published import PAPER_AVERAGES, PUBLISHED
from cem_rag_app.evaluation.longembed.qmsum import load_qmsum
from cem_rag_app.evaluation.longembed.synthetic import DOCUMENTS, LENGTHS, QUERIES, needle, passkey
from cem_rag_app.evaluation.metrics import mean, ndcg, retrieval_metrics
from cem_rag_app.evaluation.report import Report

SYNTHETIC = {"passkey": passkey, "needle": needle}
READ = {"qmsum": "answer", "qmsum-questions": "query"}
"""Task over QMSum -> what asks."""

BENCHMARK = ("passkey", "needle", "qmsum", *HUB_TASKS)
"""The six that LongEmbed averages over."""
TASKS = (*BENCHMARK, "qmsum-questions")
SUMMARY = "results_summary.json"
ALL = "all"


def task_names(given: Sequence[str]) -> list[str]:
    """Return tasks by our names, once each: ``LongEmbedRetrieval/Passkey`` and ``LEMBPasskeyRetrieval`` are known too.

    Raises:
        SettingsError: there is no such task.
    """
    names: dict[str, None] = {}
    for name in given:
        plain = name.rpartition("/")[2].lower().removeprefix("lemb").removesuffix("retrieval")
        plain = {"wikimqa": "2wikimqa", "2wikimultihopqa": "2wikimqa"}.get(plain, plain)
        if plain not in TASKS:
            raise SettingsError(f"There is no LongEmbed task {name!r}.", remedy=f"Choose from {', '.join(TASKS)}.")
        names[plain] = None
    return list(names)


def run_longembed(
    model: Model,
    tasks: Sequence[str],
    output: Path,
    *,
    data: Path | None = None,
    lengths: Sequence[int] = LENGTHS,
    documents: int = DOCUMENTS,
    queries: int = QUERIES,
    seed: int = 0,
    progress: Callable[[str], None] = lambda _: None,
) -> Report:
    """Run a model on tasks, writing every point as it is measured.

    A point that is there already, of the same model with the same settings, is not measured again.

    Args:
        model: what is tested.
        tasks: any of :data:`TASKS`.
        output: folder of the results; made when missing.
        data: folder with QMSum's files, or the folder above it.
        lengths: tokens of the documents that are made.
        documents: made at each length.
        queries: asked at each length.
        seed: of what is made.
        progress: told what is done before it is done.

    Returns:
        The report that is also written as ``results_summary.json``: ``metrics`` by task with ``measure``, ``score``
        (mean over the splits) and ``splits``, or with ``not_run`` and the reason; and ``average``.

    Raises:
        SettingsError: an unknown task, or lengths that cannot be made.
        InputError: QMSum is asked for and not there.
    """
    tasks = task_names(tasks)
    made = {"documents": documents, "queries": queries, "seed": seed}
    folder = _qmsum_folder(data) if set(READ) & set(tasks) else None
    metrics: dict[str, Any] = {}
    for task in tasks:
        measure = "ndcg@1" if task in SYNTHETIC else "ndcg@10"
        try:
            splits: dict[str, dict[str, float]] = {}
            for split, measured in _points(task, model, folder, lengths, made):
                progress(f"{task} {split} ...")
                splits[split] = _kept(output / task / f"{split}.json", model, made, measured)
        except NotRunError as reason:
            metrics[task] = {"not_run": str(reason)}
            continue
        score = sum(figures[measure] for figures in splits.values()) / len(splits)
        metrics[task] = {"measure": measure, "score": round(score, 5), "splits": splits}
    metrics["average"] = _average(metrics)
    settings = {
        "model": model.name,
        **model.settings,
        "lengths": list(lengths),
        **made,
        "published": {"tasks": PUBLISHED, "paper_averages": PAPER_AVERAGES},
    }
    report = Report(metrics=metrics, settings=settings)
    _write(output / SUMMARY, report.model_dump(mode="json"))
    return report


def score(run: dict[str, dict[str, float]], collection: Collection) -> dict[str, float]:
    """Return nDCG@1 and the figures of every retrieval report."""
    return {"ndcg@1": round(mean(ndcg, run, collection.qrels, 1), 5), **retrieval_metrics(run, collection.qrels)}


Point = tuple[str, Callable[[], dict[str, float]]]


def _points(
    task: str, model: Model, folder: Path | None, lengths: Sequence[int], made: dict[str, int]
) -> Iterator[Point]:
    """Yield a task's splits, each with the function that measures it."""

    def ranked(collection: Collection) -> dict[str, float]:
        return score(model.rank(collection), collection)

    if task in SYNTHETIC:
        for length in lengths:
            yield str(length), lambda length=length: ranked(SYNTHETIC[task](length, **made))  # type: ignore[misc]
    elif task in READ and folder is not None:
        where = folder
        yield ALL, lambda: ranked(load_qmsum(where, ask=READ[task]))
    else:
        yield ALL, lambda: run_on_hub(task, model)


def _kept(path: Path, model: Model, made: dict[str, int], measure: Callable[[], dict[str, float]]) -> dict[str, float]:
    """Return a point from its file, or measure and write it."""
    known = {"model": model.name, "settings": model.settings, "made": made}
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        found = None
    if isinstance(found, dict) and {key: found.get(key) for key in known} == known:
        return dict(found["metrics"])
    figures = measure()
    _write(path, {**known, "metrics": figures})
    return figures


def _write(path: Path, data: dict[str, Any]) -> None:
    """Write JSON so that the file is there whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile("w", encoding="utf-8", dir=path.parent, suffix=".tmp", delete=False) as file:
        json.dump(data, file, ensure_ascii=False, indent=2)
    Path(file.name).replace(path)


def _average(metrics: dict[str, Any]) -> dict[str, Any]:
    """Return the mean score of the benchmark's tasks that were run, and which they were."""
    scores = {task: metrics[task]["score"] for task in BENCHMARK if "score" in metrics.get(task, {})}
    if not scores:
        return {"score": None, "of": []}
    return {"score": round(sum(scores.values()) / len(scores), 5), "of": list(scores)}


def _qmsum_folder(data: Path | None) -> Path:
    if data is None:
        raise InputError("The files of QMSum are not shipped.", remedy="Say where they lie: --data DIR.")
    nested = data / "qmsum"
    return nested if nested.is_dir() else data
