"""A run that is killed and goes on is the run that was not killed, to the bit."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from cem_rag_app.cem.training.loop import Interrupted, fit
from cem_rag_app.errors import CheckpointError
from tests.fakes.training import ByteTrainable, byte_config, byte_data, byte_run

ROOT = Path(__file__).resolve().parents[4]


def train(folder: Path, *options: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "tests.fakes.training", str(folder), *options]
    return subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE)


@pytest.mark.slow
def test_a_run_killed_in_the_middle_of_an_epoch_ends_in_the_same_weights_and_metrics(tmp_path: Path) -> None:
    whole, killed = train(tmp_path / "whole"), train(tmp_path / "killed", "--die-at", "14")
    assert killed.wait(300) == -signal.SIGKILL
    assert not (tmp_path / "killed" / "weights.npz").exists()
    assert (tmp_path / "killed" / "state.safetensors").exists()
    again = train(tmp_path / "killed", "--resume")
    _, errors = again.communicate(timeout=300)
    assert again.returncode == 0, errors
    assert whole.wait(300) == 0
    same(tmp_path / "whole", tmp_path / "killed")
    assert not (tmp_path / "killed" / "state.safetensors").exists()


def same(one: Path, other: Path) -> None:
    assert (one / "metrics.jsonl").read_bytes() == (other / "metrics.jsonl").read_bytes()
    assert (one / "curves.svg").read_bytes() == (other / "curves.svg").read_bytes()
    with np.load(one / "weights.npz") as left, np.load(other / "weights.npz") as right:
        assert sorted(left.files) == sorted(right.files)
        for name in left.files:
            assert left[name].tobytes() == right[name].tobytes()


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("whole")
    byte_run(folder)
    return folder


def interrupted(folder: Path, at: int, **changes: object) -> Interrupted:
    """Train in ``folder`` until Ctrl-C comes while step ``at`` is under way."""
    folder.mkdir(exist_ok=True)
    config, data = byte_config(folder, **changes), byte_data()
    trainable = ByteTrainable(data.frames.frames)

    def tell(done: int, _total: int, _what: str, detail: str = "", /) -> None:
        if done == at - 1 and (at == 1 or "loss" in detail):
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(Interrupted) as stopped:
        fit(config, trainable, data, tell, lambda *_: None)
    return stopped.value


@pytest.mark.parametrize("at", [1, 9, 10, 27])
def test_ctrl_c_at_any_step_saves_a_state_that_says_so_and_goes_on_exactly(
    tmp_path: Path, whole: Path, at: int
) -> None:
    stopped = interrupted(tmp_path, at)
    assert str(stopped) == f"Stopped after step {at} of 27; --resume goes on from there ({tmp_path})."
    outcome, trainable = byte_run(tmp_path, resume=True)
    assert len(trainable.asked) == 27 - at
    same(whole, tmp_path)
    lines = [json.loads(line) for line in (whole / "metrics.jsonl").read_text().splitlines()]
    epochs = [line for line in lines if line["kind"] == "epoch"]
    assert outcome.epoch == max(epochs, key=lambda line: (line["ndcg@10"], -line["epoch"]))["epoch"]


def test_handlers_of_signals_are_put_back(tmp_path: Path) -> None:
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    interrupted(tmp_path, 2)
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"learning_rate": 0.03}, "optimizer.learning_rate is 0.03 and was 0.02"),
        ({"epochs": 4}, "epochs is 4 and was 3"),
        ({"seed": 8}, "seed is 8 and was 7"),
        ({"accumulate": 2}, "parts is 2 and was 1"),
        ({"precision": "bfloat16"}, "precision is 'bfloat16' and was 'float32'"),
        ({"ngram.words": 7}, "ngram.words is 7 and was 32000"),
    ],
)
def test_a_state_of_other_numbers_is_refused_and_the_number_named(tmp_path: Path, change: dict, said: str) -> None:
    interrupted(tmp_path, 2)
    state = (tmp_path / "state.safetensors").read_bytes()
    with pytest.raises(CheckpointError, match="belongs to another run") as refused:
        byte_run(tmp_path, resume=True, **change)
    assert said in str(refused.value)
    assert (tmp_path / "state.safetensors").read_bytes() == state


def test_what_does_not_change_the_outcome_may_change(tmp_path: Path, whole: Path) -> None:
    interrupted(tmp_path, 2, state_every=50)
    byte_run(tmp_path, resume=True, state_every=3, name="another", cache=tmp_path / "elsewhere")
    same(whole, tmp_path)


def test_a_state_of_another_corpus_is_refused(tmp_path: Path) -> None:
    interrupted(tmp_path, 2)
    data = byte_data(seed=6)
    trainable = ByteTrainable(data.frames.frames)
    with pytest.raises(CheckpointError, match="corpus is"):
        fit(byte_config(tmp_path), trainable, data, lambda *_: None, lambda *_: None, resume=True)
    assert trainable.asked == []


def test_a_state_that_is_not_there_or_damaged_is_refused_with_a_remedy(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="Train without --resume"):
        byte_run(tmp_path, resume=True)
    interrupted(tmp_path, 2)
    file = tmp_path / "state.safetensors"
    good = file.read_bytes()
    generator = np.random.default_rng(0)
    damages = [b"", good[:40], good[:-1], b"\0" * len(good)]
    places = [*generator.integers(0, len(good), 40), *range(good.index(b'\\"step'), good.index(b'\\"step') + 14)]
    damages += [good[:place] + bytes([good[place] ^ 1]) + good[place + 1 :] for place in places]
    for damaged in damages:
        file.write_bytes(damaged)
        with pytest.raises(CheckpointError):
            byte_run(tmp_path, resume=True)
    file.write_bytes(good)
    (tmp_path / "metrics.jsonl").write_text("")
    with pytest.raises(CheckpointError, match="the saved state was written after"):
        byte_run(tmp_path, resume=True)
