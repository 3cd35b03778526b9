"""The loop: what a step is made of, what is measured, which epoch is kept, and several processes as one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from cem_rag_app.cem.training.device import give_back_memory, resolve_precision
from cem_rag_app.cem.training.loop import fit
from cem_rag_app.cem.training.metrics import ranking_score
from tests.fakes.training import ByteTrainable, byte_config, byte_data, byte_run

ROOT = Path(__file__).resolve().parents[4]


def lines(folder: Path, kind: str) -> list[dict]:
    found = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return [line for line in found if line["kind"] == kind]


def weights(folder: Path) -> dict[str, np.ndarray]:
    with np.load(folder / "weights.npz") as file:
        return {name: file[name] for name in file.files}


def test_a_run_writes_a_line_a_step_and_an_epoch_and_keeps_the_epoch_that_ranks_best(tmp_path: Path) -> None:
    config, data = byte_config(tmp_path, log_every=4), byte_data()
    trainable = ByteTrainable(data.frames.frames)
    kept: list[tuple[int, dict]] = []
    told: list[tuple[int, int, str]] = []
    outcome = fit(
        config,
        trainable,
        data,
        lambda done, total, what, detail="", /: told.append((done, total, what)),
        lambda _student, epoch, metrics: kept.append((epoch, metrics)),
    )
    epochs = lines(tmp_path, "epoch")
    assert [(line["epoch"], line["step"]) for line in epochs] == [(0, 0), (1, 9), (2, 18), (3, 27)]
    assert epochs[0]["loss"] is None
    assert epochs[3]["loss"] < epochs[1]["loss"]
    assert epochs[3]["cosine"] > epochs[0]["cosine"]
    best = -1.0
    expected = []
    for line in epochs:
        if line["ndcg@10"] > best:
            best = line["ndcg@10"]
            expected.append(line["epoch"])
    assert [epoch for epoch, _ in kept] == expected
    assert (outcome.epoch, outcome.metrics) == kept[-1]
    assert outcome.metrics["teacher_ndcg@10"] == ranking_score(data.pair_queries, data.pair_targets)
    steps = lines(tmp_path, "step")
    assert [line["step"] for line in steps] == [4, 8, 12, 16, 20, 24]
    assert set(steps[0]) == {
        "kind", "step", "loss", "distillation", "info_nce", "triplet", "similarity", "rate", "temperature", "gradient",
    }  # fmt: skip
    parts = steps[0]
    total = parts["distillation"] + 0.1 * parts["info_nce"] + 0.2 * parts["triplet"] + 0.1 * parts["similarity"]
    assert parts["loss"] == pytest.approx(total, rel=1e-5)
    assert {what for _, _, what in told} == {"training"}
    assert told[-1][:2] == (27, 27)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["curves.svg", "metrics.jsonl"]


def test_a_run_is_repeated_exactly_and_another_seed_is_another_run(tmp_path: Path) -> None:
    runs = {}
    for name, seed in (("one", 1), ("again", 1), ("other", 2)):
        byte_run(tmp_path / name, seed=seed)
        runs[name] = weights(tmp_path / name)["linear.weight"].tobytes()
    assert runs["one"] == runs["again"] != runs["other"]
    assert (tmp_path / "one" / "metrics.jsonl").read_bytes() == (tmp_path / "again" / "metrics.jsonl").read_bytes()


def quiet(folder: Path, **changes: object) -> dict[str, np.ndarray]:
    """A run without dropout and augmentation: these are drawn for each part anew."""
    folder.mkdir()
    config, data = byte_config(folder, delta=0.0, **changes), byte_data()
    trainable = ByteTrainable(data.frames.frames, dropout=0.0, hidden=0.0)
    fit(config, trainable, data, lambda *_: None, lambda *_: None)
    return {name: tensor.numpy() for name, tensor in trainable.module.state_dict().items()}


def test_a_step_in_parts_is_the_step_whole(tmp_path: Path) -> None:
    whole, parts = quiet(tmp_path / "whole"), quiet(tmp_path / "parts", accumulate=3)
    for name, tensor in whole.items():
        assert np.abs(tensor - parts[name]).max() < 1e-5
    other = quiet(tmp_path / "other", batch_size=24)
    assert np.abs(whole["linear.weight"] - other["linear.weight"]).max() > 1e-3
    for one, two in zip(lines(tmp_path / "whole", "step"), lines(tmp_path / "parts", "step"), strict=True):
        assert one["loss"] == pytest.approx(two["loss"], abs=1e-5)
        assert one["gradient"] == pytest.approx(two["gradient"], rel=1e-3)


@pytest.mark.slow
def test_several_processes_train_as_one(tmp_path: Path) -> None:
    """Two processes with a part each against one process with two parts: the same draws, the same gradient."""
    port = 20_000 + os.getpid() % 20_000
    together = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "ACCELERATE_USE_CPU": "true"}
    command = [sys.executable, "-m", "tests.fakes.training", str(tmp_path / "two")]
    processes = [
        subprocess.Popen(
            command,
            cwd=ROOT,
            env={**os.environ, **together, "RANK": rank, "LOCAL_RANK": rank, "LOCAL_WORLD_SIZE": "2"},
            stderr=subprocess.PIPE,
        )
        for rank in "01"
    ]
    byte_run(tmp_path / "one", accumulate=2)
    for process in processes:
        _, errors = process.communicate(timeout=300)
        assert process.returncode == 0, errors.decode()[-2000:]
    one, two = weights(tmp_path / "one"), weights(tmp_path / "two")
    for name, tensor in one.items():
        assert np.abs(tensor - two[name]).max() < 1e-5
    losses = [[line["loss"] for line in lines(tmp_path / name, "step")] for name in ("one", "two")]
    assert losses[0] == pytest.approx(losses[1], abs=1e-5)


def test_each_group_has_its_share_of_the_rate(tmp_path: Path) -> None:
    data = byte_data()
    trainable = ByteTrainable(data.frames.frames)
    trainable.parameter_groups = lambda: [  # type: ignore[method-assign]
        {"params": [trainable.module.linear.weight], "share": 0.0},
        {"params": [trainable.module.linear.bias], "share": 1.0},
    ]
    before = {name: tensor.clone() for name, tensor in trainable.module.state_dict().items()}
    fit(byte_config(tmp_path, epochs=1), trainable, data, lambda *_: None, lambda *_: None)
    assert torch.equal(trainable.module.linear.weight, before["linear.weight"])
    assert not torch.equal(trainable.module.linear.bias, before["linear.bias"])


def test_without_pairs_the_epoch_is_chosen_by_cosine(tmp_path: Path) -> None:
    import dataclasses

    data = byte_data()
    empty = dataclasses.replace(data.pairs, frames=[], dictionary_of=np.zeros(0, dtype=np.uint8))
    alone = dataclasses.replace(data, pairs=empty)
    outcome = fit(byte_config(tmp_path), ByteTrainable(data.frames.frames), alone, lambda *_: None, lambda *_: None)
    epochs = lines(tmp_path, "epoch")
    assert set(epochs[0]) == {"kind", "epoch", "step", "loss", "cosine"}
    assert outcome.metrics["cosine"] == max(line["cosine"] for line in epochs)


def test_auto_is_bfloat16_where_the_processor_multiplies_it(monkeypatch: pytest.MonkeyPatch) -> None:
    cpu = torch.device("cpu")
    for can, expected in (
        ({"amx_bf16": True}, torch.bfloat16),
        ({"avx512_bf16": True}, torch.bfloat16),
        ({"avx2": True, "amx_bf16": False}, torch.float32),
        ({}, torch.float32),
    ):
        monkeypatch.setattr(torch.cpu, "get_capabilities", lambda can=can: can)
        assert resolve_precision("auto", cpu) == expected
    assert resolve_precision("float32", cpu) == torch.float32
    assert resolve_precision("bfloat16", cpu) == torch.bfloat16
    assert resolve_precision("auto", torch.device("meta")) == torch.float32


def test_ranking_score_is_ndcg_at_ten_with_one_relevant_passage() -> None:
    passages = np.eye(12, dtype=np.float32)
    assert ranking_score(passages, passages) == 1.0
    queries = passages.copy()
    queries[0] = passages[1] + 0.5 * passages[0]  # its passage comes second
    assert ranking_score(queries, passages) == pytest.approx((11 + 1 / np.log2(3)) / 12)
    backwards = -passages[:1]
    assert ranking_score(backwards, passages[:1]) == 1.0


def test_memory_is_given_back_whenever_the_state_is_saved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from cem_rag_app.cem.training import loop

    given: list[int] = []
    monkeypatch.setattr(loop, "give_back_memory", lambda: given.append(1))
    byte_run(tmp_path, epochs=2)
    assert len(given) == 2 + 4  # at the beginning of either epoch, and after steps 4, 8, 12 and 16
    give_back_memory()
