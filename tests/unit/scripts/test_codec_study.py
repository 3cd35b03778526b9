"""The study's script: resumed where it was, the same again, drawn, and hostile files refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from cem_rag_app.errors import EmptyInputError, InputError, MalformedLineError, MissingDependencyError
from cem_rag_app.evaluation.codec_frames import Compression
from cem_rag_app.evaluation.collections import Collection
from scripts import codec_study
from scripts.codec_picture import draw
from scripts.codec_study import claim, first_documents, load_data, read_points, run, tasks
from scripts.codec_tables import frontier, quality, tables

WANTED = tasks(["cem-ngram"], probes=True, quick=True)


def point(view: str, compression: Compression, size: float = 100.0, score: float = 0.5) -> dict[str, Any]:
    return {
        "view": view,
        "level": compression.level,
        "dictionary": compression.dictionary,
        "raw_literals": compression.raw_literals,
        "chunk_target": compression.chunk_target,
        "bytes_per_chunk": size,
        "share": size / 440,
        "sequences": 30.0,
        "ndcg@10": {"cranfield": score, "cisi": score},
        "chunks_per_second": {"whole": 1000.0, "reading": 5000.0},
    }


class Study:
    """Measures by counting, and may be stopped after some points."""

    def __init__(self, stop_after: int = 99) -> None:
        self.measured: list[tuple[str, Compression]] = []
        self._left = stop_after

    def measure(self, view: str, compression: Compression) -> dict[str, Any]:
        if not self._left:
            raise KeyboardInterrupt
        self._left -= 1
        self.measured.append((view, compression))
        return point(view, compression, size=100.0 + compression.level)


def silent(_: str) -> None:
    pass


def test_a_study_that_was_stopped_goes_on_where_it_was_and_ends_as_one_that_was_not(tmp_path: Path) -> None:
    path = tmp_path / "points.jsonl"
    with pytest.raises(KeyboardInterrupt):
        run(Study(stop_after=3), WANTED, path, silent)
    with path.open("a") as file:
        file.write('{"view": "cem-ng')  # a kill in the midst of a line
    rest = Study()
    points = run(rest, WANTED, path, silent)
    assert rest.measured == WANTED[3:]
    assert points == run(Study(), WANTED, tmp_path / "other.jsonl", silent)
    assert path.read_bytes() == (tmp_path / "other.jsonl").read_bytes()
    nothing = Study()
    assert run(nothing, WANTED, path, silent) == points
    assert nothing.measured == []


def test_some_views_alone_can_be_asked_for() -> None:
    assert {view for view, _ in tasks(["a", "b"], probes=True, quick=True, only=("b", "probe"))} == {"b", "probe"}
    assert tasks(["a"], probes=True, quick=True, only=()) == tasks(["a"], probes=True, quick=True)


def test_points_come_in_the_grids_order_whatever_the_files(tmp_path: Path) -> None:
    path = tmp_path / "points.jsonl"
    lines = [json.dumps(point(*task)) for task in reversed(WANTED)]
    path.write_text("\n".join([*lines, json.dumps(point("cem-gone", Compression()))]) + "\n")
    assert [(p["view"], p["level"]) for p in run(Study(), WANTED, path, silent)] == [
        (view, compression.level) for view, compression in WANTED
    ]


def test_what_needs_a_package_that_is_missing_is_left_out_and_named(tmp_path: Path) -> None:
    class Without(Study):
        def measure(self, view: str, compression: Compression) -> dict[str, Any]:
            if compression.raw_literals:
                raise MissingDependencyError("no front end", remedy="pip install backports.zstd")
            return super().measure(view, compression)

    told: list[str] = []
    points = run(Without(), WANTED, tmp_path / "points.jsonl", told.append)
    assert len(points) == len(WANTED) - 1
    assert any("pip install backports.zstd" in line for line in told)


@pytest.mark.parametrize("line", ["nonsense", "{}", "[]", "7", '{"view": "x", "level": 3}'])
def test_a_line_that_is_no_point_is_refused_with_its_number(tmp_path: Path, line: str) -> None:
    path = tmp_path / "points.jsonl"
    path.write_text(json.dumps(point("probe", Compression())) + "\n" + line + "\n")
    with pytest.raises(MalformedLineError, match="2"):
        read_points(path)


def test_the_frontier_is_what_nothing_smaller_or_equal_beats() -> None:
    sizes = [(50, 0.1), (60, 0.3), (60, 0.2), (70, 0.3), (80, 0.25), (90, 0.5)]
    points = [point("probe", Compression(), size, score) for size, score in sizes]
    assert [(p["bytes_per_chunk"], round(quality(p), 2)) for p in frontier(points)] == [(50, 0.1), (60, 0.3), (90, 0.5)]
    assert frontier([]) == []


def test_tables_have_a_row_for_every_point_and_count_refusals() -> None:
    refused = {k: v for k, v in point("cem-frame", Compression()).items() if k not in ("ndcg@10", "chunks_per_second")}
    text = tables([point("cem-frame", Compression(-5)), {**refused, "refused": "never saw it"}])
    assert "| -5 | general | coded | 440 | 100.0 | 0.227 | 30.0 | .5000 | .5000 | 1,000 |" in text
    assert "Refused, because this view cannot read them: 1 of 2 ways to compress." in text


def test_the_same_points_make_the_same_picture(tmp_path: Path) -> None:
    points = [point(view, compression, 100 + n) for n, (view, compression) in enumerate(WANTED)]
    for name in ("a.svg", "b.svg"):
        draw(points, tmp_path / name)
    assert (tmp_path / "a.svg").read_bytes() == (tmp_path / "b.svg").read_bytes()
    assert b"<svg" in (tmp_path / "a.svg").read_bytes()
    with pytest.raises(EmptyInputError):
        draw([], tmp_path / "c.svg")


def test_a_first_look_keeps_the_queries_that_its_documents_answer() -> None:
    qrels = {"x": {"1": 1, "3": 2}, "y": {"3": 1}, "z": {"2": 0, "1": 1}}
    collection = Collection("small", {"1": "a", "2": "b", "3": "c"}, dict.fromkeys("xyz", "?"), qrels)
    small = first_documents(collection, 2)
    assert list(small.corpus) == ["1", "2"]
    assert small.qrels == {"x": {"1": 1}, "z": {"2": 0, "1": 1}}
    assert list(small.queries) == ["x", "z"]


def test_missing_files_and_short_corpora_are_refused_by_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(codec_study, "COLLECTIONS", ())
    with pytest.raises(InputError, match="gone"):
        load_data(tmp_path, tmp_path / "gone.txt", tmp_path / "cache", quick=True, tell=silent)
    (tmp_path / "short.txt").write_text("one passage\n\n")
    with pytest.raises(InputError, match="1 passages are too few"):
        load_data(tmp_path, tmp_path / "short.txt", tmp_path / "cache", quick=True, tell=silent)
    arguments = ["--data", str(tmp_path), "--corpus", str(tmp_path / "gone.txt"), "--out", str(tmp_path / "out")]
    assert codec_study.main([*arguments, "--student", str(tmp_path)]) == 1
    assert "config.json" in capsys.readouterr().err


def test_a_folder_of_another_study_is_refused(tmp_path: Path) -> None:
    claim(tmp_path / "study.json", {"quick": True, "corpus": [5, "a"]})
    claim(tmp_path / "study.json", {"quick": True, "corpus": [5, "a"]})
    with pytest.raises(InputError, match="of a first look"):
        claim(tmp_path / "study.json", {"quick": False, "corpus": [5, "a"]})
