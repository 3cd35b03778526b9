"""A run writes what it measures as it goes, resumes, and never makes a figure up."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from cem_rag_app.errors import InputError, SettingsError
from cem_rag_app.evaluation.collections import Collection
from cem_rag_app.evaluation.longembed import hub
from cem_rag_app.evaluation.longembed.models import Model
from cem_rag_app.evaluation.longembed.runner import run_longembed, task_names
from cem_rag_app.evaluation.rankings import bm25_run
from cem_rag_app.evaluation.retrieval import Scores
from ui.cli import main

SMALL = {"lengths": [64, 128], "documents": 6, "queries": 3}


class Counting:
    """BM25 that remembers what it ranked and fails where it is told to."""

    def __init__(self, fails_at: str = "") -> None:
        self.ranked: list[str] = []
        self._fails_at = fails_at

    def __call__(self, collection: Collection) -> Scores:
        if collection.name == self._fails_at:
            raise KeyboardInterrupt
        self.ranked.append(collection.name)
        return bm25_run(collection)


@pytest.fixture
def no_hub(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub, "hub_missing", lambda: "nobody answers")


def test_every_point_is_a_file_and_the_summary_is_a_report(tmp_path: Path) -> None:
    report = run_longembed(Model("bm25", Counting(), {"k1": 1.2}), ["passkey", "needle"], tmp_path, **SMALL)
    files = sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*.json"))
    assert files == [
        "needle/128.json", "needle/64.json", "passkey/128.json", "passkey/64.json", "results_summary.json",
    ]  # fmt: skip
    assert report.metrics["passkey"]["measure"] == "ndcg@1"
    assert report.metrics["passkey"]["score"] == 1.0
    assert set(report.metrics["needle"]["splits"]) == {"64", "128"}
    assert report.metrics["average"] == {"score": 1.0, "of": ["passkey", "needle"]}
    written = json.loads((tmp_path / "results_summary.json").read_text())
    assert list(written) == ["metrics", "settings", "versions", "machine"]
    assert written["metrics"] == report.metrics
    assert written["settings"]["published"]["paper_averages"]["e5-mistral-7b-instruct"] == 0.644


def test_a_run_that_was_stopped_goes_on_where_it_was(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        run_longembed(Model("bm25", Counting("needle-64")), ["passkey", "needle"], tmp_path, **SMALL)
    assert not (tmp_path / "results_summary.json").exists()
    again = Counting()
    run_longembed(Model("bm25", again), ["passkey", "needle"], tmp_path, **SMALL)
    assert again.ranked == ["needle-64", "needle-128"]
    third = Counting()
    run_longembed(Model("bm25", third), ["passkey", "needle"], tmp_path, **SMALL)
    assert third.ranked == []


def test_another_model_other_settings_other_documents_and_a_torn_file_are_measured_again(tmp_path: Path) -> None:
    def ranked(model: Model, **made: int) -> list[str]:
        counting = Counting()
        run_longembed(Model(model.name, counting, model.settings), ["passkey"], tmp_path, **{**SMALL, **made})
        return counting.ranked

    both = ["passkey-64", "passkey-128"]
    first = Model("one", bm25_run, {"pooling": "mean"})
    assert ranked(first) == both
    assert ranked(Model("two", bm25_run, {"pooling": "mean"})) == both
    assert ranked(Model("two", bm25_run, {"pooling": "max"})) == both
    assert ranked(Model("two", bm25_run, {"pooling": "max"}), seed=3) == both
    assert ranked(Model("two", bm25_run, {"pooling": "max"}), seed=3) == []
    (tmp_path / "passkey" / "64.json").write_text('{"model": "two"')
    assert ranked(Model("two", bm25_run, {"pooling": "max"}), seed=3) == ["passkey-64"]


@pytest.mark.usefixtures("no_hub")
def test_a_task_that_needs_the_hub_is_said_to_be_not_run_and_counts_nowhere(tmp_path: Path) -> None:
    pytest.importorskip("mteb")
    report = run_longembed(Model("bm25", bm25_run), ["passkey", "narrativeqa"], tmp_path, **SMALL)
    assert report.metrics["narrativeqa"] == {"not_run": "needs the hub: nobody answers"}
    assert report.metrics["average"]["of"] == ["passkey"]
    assert not (tmp_path / "narrativeqa").exists()


def test_an_unreachable_hub_is_the_reason_and_one_that_answers_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    monkeypatch.setenv("HF_ENDPOINT", "https://hub.example")

    def refuse(*_: object, **__: object) -> None:
        raise OSError("no route")

    monkeypatch.setattr("urllib.request.urlopen", refuse)
    assert hub.hub_missing() == "https://hub.example cannot be reached (no route)"
    monkeypatch.setenv("HF_ENDPOINT", "no address")
    assert "no address cannot be reached" in hub.hub_missing()
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    assert hub.hub_missing() == ""


def test_tasks_go_by_several_names_and_an_unknown_one_is_refused() -> None:
    given = ["LongEmbedRetrieval/Passkey", "needle", "LEMBWikimQARetrieval", "LEMBQMSumRetrieval", "passkey"]
    assert task_names(given) == ["passkey", "needle", "2wikimqa", "qmsum"]
    with pytest.raises(SettingsError, match="no LongEmbed task 'haystack'"):
        task_names(["haystack"])


def test_qmsum_without_its_files_is_refused_before_anything_is_measured(tmp_path: Path) -> None:
    counting = Counting()
    with pytest.raises(InputError, match="--data DIR"):
        run_longembed(Model("bm25", counting), ["passkey", "qmsum"], tmp_path, **SMALL)
    assert counting.ranked == []


@pytest.mark.usefixtures("no_hub")
def test_the_command_prints_ours_beside_what_is_published_and_ends_well_without_a_hub(tmp_path: Path) -> None:
    options = ["--model", "bm25", "--tasks", "passkey", "--tasks", "2wikimqa", "--lengths", "64,128"]
    done = CliRunner().invoke(main, ["eval", "longembed", *options, "--output-dir", str(tmp_path / "out")])
    assert done.exit_code == 0, done.output
    assert "2wikimqa          not run: needs the hub: nobody answers" in done.stdout
    assert "passkey: 64 1.00  128 1.00" in done.stdout
    assert "0.7100" in done.stdout
    assert "published figures, not measured here" in done.stdout
    assert json.loads((tmp_path / "out" / "results_summary.json").read_text())["settings"]["model"] == "bm25"
