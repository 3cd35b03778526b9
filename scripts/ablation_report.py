"""The page and the curves of the ablation."""

from __future__ import annotations

from pathlib import Path
from typing import Any

COLOURS = {"flat": "#444444", "hnsw": "#1b6ca8", "ivf": "#c2571a", "ivfpq": "#3a7d44", "rabitq": "#8e4585"}


def page(results: dict[str, Any]) -> str:
    """The report as Markdown."""
    chosen = results["chosen"]
    versions = ", ".join(f"{name} {number}" for name, number in results["versions"].items())
    weight = "" if chosen.alpha is None else f", α = {chosen.alpha}"
    return "\n".join(
        [
            "# Ablation of the vector service",
            "",
            "Written by `python -m scripts.ablate`; do not edit. "
            f"{results['date']}, {results['machine']}; {versions}. "
            f"{results['library']:,} made parts of {results['dimension']} dimensions in the library, "
            f"{results['queries']} validation and as many test queries; relevant is what has the same label. "
            "Times are milliseconds of one thread's processor time a query, k = 10. "
            "What it means stands in [vector-service.md](vector-service.md).",
            "",
            "## What was chosen, on the test queries",
            "",
            f"Second stage **{chosen.method}**, N = **{chosen.stage_n}**, **{chosen.fusion}**{weight}: "
            "the best P@10 on the validation queries, mAP breaking ties.",
            "",
            *_quality_table(results["tested"]),
            "",
            "The quickest index of each kind with recall@10 of .99 or more against exact search on the validation "
            "queries (or the best recall it reached), asked the test queries:",
            "",
            *_index_table(results["chosen_indexes"]),
            "",
            "![recall against latency](images/ablation-recall-latency.png)",
            "",
            "## Second stage and fusion, validation",
            "",
            *_fusion_table(results["fusions"]),
            "",
            "![precision by weight](images/ablation-fusion.png)",
            "",
            "## Metric, validation",
            "",
            *_quality_table(results["metrics"]),
            "",
            "## Indexes, validation",
            "",
            *_index_table(results["indexes"]),
            "",
            "![mAP against nprobe](images/ablation-map-nprobe.png)",
            "",
            "## A whole search of the collection, test queries",
            "",
            "Index, SQLite catalog, sequences, fusion, metadata.",
            "",
            "| | p50 | p95 | a second |",
            "|---|---|---|---|",
            *(
                f"| {name} | {timing.p50:.2f} | {timing.p95:.2f} | {timing.per_second:,.0f} |"
                for name, timing in results["service"].items()
            ),
            "",
        ]
    )


def _quality_table(rows: dict[str, Any]) -> list[str]:
    return [
        "| | P@10 | R@100 | mAP@100 |",
        "|---|---|---|---|",
        *(
            f"| {name} | {one.precision:.3f} | {one.recall:.3f} | {one.mean_average:.3f} |"
            for name, one in rows.items()
        ),
    ]


def _index_table(rows: list[Any]) -> list[str]:
    return [
        "| index | recall@10 | P@10 | mAP@100 | p50 | p95 | a second | bytes a vector |",
        "|---|---|---|---|---|---|---|---|",
        *(
            f"| {row.name} | {row.recall:.3f} | {row.quality.precision:.3f} | {row.quality.mean_average:.3f} "
            f"| {row.timing.p50:.3f} | {row.timing.p95:.3f} | {row.timing.per_second:,.0f} | {row.bytes_each:,.0f} |"
            for row in rows
        ),
    ]


def _fusion_table(rows: list[Any]) -> list[str]:
    """One line a second stage and N: P@10 / mAP of every fusion."""
    names = list(dict.fromkeys(_fusion_name(row) for row in rows))
    lines = ["P@10, and mAP@100 in brackets; the columns from 0 to 1 are α, with β = 1 - α.", ""]
    lines += [f"| stage, N | {' | '.join(names)} |", "|---" * (len(names) + 1) + "|"]
    for method, stage_n in dict.fromkeys((row.method, row.stage_n) for row in rows):
        cells = {_fusion_name(row): row.quality for row in rows if (row.method, row.stage_n) == (method, stage_n)}
        shown = " | ".join(f"{cells[name].precision:.3f} ({cells[name].mean_average:.3f})" for name in names)
        lines.append(f"| {method}, {stage_n} | {shown} |")
    return lines


def _fusion_name(row: Any) -> str:
    return row.fusion if row.alpha is None else f"{row.alpha:g}"


def draw(results: dict[str, Any], folder: Path) -> None:
    """Write the three pictures."""
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    folder.mkdir(parents=True, exist_ok=True)
    indexes = results["indexes"]

    figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4.2), layout="constrained")
    for name, rows in _curves(indexes).items():
        style = {"label": name, "color": COLOURS[rows[0].kind], "marker": "o", "markersize": 3, "linewidth": 1}
        times = [row.timing.p50 for row in rows]
        left.plot(times, [row.recall for row in rows], **style)
        right.plot(times, [row.quality.precision for row in rows], **style)
    for axes, label in ((left, "recall@10 against exact search"), (right, "P@10 by label")):
        axes.set(xscale="log", xlabel="p50, milliseconds of processor time", ylabel=label)
        axes.grid(alpha=0.3)
    right.legend(fontsize=6, loc="lower right")
    figure.savefig(folder / "ablation-recall-latency.png", dpi=130)

    figure, axes = plt.subplots(figsize=(6, 4), layout="constrained")
    for name, rows in _curves([row for row in indexes if row.kind == "ivf"]).items():
        axes.plot(
            [row.parameters["nprobe"] for row in rows], [row.quality.mean_average for row in rows], "o-", label=name
        )
    exact = next(row for row in indexes if row.kind == "flat")
    axes.axhline(exact.quality.mean_average, color="#444444", linestyle=":", label="exact")
    axes.set(xscale="log", xlabel="nprobe", ylabel="mAP@100 by label")
    axes.set_xticks([1, 2, 4, 8, 16, 32, 64], labels=["1", "2", "4", "8", "16", "32", "64"])
    axes.minorticks_off()
    axes.grid(alpha=0.3)
    axes.legend(fontsize=8)
    figure.savefig(folder / "ablation-map-nprobe.png", dpi=130)

    figure, axes = plt.subplots(figsize=(6, 4), layout="constrained")
    weighted = [row for row in results["fusions"] if row.alpha is not None]
    for method, colour in zip(("aligned", "dtw", "edit"), ("#c2571a", "#1b6ca8", "#3a7d44"), strict=True):
        for stage_n, line in ((50, ":"), (100, "--"), (200, "-")):
            rows = [row for row in weighted if (row.method, row.stage_n) == (method, stage_n)]
            axes.plot(
                [row.alpha for row in rows], [row.quality.precision for row in rows],
                line, color=colour, label=f"{method}, N = {stage_n}",
            )  # fmt: skip
    axes.set(xlabel="α: weight of z (1 - α: weight of the sequence)", ylabel="P@10 by label")
    axes.grid(alpha=0.3)
    axes.legend(fontsize=7)
    figure.savefig(folder / "ablation-fusion.png", dpi=130)
    plt.close("all")


def _curves(rows: list[Any]) -> dict[str, list[Any]]:
    """Rows that differ in their last parameter alone, by what they share."""
    out: dict[str, list[Any]] = {}
    for row in rows:
        out.setdefault(row.name.rsplit(" ", 1)[0] if " " in row.name else row.name, []).append(row)
    return out
