"""The table and the picture of the stores side by side."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from cem_rag_app.errors import EmptyInputError
from scripts.peers_picture import main, read_results, table


def result(peer: str, build: str, ratio: float, recall: float) -> dict[str, Any]:
    point = {"setting": {"ef": 64}, "p50_ms": 0.5, "p95_ms": 0.9, "cpu_ms": 0.4, "recall": recall}
    filters = [{"scope": s, "mode": m, **point} for s in ("percent", "permille") for m in ("default", "tuned")]
    return {
        "peer": peer, "build": build, "bytes": int(1000 * ratio), "text_bytes": 1000, "build_s": 9.0,
        "curve": [point, {**point, "p50_ms": 0.2, "recall": 0.5}], "filters": filters,
        "open_ms": 12.0, "rss_mb": 100.0, "rss_library_mb": 40.0,
    }  # fmt: skip


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    results = [
        result("usearch", "i8", 2.4, 0.93),
        result("cem-rag", "default", 0.8, 0.98),
        {"peer": "chroma", "build": "HNSW", "error": "not installed"},
    ]
    for number, one in enumerate(results):
        file = tmp_path / "results" / one["peer"] / f"{number}.json"
        file.parent.mkdir(parents=True)
        file.write_text(json.dumps(one), encoding="utf-8")
    return tmp_path


def test_ours_stands_first_and_what_failed_is_left_out(workspace: Path) -> None:
    assert [one["peer"] for one in read_results(workspace)] == ["cem-rag", "usearch"]


def test_a_row_that_misses_the_target_says_that_it_is_its_best(workspace: Path) -> None:
    lines = table(read_results(workspace), 0.97).splitlines()
    assert len({line.count("|") for line in lines}) == 1
    assert lines[2].startswith("| cem-rag | 0.80 | 0.980 | 0.50 |")
    assert lines[3].startswith("| usearch i8 | 2.40 | 0.930 (its best) |")


def test_the_picture_is_drawn_and_the_results_kept_can_be_drawn_again(workspace: Path, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    kept, first, second = tmp_path / "kept.json", tmp_path / "first.png", tmp_path / "second.png"
    once = CliRunner().invoke(main, [str(workspace), "--output", str(first), "--keep", str(kept)])
    again = CliRunner().invoke(main, [str(kept), "--output", str(second)])
    assert (once.exit_code, again.exit_code) == (0, 0), once.output + again.output
    assert once.output == again.output
    assert first.read_bytes() == second.read_bytes()
    assert first.read_bytes().startswith(b"\x89PNG")


def test_an_empty_workspace_is_refused(tmp_path: Path) -> None:
    with pytest.raises(EmptyInputError, match="bench search --peers"):
        read_results(tmp_path)
