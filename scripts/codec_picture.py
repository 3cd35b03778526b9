"""Draw the codec study: bytes a chunk against retrieval, speed and chunk size."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cem_rag_app.errors import EmptyInputError, MissingDependencyError
from scripts.codec_tables import Point, frontier, quality, scored

if TYPE_CHECKING:
    from matplotlib.axes import Axes

COLOURS = {
    "cem-symbols": "#1f5fa8",
    "cem-ngram": "#3a8f4d",
    "cem-frame": "#b5432e",
    "probe": "#d98c2b",
    "probe-text": "#8a8a8a",
}
NAMES = {"probe": "undecoded bytes (probe)", "probe-text": "text (probe)"}
CHUNK = 440


def draw(points: Sequence[Point], path: Path) -> None:
    """Write the picture as SVG, the same bytes for the same points.

    Raises:
        EmptyInputError: no point has a score.
        MissingDependencyError: matplotlib is not installed.
    """
    try:
        import matplotlib as mpl
        from matplotlib.figure import Figure
    except ModuleNotFoundError as error:
        raise MissingDependencyError("Drawing needs matplotlib.", remedy='pip install "cem-rag[bench]"') from error
    known = scored(points)
    if not known:
        raise EmptyInputError("No point of the study has a score.", remedy="Run it to its end.")
    with mpl.rc_context(
        {"svg.hashsalt": "codec-study", "font.size": 9, "axes.spines.top": False, "axes.spines.right": False}
    ):
        figure = Figure(figsize=(11, 4), layout="constrained")
        quality_axes, speed_axes, chunk_axes = figure.subplots(1, 3)
        _quality(quality_axes, [point for point in known if point["chunk_target"] == CHUNK])
        _speed(speed_axes, known)
        _chunks(chunk_axes, known)
        figure.savefig(path, format="svg", metadata={"Date": None})


def _views(points: Sequence[Point]) -> dict[str, list[Point]]:
    return {view: [p for p in points if p["view"] == view] for view in dict.fromkeys(p["view"] for p in points)}


def _style(view: str) -> dict[str, Any]:
    base = view.partition(":")[0]
    return {"color": COLOURS.get(base, "#555555"), "label": NAMES.get(view, view)}


def _quality(axes: Axes, points: Sequence[Point]) -> None:
    for view, own in _views(points).items():
        line = sorted(own, key=lambda point: point["bytes_per_chunk"])
        style = _style(view)
        flat = len({round(quality(point), 5) for point in own}) == 1
        axes.plot(
            [point["bytes_per_chunk"] for point in line],
            [quality(point) for point in line],
            marker=".",
            linestyle="-" if flat and len(own) > 1 else "none",
            linewidth=1,
            **style,
        )
        best = frontier(own)
        axes.plot(
            [point["bytes_per_chunk"] for point in best],
            [quality(point) for point in best],
            linestyle=":",
            linewidth=1,
            color=style["color"],
        )
    best = frontier(points)
    axes.plot(
        [point["bytes_per_chunk"] for point in best],
        [quality(point) for point in best],
        linestyle="none",
        marker="o",
        markersize=9,
        markerfacecolor="none",
        markeredgecolor="black",
        label="frontier of all",
    )
    axes.set(
        title=f"Retrieval, chunks of {CHUNK} bytes", xlabel="bytes a chunk, dictionary apart", ylabel="nDCG@10, mean"
    )
    axes.set_ylim(bottom=0)
    axes.legend(frameon=False, fontsize=7)


def _speed(axes: Axes, points: Sequence[Point]) -> None:
    timed = [p for p in points if p["chunk_target"] == CHUNK and "chunks_per_second" in p]
    for number, (view, own) in enumerate(_views(timed).items()):
        for part, marker in (("whole", "."), ("reading", "x"), ("parser", "^")):
            pairs = [
                (p["bytes_per_chunk"], p["chunks_per_second"][part]) for p in own if part in p["chunks_per_second"]
            ]
            if pairs and (part != "parser" or number == 0):  # the parser is the same for all
                label = {"whole": view, "reading": f"{view}, reading alone", "parser": "parser alone"}[part]
                axes.plot(
                    *zip(*pairs, strict=True),
                    marker,
                    color="#8a8a8a" if part == "parser" else _style(view)["color"],
                    label=label,
                    markersize=4,
                )
    axes.set(title="Speed, parsed and encoded", xlabel="bytes a chunk, dictionary apart", ylabel="chunks a second")
    axes.set_yscale("log")
    if timed:
        # Between the students and their readers nothing is drawn.
        axes.legend(frameon=False, fontsize=7, loc="lower right", bbox_to_anchor=(1.0, 0.2))


def _chunks(axes: Axes, points: Sequence[Point]) -> None:
    sizes = [p for p in points if p["level"] == 19 and p["dictionary"] == "general" and not p["raw_literals"]]
    drawn = False
    for view, own in _views(sizes).items():
        line = sorted(own, key=lambda point: point["chunk_target"])
        if len(line) < 2:
            continue
        drawn = True
        for name, style in zip(line[0]["ndcg@10"], ("-", "--", ":"), strict=False):
            scores = [point["ndcg@10"][name] for point in line]
            label = f"{view}, {name}"
            axes.plot(
                [p["chunk_target"] for p in line], scores, style, marker=".", color=_style(view)["color"], label=label
            )
    axes.set(title="Chunk size", xlabel="bytes of text a chunk", ylabel="nDCG@10")
    axes.set_ylim(bottom=0)
    if drawn:
        axes.legend(frameon=False, fontsize=7)
