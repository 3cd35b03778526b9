"""`cem-rag train cem` from the outside: what it prints, what it leaves, how it is stopped and goes on."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

from tests.fakes.encoders import HashedTextEncoder
from ui.cli import main
from ui.commands import train


@pytest.fixture
def corpus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A hundred passages, pairs, and a teacher that needs no model."""
    teacher = HashedTextEncoder("fake", 16)
    monkeypatch.setattr("cem_rag_app.cem.teachers.registry.load_teacher", lambda name: teacher)
    generator = np.random.default_rng(0)
    words = ["wing", "shock", "layer", "library", "index", "reader", "soup", "noodle", "salt"]
    texts = [f"{number} " + " ".join(generator.choice(words, 18)) for number in range(100)]
    (tmp_path / "texts.txt").write_text("\n".join(texts))
    rows = [f"title\t{' '.join(text.split()[:3])}\t{text}" for text in texts[::4]]
    (tmp_path / "pairs.tsv").write_text("\n".join(rows))
    return tmp_path


def command(corpus: Path, *options: str) -> Result:
    numbers = "--epochs 2 --batch-size 16 --held-out 10 --held-out-pairs 10 --device cpu --set words=30 --set rank=8"
    places = ["--output", str(corpus / "out"), "--cache", str(corpus / "cache"), "--pairs", str(corpus / "pairs.tsv")]
    line = ["train", "cem", str(corpus / "texts.txt"), "--view", "ngram", "--encoder", "fake", *places]
    return CliRunner().invoke(main, [*line, *numbers.split(), "--set", "hidden=0", *options])


def test_a_run_reports_what_came_of_it_and_writes_what_the_documents_name(corpus: Path) -> None:
    result = command(corpus, "--json", "--accumulate", "2", "--delta", "0.1", "--set", 'dictionaries=["general"]')
    assert result.exit_code == 0, result.output
    report = json.loads(result.stdout)
    assert report["passages"] == 80
    assert set(report["metrics"]) == {"cosine", "ndcg@10", "teacher_ndcg@10"}
    assert "training 10 of 10, epoch 2, measuring" in result.stderr
    assert sorted(path.name for path in (corpus / "out").iterdir()) == [
        "config.json", "curves.svg", "metrics.jsonl", "model.safetensors",
    ]  # fmt: skip
    recipe = json.loads((corpus / "out" / "config.json").read_text())["recipe"]
    assert (recipe["loss"]["delta"], recipe["accumulate"], recipe["ngram"]["words"]) == (0.1, 2, 30)
    assert recipe["dictionaries"] == ["general"]


def test_ctrl_c_says_how_to_go_on_and_going_on_finishes(corpus: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write = train.note

    def note(text: str) -> None:
        write(text)
        if "training 1 of 10" in text:
            os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr(train, "note", note)
    monkeypatch.setattr(train, "_LINE_EVERY", -1.0)
    stopped = command(corpus)
    assert stopped.exit_code == 130
    assert f"Stopped after step 2 of 10; --resume goes on from there ({corpus / 'out'})." in stopped.stderr
    monkeypatch.setattr(train, "note", write)
    refused = command(corpus, "--resume", "--seed", "5")
    assert (refused.exit_code, refused.stdout) == (1, "")
    assert "seed is 5 and was 0" in refused.stderr
    again = command(corpus, "--resume")
    assert again.exit_code == 0, again.output
    assert "training 3 of 10" in again.stderr
    assert "training 2 of 10" not in again.stderr


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--resume"], "no state.safetensors in"),
        (["--set", "words"], "--set words sets nothing"),
        (["--set", "wordz=3"], "has no setting 'wordz'"),
        (["--set", "ngram.words=many"], "ngram.words cannot be 'many'"),
        (["--epochs", "0"], "epochs cannot be 0"),
        (["--pair-kind", "riddle"], "no pairs of the kinds wanted"),
    ],
)
def test_what_cannot_be_is_said_in_one_line(corpus: Path, options: list[str], said: str) -> None:
    result = command(corpus, *options)
    assert result.exit_code == 1
    assert said in result.stderr.splitlines()[-1]
    assert not (corpus / "out" / "config.json").exists()
