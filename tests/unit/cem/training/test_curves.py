"""The picture of a run."""

from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree

from cem_rag_app.cem.training.curves import draw_curves

LINES = [
    {"kind": "epoch", "epoch": 0, "step": 0, "loss": None, "cosine": 0.1, "ndcg@10": 0.2, "teacher_ndcg@10": 0.6},
    {"kind": "step", "step": 1, "loss": 1.0, "distillation": 0.7, "info_nce": 3.0},
    {"kind": "step", "step": 2, "loss": 0.9, "distillation": 0.6, "info_nce": 2.5},
    {"kind": "epoch", "epoch": 1, "step": 2, "loss": 0.95, "cosine": 0.5, "ndcg@10": 0.4, "teacher_ndcg@10": 0.6},
]


def write(folder: Path, lines: list[dict]) -> Path:
    path = folder / "metrics.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


def test_the_picture_shows_loss_and_ndcg_and_is_the_same_for_the_same_run(tmp_path: Path) -> None:
    picture = draw_curves(write(tmp_path, LINES), tmp_path)
    first = picture.read_bytes()
    assert picture == tmp_path / "curves.svg"
    assert ElementTree.fromstring(first).tag == "{http://www.w3.org/2000/svg}svg"
    for name in (b"loss", b"info_nce", b"ndcg@10", b"teacher_ndcg@10", b"cosine"):
        assert b"<!-- " + name + b" -->" in first
    assert b"<!-- triplet -->" not in first
    assert draw_curves(tmp_path / "metrics.jsonl", tmp_path).read_bytes() == first
    assert sorted(path.name for path in tmp_path.iterdir()) == ["curves.svg", "metrics.jsonl"]


def test_a_run_that_has_hardly_begun_has_a_picture_too(tmp_path: Path) -> None:
    assert draw_curves(write(tmp_path, LINES[:1]), tmp_path).stat().st_size > 1000
    assert draw_curves(write(tmp_path, []), tmp_path).stat().st_size > 1000


def test_drawing_leaves_matplotlibs_own_figures_and_settings_alone(tmp_path: Path) -> None:
    import matplotlib
    from matplotlib import pyplot

    before = dict(matplotlib.rcParams)
    draw_curves(write(tmp_path, LINES), tmp_path)
    assert pyplot.get_fignums() == []
    assert dict(matplotlib.rcParams) == before
