"""Training: the losses against plain arithmetic, and one small run from text to a checkpoint that ranks."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from cem_rag_app.cem.encoder import CompressedEncoder
from cem_rag_app.cem.training.config import TrainingConfig
from cem_rag_app.cem.training.data import ranking_score, read_pairs, read_texts
from cem_rag_app.cem.training.run import train_cem
from cem_rag_app.errors import DimensionError, EmptyInputError
from cem_rag_app.zpkg.compress import Compressor
from cem_rag_app.zpkg.dictionary import general_dictionary

TOPICS = {
    "flow": "wing shock boundary layer pressure mach plate heat",
    "books": "library index catalogue reader document shelf search title",
    "food": "soup noodle pepper dinner kitchen salt oven plate",
}


def unit(generator: np.random.Generator, rows: int, width: int) -> np.ndarray:
    vectors = generator.normal(size=(rows, width))
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def test_losses_equal_their_definitions() -> None:
    import torch

    from cem_rag_app.cem.training import losses

    generator = np.random.default_rng(0)
    student, teacher = unit(generator, 6, 4), unit(generator, 6, 4)
    s, t = torch.from_numpy(student), torch.from_numpy(teacher)
    product = student @ teacher.T
    own = np.diag(product)
    assert losses.distillation(s, t).item() == pytest.approx(np.mean(1 - own))
    assert losses.distillation(t, t).item() == pytest.approx(0.0)
    shares = np.exp(20 * product) / np.exp(20 * product).sum(axis=1, keepdims=True)
    assert losses.info_nce(s, t, torch.tensor(20.0)).item() == pytest.approx(-np.log(np.diag(shares)).mean())
    hardest = [max(product[i, j] for j in range(6) if j != i) for i in range(6)]
    assert losses.triplet(s, t, 0.2).item() == pytest.approx(np.maximum(0, 0.2 - own + hardest).mean())
    squares = ((student @ student.T - teacher @ teacher.T) ** 2).mean()
    assert losses.similarity_matrix(s, t).item() == pytest.approx(6 * squares)
    parts = losses.LossWeights(alpha=1.0, beta=0.5, gamma=0.25, delta=0.125)
    total = losses.total_loss(s, t, torch.tensor(20.0), parts).item()
    assert total == pytest.approx(
        np.mean(1 - own)
        - 0.5 * np.log(np.diag(shares)).mean()
        + 0.25 * np.maximum(0, 0.2 - own + hardest).mean()
        + 0.125 * 6 * squares
    )


def test_the_exported_student_is_the_network_rounded() -> None:
    import torch

    from cem_rag_app.cem.features import FeatureCounts
    from cem_rag_app.cem.training.network import StudentNetwork, select

    torch.manual_seed(0)
    network = StudentNetwork(50, 8, 6, 5)
    with torch.no_grad():
        network.log_gain += torch.randn(50) * 0.3
        network.outer.weight += 0.1  # type: ignore[union-attr]
    counts = FeatureCounts(
        bounds=np.array([0, 3, 5, 9]),
        indices=np.array([1, 2, 3, 4, 5, 6, 7, 8, 49], dtype=np.int32),
        weights=np.arange(1, 10, dtype=np.float32),
    )
    chosen = np.array([2, 0])
    with torch.no_grad():
        expected = network(*map(torch.from_numpy, select(counts, chosen))).numpy()
    assert np.abs(network.export().embed(counts)[chosen] - expected).max() < 0.02


def test_ranking_score_is_ndcg_at_ten_with_one_relevant_passage() -> None:
    passages = np.eye(12, dtype=np.float32)
    assert ranking_score(passages, passages) == 1.0
    queries = passages.copy()
    queries[0] = passages[1] + 0.5 * passages[0]  # its passage comes second
    assert ranking_score(queries, passages) == pytest.approx((11 + 1 / np.log2(3)) / 12)
    backwards = -passages[:1]
    assert ranking_score(backwards, passages[:1]) == 1.0


def test_a_run_writes_a_checkpoint_that_ranks_passages_it_has_not_seen(tmp_path: Path) -> None:
    texts, vectors = passages(400)
    (tmp_path / "texts.txt").write_text("\n".join(texts))
    np.save(tmp_path / "vectors.npy", vectors)
    report = train_cem(config(tmp_path))
    assert report.metrics["cosine"] > 0.8
    assert report.passages == 360
    encoder = CompressedEncoder.from_pretrained(report.checkpoint)
    assert (encoder.teacher, encoder.dimension) == ("minilm-en", 384)
    dictionary = general_dictionary("zh")
    frames = [Compressor(dictionary).compress(text.encode()) for text in texts[360:]]
    assert (encoder.encode(frames, dictionary) * vectors[360:]).sum(axis=1).mean() > 0.8
    lines = [json.loads(line) for line in (report.checkpoint / "metrics.jsonl").read_text().splitlines()]
    assert [line["epoch"] for line in lines] == [0, 1, 2, 3]
    recipe = json.loads((report.checkpoint / "config.json").read_text())["recipe"]
    assert (recipe["seed"], recipe["epochs"], recipe["texts"]) == (3, 3, "texts.txt")


def test_vectors_of_another_width_and_too_few_passages_are_refused(tmp_path: Path) -> None:
    texts, vectors = passages(60)
    (tmp_path / "texts.txt").write_text("\n".join(texts))
    np.save(tmp_path / "vectors.npy", vectors)
    with pytest.raises(EmptyInputError, match="too few"):
        train_cem(config(tmp_path))
    np.save(tmp_path / "vectors.npy", vectors[:, :200])
    with pytest.raises(DimensionError):
        train_cem(config(tmp_path))
    (tmp_path / "texts.txt").write_text("\n\n")
    with pytest.raises(EmptyInputError):
        train_cem(config(tmp_path))


def test_the_chinese_encoders_table_is_taken_over_and_not_trained(tmp_path: Path) -> None:
    (tmp_path / "texts.txt").write_text("昨天去吃了火锅\n今天下雨了\n")
    report = train_cem(
        TrainingConfig(
            teacher="embedded-zh", texts=tmp_path / "texts.txt", output=tmp_path / "zh", name="zh", language="zh"
        )
    )
    assert report.metrics == {"cosine": 1.0, "least_cosine": 1.0}
    assert sorted(path.name for path in (tmp_path / "zh").iterdir()) == ["config.json"]
    assert CompressedEncoder.from_pretrained(tmp_path / "zh").teacher == "embedded-zh"


def test_texts_may_be_compressed_and_pairs_are_spread_over_their_file(tmp_path: Path) -> None:
    import gzip

    (tmp_path / "t.txt.gz").write_bytes(gzip.compress(b"one\n\nthree\n"))
    assert read_texts(tmp_path / "t.txt.gz") == ["one", "", "three"]
    rows = [f"title\tquery {number}\t{'passage ' * 12}{number}" for number in range(100)]
    (tmp_path / "pairs.tsv").write_text("\n".join(rows))
    queries, found = read_pairs(tmp_path / "pairs.tsv", 10)
    assert len(queries) == len(found) == 10
    assert int(queries[-1].split()[1]) > 60


def passages(count: int) -> tuple[list[str], np.ndarray]:
    """Passages of three topics; the vector is the topic's, with a little of each word's own."""
    generator = np.random.default_rng(11)
    words = sorted({word for topic in TOPICS.values() for word in topic.split()})
    own = dict(zip(words, unit(generator, len(words), 384), strict=True))
    topics = dict(zip(TOPICS, unit(generator, len(TOPICS), 384), strict=True))
    texts, vectors = [], []
    for _ in range(count):
        topic = str(generator.choice(list(TOPICS)))
        chosen = generator.choice(TOPICS[topic].split(), 9)
        texts.append(" ".join(chosen))
        vector = 2 * topics[topic] + sum(own[word] for word in chosen) / 3
        vectors.append(vector / np.linalg.norm(vector))
    return texts, np.array(vectors, dtype=np.float32)


def config(folder: Path) -> TrainingConfig:
    return TrainingConfig(
        teacher="minilm-en",
        texts=folder / "texts.txt",
        vectors=folder / "vectors.npy",
        output=folder / "out",
        words=60,
        word_pairs=20,
        buckets=8,
        rank=16,
        hidden=0,
        epochs=3,
        batch_size=32,
        learning_rate=0.02,
        table_rate=1.0,
        held_out=40,
        seed=3,
    )
