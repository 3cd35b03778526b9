"""Small runs from text to a checkpoint, with the loop, the bag and the files together."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch

from cem_rag_app.cem.encoder import CompressedEncoder
from cem_rag_app.cem.features import FeatureConfig, FeatureCounts, FeatureReader
from cem_rag_app.cem.teachers.base import unit_rows
from cem_rag_app.cem.training.base import FrameSet
from cem_rag_app.cem.training.config import TrainingConfig, build_config
from cem_rag_app.cem.training.loop import Interrupted
from cem_rag_app.cem.training.ngram import BagNetwork, NgramTrainable, read_features
from cem_rag_app.cem.training.run import train_cem
from cem_rag_app.errors import CheckpointError, MissingDependencyError
from cem_rag_app.zpkg.compress import Compressor
from cem_rag_app.zpkg.dictionary import general_dictionary

TOPICS = {
    "flow": "wing shock boundary layer pressure mach plate heat",
    "books": "library index catalogue reader document shelf search title",
    "food": "soup noodle pepper dinner kitchen salt oven plate",
}


class TopicTeacher:
    """A text's vector is its topics', with a little of each word's own."""

    name = "topics"
    revision = "1"
    pooling = "sum"
    dimension = 24

    def __init__(self) -> None:
        generator = np.random.default_rng(11)
        words = sorted({word for topic in TOPICS.values() for word in topic.split()})
        self.own = dict(zip(words, generator.normal(size=(len(words), self.dimension)) / 3, strict=True))
        for topic in TOPICS.values():
            direction = 2 * generator.normal(size=self.dimension)
            for word in topic.split():
                self.own[word] = self.own[word] + direction / 9

    def encode_documents(self, texts: Sequence[str]) -> np.ndarray:
        rows = [sum((self.own.get(word, 0) for word in text.split()), np.zeros(self.dimension)) for text in texts]
        return unit_rows(np.array(rows, dtype=np.float32))

    encode_queries = encode_documents


def passages(count: int) -> list[str]:
    generator = np.random.default_rng(11)
    topics = [str(generator.choice(list(TOPICS))) for _ in range(count)]
    return [" ".join(generator.choice(TOPICS[topic].split(), 15)) for topic in topics]


def config(folder: Path, **changes: object) -> TrainingConfig:
    texts = passages(400)
    (folder / "texts.txt").write_text("\n".join(texts))
    rows = (f"title\t{' '.join(texts[number].split()[:4])}\t{texts[number]}\n" for number in range(0, 300, 6))
    (folder / "pairs.tsv").write_text("".join(rows))
    numbers = {
        "teacher": "topics",
        "texts": folder / "texts.txt",
        "pairs": folder / "pairs.tsv",
        "output": folder / "out",
        "view": "ngram",
        "words": 60,
        "word_pairs": 20,
        "buckets": 8,
        "rank": 16,
        "hidden": 8,
        "epochs": 3,
        "batch_size": 32,
        "learning_rate": 0.02,
        "table_rate": 1.0,
        "held_out": 40,
        "held_out_pairs": 20,
        "device": "cpu",
        "seed": 3,
    }
    return build_config(numbers, changes)


def test_the_exported_student_is_the_network_rounded() -> None:
    torch.manual_seed(0)
    network = BagNetwork(50, 8, 6, 5)
    with torch.no_grad():
        network.log_gain += torch.randn(50) * 0.3
        network.outer.weight += 0.1  # type: ignore[union-attr]
    counts = FeatureCounts(
        bounds=np.array([0, 3, 5, 9]),
        indices=np.array([1, 2, 3, 4, 5, 6, 7, 8, 49], dtype=np.int32),
        weights=np.arange(1, 10, dtype=np.float32),
    )
    trainable = NgramTrainable(FeatureReader(np.arange(1, 51), FeatureConfig(buckets=0)), counts, network, 0.5)
    chosen = np.array([2, 0])
    with torch.no_grad():
        expected = network(**trainable.batch(chosen, None)).numpy()
    assert np.abs(network.export().embed(counts)[chosen] - expected).max() < 0.02


def test_features_are_hidden_by_the_generator_alone() -> None:
    counts = FeatureCounts(np.array([0, 200]), np.arange(200, dtype=np.int32), np.ones(200, dtype=np.float32))
    reader = FeatureReader(np.arange(1, 201), FeatureConfig(buckets=0))
    trainable = NgramTrainable(reader, counts, BagNetwork(200, 4, 0, 3), dropout=0.25)
    row = np.array([0])
    draws = [trainable.batch(row, np.random.default_rng(seed))["weights"] for seed in (1, 1, 2)]
    assert torch.equal(draws[0], draws[1])
    assert not torch.equal(draws[0], draws[2])
    assert 20 < int((draws[0] == 0).sum()) < 80
    assert trainable.batch(row, None)["weights"].tolist() == [1.0] * 200


