"""Draw the stores side by side and print their table: ``python -m scripts.peers_picture WORKSPACE --output FILE.png``.

WORKSPACE is the folder that ``cem-rag bench search --peers`` left, or a file with its results.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cem_rag_app.errors import EmptyInputError, MissingDependencyError
from stores.peers.base import OURS, PEERS
from stores.peers.report import TARGET, at_target, filtered, name_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_HEAD = (
    "| store | disk / text | recall@10 | p50 ms | p95 ms | CPU ms | 1 % filter: default | tuned "
    "| .1 % filter: default | tuned | open ms | memory MB | build s | syncs a write |"
)


def read_results(path: Path) -> list[dict[str, Any]]:
    """Results of a workspace or of a file, ours first, peers in their listed order; failures are left out.

    Raises:
        EmptyInputError: there is none.
    """
    if path.is_file():
        found = json.loads(path.read_text(encoding="utf-8"))
    else:
        found = [json.loads(file.read_text(encoding="utf-8")) for file in sorted(path.glob("results/*/*.json"))]
    known = [result for result in found if "curve" in result]
    if not known:
        raise EmptyInputError(
            "there is no result in it.", file=path, remedy="Run `cem-rag bench search --peers` first."
        )
    return sorted(known, key=lambda result: list(PEERS).index(result["peer"]))


def table(results: Sequence[dict[str, Any]], target: float) -> str:
    """The Markdown table: one row a build, at the fastest setting that reaches the target."""
    lines = [_HEAD, "|---" + "|---:" * (_HEAD.count("|") - 2) + "|"]
    for result in results:
        row = at_target(result, target)
        cells = [
            name_of(result),
            f"{result['bytes'] / result['text_bytes']:.2f}",
            f"{row['recall']:.3f}" + ("" if row["reached"] else " (its best)"),
            f"{row['p50_ms']:.2f}",
            f"{row['p95_ms']:.2f}",
            f"{row['cpu_ms']:.2f}" if "cpu_ms" in row else "-",
        ]
        for scope in ("percent", "permille"):
            for mode in ("default", "tuned"):
                point = filtered(result, scope, mode)
                cells.append(f"{point['recall']:.3f}, {point['p50_ms']:.2f} ms")
        syncs = result.get("syncs")
        cells += [
            f"{result['open_ms']:.0f}",
            f"{result['rss_mb']:.0f} ({result['rss_library_mb']:.0f})",
            f"{result['build_s']:.0f}",
            f"{syncs['per_write']:.1f}" if syncs else "-",
        ]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def draw(results: Sequence[dict[str, Any]], path: Path, target: float) -> None:
    """Write the picture: recall against time for every build, and disk against time at the target.

    Raises:
        MissingDependencyError: matplotlib is not installed.
    """
    try:
        import matplotlib as mpl
        from matplotlib.figure import Figure
    except ModuleNotFoundError as error:
        raise MissingDependencyError("Drawing needs matplotlib.", remedy='pip install "cem-rag[bench]"') from error
    with mpl.rc_context({"font.size": 8, "axes.spines.top": False, "axes.spines.right": False}):
        figure = Figure(figsize=(12, 4.6), layout="constrained", dpi=130)
        curves, sizes = figure.subplots(1, 2)
        colours = dict(zip(PEERS, mpl.colormaps["tab10"].colors, strict=False))
        _curves(curves, results, colours, target)
        _sizes(sizes, results, colours, target)
        figure.savefig(path, metadata={"Software": None})


def _curves(axes: Axes, results: Sequence[dict[str, Any]], colours: dict[str, Any], target: float) -> None:
    styles = {}
    for result in results:
        second = result["peer"] in styles
        styles[result["peer"]] = True
        best, points = 0.0, []
        for point in sorted(result["curve"], key=lambda point: point["p50_ms"]):  # what a slower one does not beat
            if point["recall"] > best:
                best = point["recall"]
                points.append(point)
        axes.plot(
            [point["p50_ms"] for point in points],
            [point["recall"] for point in points],
            marker="o",
            markersize=3,
            linestyle="--" if second else "-",
            linewidth=2.2 if result["peer"] == OURS else 1,
            color=colours[result["peer"]],
            label=name_of(result),
        )
    axes.axhline(target, color="#888888", linewidth=0.8, linestyle=":")
    axes.set(
        title="One query, k = 10 with texts, one thread", xlabel="median, ms", ylabel="recall@10", ylim=(0.85, 1.003)
    )
    axes.set_xscale("log")
    axes.legend(frameon=False, fontsize=7, ncols=2, loc="lower right")


def _sizes(axes: Axes, results: Sequence[dict[str, Any]], colours: dict[str, Any], target: float) -> None:
    for result in results:
        row = at_target(result, target)
        ratio = result["bytes"] / result["text_bytes"]
        axes.plot(
            ratio,
            row["p50_ms"],
            marker="o",
            markersize=10 if result["peer"] == OURS else 6,
            color=colours[result["peer"]],
            fillstyle="full" if row["reached"] else "none",
        )
        axes.annotate(name_of(result), (ratio, row["p50_ms"]), xytext=(5, 4), textcoords="offset points", fontsize=7)
    axes.axvline(1.0, color="#888888", linewidth=0.8, linestyle=":")
    axes.set(
        title=f"At recall {target:g} (hollow: not reached)",
        xlabel="disk / plain text, text included",
        ylabel="median, ms",
    )
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xticks([0.5, 1, 2, 4, 8, 16], labels=["0.5", "1", "2", "4", "8", "16"])


@click.command()
@click.argument("source", type=click.Path(exists=True, path_type=Path))
@click.option("--output", type=click.Path(dir_okay=False, path_type=Path), help="The picture.")
@click.option("--keep", type=click.Path(dir_okay=False, path_type=Path), help="All results in one JSON file.")
@click.option("--target", default=TARGET, show_default=True, type=click.FloatRange(0, 1), help="Recall@10 to reach.")
def main(source: Path, output: Path | None, keep: Path | None, target: float) -> None:
    """Print the table of SOURCE; draw it, keep it."""
    results = read_results(source)
    click.echo(table(results, target))
    if keep is not None:
        keep.write_text(json.dumps(results, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    if output is not None:
        draw(results, output, target)


if __name__ == "__main__":
    main()
