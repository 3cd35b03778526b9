"""`bench search`, and `bench storage --peers`: our memory and other stores under the same load."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

import click

from cem_rag_app.errors import InputError
from ui.commands.common import json_option, note, print_report

Decorated = TypeVar("Decorated", bound=Callable[..., Any])

_K = 10
LOAD_FILE = "load.json"
"""In the workspace: what its load was made from."""


def peers_options(function: Decorated) -> Decorated:
    """Add the options of a comparison."""
    options = (
        click.option("--peers", metavar="A,B,…", help="Other stores beside ours, or `all`: extra `peers`."),
        click.option(
            "--workspace",
            type=click.Path(file_okay=False, path_type=Path),
            default=Path("peers-bench"),
            show_default=True,
            help="Folder for the load, the stores and the results; what is there is not made again.",
        ),
        click.option(
            "--queries",
            type=click.Path(exists=True, dir_okay=False, path_type=Path),
            help="BEIR queries whose texts are asked.  [default: queries.jsonl beside the corpus]",
        ),
        click.option("--query-count", default=500, show_default=True, type=click.IntRange(1), help="Queries at most."),
        click.option(
            "--rounds", default=3, show_default=True, type=click.IntRange(1), help="Of which the best counts."
        ),
        click.option(
            "--target", default=0.97, show_default=True, type=click.FloatRange(0, 1), help="Recall@10 to reach."
        ),
        click.option(
            "--peers-python",
            default=sys.executable,
            metavar="PROGRAM",
            help="Python that has the peers.  [default: this]",
        ),
        click.option("--again", is_flag=True, help="Search once more what has been searched."),
    )
    for option in reversed(options):
        function = option(function)
    return function


@click.command()
@click.option(
    "--corpus",
    required=True,
    type=click.Path(exists=True, path_type=Path),
    help="English BEIR corpus: corpus.jsonl or the folder it lies in.",
)
@click.option("-n", "count", default=100_000, show_default=True, type=click.IntRange(1), help="Chunks at most.")
@peers_options
@json_option
def search(corpus: Path, count: int, as_json: bool, **options: Any) -> None:
    """Time searches at equal recall: ours and, with --peers, other stores'."""
    from stores.peers.report import search_metrics

    results = measured(corpus, count, options)
    _print(
        search_metrics(results, options["target"]),
        results,
        corpus,
        count,
        options,
        as_json=as_json,
        lines=_search_lines,
    )


def compare_storage(corpus: Path | None, count: int, options: dict[str, Any], *, as_json: bool) -> None:
    """`bench storage --peers`: what the same rows take in each store."""
    from stores.peers.report import storage_metrics

    if corpus is None:
        raise click.UsageError("--peers needs a --corpus to store.")
    results = measured(corpus, count, options)
    _print(
        storage_metrics(results, options["target"]),
        results,
        corpus,
        count,
        options,
        as_json=as_json,
        lines=_storage_lines,
    )


def measured(corpus: Path, count: int, options: dict[str, Any]) -> list[dict[str, Any]]:
    """Ours first, then the peers asked for.

    Raises:
        SettingsError: a peer that is not known.
        InputError: no queries, or the workspace holds the load of another corpus, count or queries.
    """
    from cem_rag_app.cem.encoders import load_encoders
    from stores.peers.base import OURS, PEERS, load_peer
    from stores.peers.preparing import QUERIES_FILE, prepare, query_texts
    from stores.peers.runner import Runner
    from stores.peers.workload import EXACT, Workload

    given = options["peers"] or ""
    names = [name for name in PEERS if name != OURS] if given == "all" else [n for n in given.split(",") if n]
    for name in names:
        load_peer(name)
    folder = options["workspace"] / "workload"
    source = options["queries"] or (corpus if corpus.is_dir() else corpus.parent) / QUERIES_FILE
    load = {
        "--corpus": str(corpus.resolve()),
        "-n": count,
        "--queries": str(source.resolve()),
        "--query-count": options["query_count"],
    }
    if (folder / EXACT).exists():
        _compare_load(options["workspace"] / LOAD_FILE, load)
        workload = Workload.open(folder)
    else:
        if not source.exists():
            raise InputError("there are no queries.", file=source, remedy="Give --queries FILE.")
        note("making the load: chunks, the vectors of their frames, queries, an exact search")
        vectors = load_encoders("minilm-en").query.encode_queries(query_texts(source, options["query_count"]))
        (options["workspace"] / LOAD_FILE).parent.mkdir(parents=True, exist_ok=True)
        (options["workspace"] / LOAD_FILE).write_text(json.dumps(load, indent=1), encoding="utf-8")
        workload = prepare(folder, corpus, count, vectors, k=_K)
    runner = Runner(options["workspace"], workload, options["peers_python"], options["rounds"], _K, note)
    return [result for name in (OURS, *names) for result in runner.measure(name, again=options["again"])]


def _compare_load(file: Path, load: dict[str, Any]) -> None:
    """Refuse a workspace that was made from something else than what would be reported."""
    if not file.exists():
        note(f"{file.parent} does not say what its load was made from: it is taken as it is")
        return
    made = json.loads(file.read_bytes())
    different = [f"{name} {made.get(name)}, not {value}" for name, value in load.items() if made.get(name) != value]
    if different:
        raise InputError(
            f"its load was made with {'; '.join(different)}.",
            file=file.parent,
            remedy="Ask for the same again, or give another --workspace.",
        )


def _print(
    metrics: dict[str, Any],
    results: Sequence[dict[str, Any]],
    corpus: Path,
    count: int,
    options: dict[str, Any],
    *,
    as_json: bool,
    lines: Callable[[dict[str, Any]], Iterator[str]],
) -> None:
    from cem_rag_app.evaluation.report import Report, versions

    settings = {
        "corpus": str(corpus),
        "chunks": next((result["rows"] for result in results if "rows" in result), count),
        "queries": next((result["queries"] for result in results if "queries" in result), 0),
        "k": _K,
        "target": options["target"],
        "rounds": options["rounds"],
        "threads": 1,
    }
    found = {key: value for result in results for key, value in result.get("versions", {}).items()}
    report = Report(metrics=metrics, settings=settings, versions={**found, **versions()})
    print_report(report, as_json=as_json, lines=lambda: lines(metrics))


def _search_lines(metrics: dict[str, Any]) -> Iterator[str]:
    yield f"{'store':28}{'recall':>8}{'p50 ms':>9}{'p95 ms':>9}{'1 % ms':>9}{'recall':>8}{'.1 % ms':>9}{'recall':>8}"
    for name, row in metrics.items():
        if "error" in row:
            yield f"{name:28}  {row['error']}"
            continue
        yield (
            f"{name:28}{row['recall@10']:8.3f}{row['p50_ms']:9.2f}{row['p95_ms']:9.2f}"
            f"{row['filtered_1pct_p50_ms']:9.2f}{row['filtered_1pct_recall@10']:8.3f}"
            f"{row['filtered_01pct_p50_ms']:9.2f}{row['filtered_01pct_recall@10']:8.3f}"
            + ("" if row["reached"] else "  below the target at every setting")
        )


def _storage_lines(metrics: dict[str, Any]) -> Iterator[str]:
    yield f"{'store':28}{'bytes':>14}{'/ text':>8}{'syncs a write':>15}"
    for name, row in metrics.items():
        if "error" in row:
            yield f"{name:28}  {row['error']}"
            continue
        syncs = f"{row['syncs_per_write']:15.1f}" if "syncs_per_write" in row else f"{'-':>15}"
        yield f"{name:28}{row['bytes']['total']:14,}{row['ratio']:8.2f}{syncs}"