def test_features_of_frames_of_two_dictionaries_stand_in_the_frames_order() -> None:
    texts = ["wing shock wing", "library index", "soup", "wing index"]
    reader = FeatureReader(np.arange(1, 3), FeatureConfig(buckets=32))
    dictionaries = [general_dictionary("en"), general_dictionary("zh")]
    of = np.array([1, 0, 1, 0], dtype=np.uint8)
    frames = [Compressor(dictionaries[number]).compress(text.encode()) for number, text in zip(of, texts, strict=True)]
    mixed = read_features(reader, FrameSet(frames, dictionaries, of))
    plain = [Compressor(dictionaries[0]).compress(text.encode()) for text in texts]
    alike = read_features(reader, FrameSet(plain, dictionaries[:1], np.zeros(4, dtype=np.uint8)))
    assert mixed.bounds.tolist() == alike.bounds.tolist()
    for start, end in zip(mixed.bounds, mixed.bounds[1:], strict=False):
        assert sorted(mixed.indices[start:end]) == sorted(alike.indices[start:end])


def test_a_run_writes_a_checkpoint_that_ranks_passages_it_has_not_seen(tmp_path: Path) -> None:
    told: list[str] = []
    report = train_cem(config(tmp_path), lambda *said: told.append(said[2]), teacher=TopicTeacher())
    assert report.metrics["cosine"] > 0.9
    assert report.metrics["ndcg@10"] > 0.8 * report.metrics["teacher_ndcg@10"]
    assert report.passages == 340
    encoder = CompressedEncoder.from_pretrained(report.checkpoint)
    assert (encoder.teacher, encoder.dimension, encoder.student.dimension) == ("topics", 24, 24)
    dictionary = general_dictionary("zh")
    texts = passages(400)[360:]
    frames = [Compressor(dictionary).compress(text.encode()) for text in texts]
    expected = TopicTeacher().encode_documents(texts)
    assert (encoder.encode(frames, dictionary) * expected).sum(axis=1).mean() == pytest.approx(
        report.metrics["cosine"], abs=2e-3
    )
    lines = [json.loads(line) for line in (report.checkpoint / "metrics.jsonl").read_text().splitlines()]
    assert [line["epoch"] for line in lines if line["kind"] == "epoch"] == [0, 1, 2, 3]
    recipe = json.loads((report.checkpoint / "config.json").read_text())["recipe"]
    assert (recipe["seed"], recipe["epochs"], recipe["texts"], recipe["ngram"]["words"]) == (3, 3, "texts.txt", 60)
    assert recipe["scores"] == {"passages": 340, "epoch": report.best_epoch, **report.metrics}
    assert told[-1] == "training"
    assert {path.name for path in report.checkpoint.iterdir()} == {
        "config.json", "curves.svg", "metrics.jsonl", "model.safetensors", "teacher-cache",
    }  # fmt: skip


def test_an_interrupted_run_goes_on_to_the_same_checkpoint_and_is_not_overwritten_in_silence(tmp_path: Path) -> None:
    (tmp_path / "whole").mkdir()
    (tmp_path / "parts").mkdir()
    whole = train_cem(config(tmp_path / "whole"), teacher=TopicTeacher())

    def stop(done: int, _total: int, _what: str, detail: str = "", /) -> None:
        if done == 14 and "loss" in detail:
            os.kill(os.getpid(), signal.SIGINT)

    parts = config(tmp_path / "parts")
    with pytest.raises(Interrupted):
        train_cem(parts, stop, teacher=TopicTeacher())
    with pytest.raises(CheckpointError, match="unfinished run"):
        train_cem(parts, teacher=TopicTeacher())
    report = train_cem(parts, resume=True, teacher=TopicTeacher())
    assert report.metrics == whole.metrics
    for name in ("model.safetensors", "metrics.jsonl", "config.json"):
        assert (report.checkpoint / name).read_bytes() == (whole.checkpoint / name).read_bytes()
    with pytest.raises(CheckpointError, match="Train without --resume"):
        train_cem(parts, resume=True, teacher=TopicTeacher())


def test_without_the_extra_it_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None if name == "accelerate" else object())
    with pytest.raises(MissingDependencyError, match=r"Training needs accelerate.*cem-rag\[train\]"):
        train_cem(config(tmp_path), teacher=TopicTeacher())


def test_the_chinese_encoders_table_is_taken_over_and_not_trained(tmp_path: Path) -> None:
    (tmp_path / "texts.txt").write_text("昨天去吃了火锅\n今天下雨了\n")
    place = {"teacher": "embedded-zh", "texts": tmp_path / "texts.txt", "output": tmp_path / "zh"}
    report = train_cem(build_config(place, {"name": "zh", "language": "zh", "view": "ngram"}))
    assert report.metrics == {"cosine": 1.0, "least_cosine": 1.0}
    assert sorted(path.name for path in (tmp_path / "zh").iterdir()) == ["config.json"]
    assert CompressedEncoder.from_pretrained(tmp_path / "zh").teacher == "embedded-zh"
