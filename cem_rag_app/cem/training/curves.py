"""Loss and nDCG of a run as a picture, drawn from its ``metrics.jsonl``."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cem_rag_app.cem.training.losses import PARTS
from cem_rag_app.files import create_temporary, discard, publish

CURVES = "curves.svg"


def draw_curves(metrics: Path, folder: Path) -> Path:
    """Draw loss against steps, and what is measured against epochs.

    Args:
        metrics: a ``metrics.jsonl``.
        folder: where ``curves.svg`` is written; one that is there is replaced when the new one is whole.

    Returns:
        The picture's path. Equal metrics give equal bytes.
    """
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    lines = [json.loads(line) for line in metrics.read_text(encoding="utf-8").splitlines()]
    steps = [line for line in lines if line["kind"] == "step"]
    epochs = [line for line in lines if line["kind"] == "epoch"]
    # A figure of its own canvas: nothing of matplotlib's global state, and no screen, is touched.
    with rc_context({"svg.hashsalt": "curves", "font.size": 9}):
        figure = Figure(figsize=(10, 4), layout="constrained")
        left, right = figure.subplots(1, 2)
        for name in ("loss", *PARTS):
            _line(left, steps, "step", name, width=1.6 if name == "loss" else 0.9)
        left.set(title="Loss while training, parts without their weights", xlabel="step", ylabel="loss")
        for name, style in (("ndcg@10", "-"), ("teacher_ndcg@10", ":"), ("cosine", "--")):
            _line(right, epochs, "epoch", name, style=style)
        right.set(title="Held-out pairs and passages", xlabel="epoch", ylim=(0, 1))
        for axes in (left, right):
            axes.grid(alpha=0.3)
            if axes.lines:
                axes.legend(fontsize=8)
        file = create_temporary(folder, suffix=".svg.tmp")
        try:
            figure.savefig(file, format="svg", metadata={"Date": None})
            publish(file, folder / CURVES)
        finally:
            discard(file)
    return folder / CURVES


def _line(
    axes: Any, lines: Sequence[dict[str, Any]], over: str, name: str, *, style: str = "-", width: float = 1.4
) -> None:
    points = [(line[over], line[name]) for line in lines if name in line]
    if points:
        axes.plot(
            *zip(*points, strict=True), style, label=name, linewidth=width, marker="." if len(points) < 40 else ""
        )
