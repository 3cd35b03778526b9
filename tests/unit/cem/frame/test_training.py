"""How a student over raw frames learns: first its n-grams as a bag, then everything."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from cem_rag_app.cem.encoder import CompressedEncoder
from cem_rag_app.cem.frame.blocks import cut
from cem_rag_app.cem.students.frame import as_tensors, new_network
from cem_rag_app.cem.training.config import TrainingConfig, build_config
from cem_rag_app.cem.training.frame import EmbeddingBag, FrameTrainable, hashed, shape_of, start_as_bag
from cem_rag_app.cem.training.run import train_cem
from cem_rag_app.zpkg.dictionary import general_dictionary
from tests.unit.cem.frame.conftest import DIMENSION, RAW, TEXTS, compressed, tiny
from tests.unit.cem.training.test_run import TopicTeacher, passages

SIZES = {name: value for name, value in tiny(piece=4096, buckets=509).model_dump().items() if name != "literals"}


def config(folder: Path, **changes: object) -> TrainingConfig:
    texts = passages(300)
    (folder / "texts.txt").write_text("\n".join(texts))
    rows = (f"title\t{' '.join(texts[number].split()[:4])}\t{texts[number]}\n" for number in range(0, 200, 5))
    (folder / "pairs.tsv").write_text("".join(rows))
    numbers = {
        "view": "frame",
        "teacher": "topics",
        "texts": folder / "texts.txt",
        "pairs": folder / "pairs.tsv",
        "output": folder / "out",
        "level": RAW,
        "dictionaries": ("general",),
        "held_out": 30,
        "held_out_pairs": 20,
        "epochs": 2,
        "batch_size": 30,
        "warm_epochs": 4,
        "warm_batch": 20,
        "warm_rate": 2e-2,
        "learning_rate": 3e-3,
        "precision": "float32",
        "device": "cpu",
    }
    return build_config(numbers, {"frame": SIZES}, changes)


def test_a_run_learns_and_leaves_a_checkpoint_that_names_its_compression(tmp_path: Path) -> None:
    report = train_cem(config(tmp_path), teacher=TopicTeacher())
    assert report.metrics["cosine"] > 0.7  # a random student of these 24 dimensions has about 0
    record = json.loads((tmp_path / "out" / "config.json").read_text())
    assert record["format"] == "cem-frame"
    assert record["frame"]["literals"] == "raw"
    assert record["compression"]["level"] == RAW
    assert record["compression"]["dictionaries"] == [general_dictionary("en").digest]
    encoder = CompressedEncoder.from_pretrained(tmp_path / "out")
    texts = passages(300)[-30:]
    vectors = encoder.encode(compressed(texts, RAW), general_dictionary("en"))
    cosine = (vectors * TopicTeacher().encode_documents(texts)).sum(axis=1).mean()
    assert cosine == pytest.approx(report.metrics["cosine"], abs=1e-3)


def test_the_warm_up_is_worth_having(tmp_path: Path) -> None:
    def first(warm: int) -> float:
        folder = tmp_path / str(warm)
        folder.mkdir()
        train_cem(config(folder, warm_epochs=warm, epochs=1), teacher=TopicTeacher())
        lines = (folder / "out" / "metrics.jsonl").read_text().splitlines()
        return next(line["cosine"] for line in map(json.loads, lines) if line["kind"] == "epoch")

    assert first(3) > first(0) + 0.3


def test_the_network_starts_as_the_bag() -> None:
    network = new_network(tiny(patch=1, piece=4096), DIMENSION, 3)  # of one byte: a mean over patches is one over bytes
    start_as_bag(network, 0)
    frames = compressed(TEXTS, RAW)
    owners = np.arange(len(frames))
    with torch.no_grad():
        # The one thing left of the layers: what a patch's queries add to what they find.
        network.blt.local_encoder.patch_embedding_projection.weight.zero_()
        bag = EmbeddingBag(network)(**hashed(frames, network.shape))
        whole = network(**as_tensors(cut(frames, owners, len(frames), network.shape)))
    assert (bag - whole).abs().max() <= 1e-5


def test_the_bag_takes_the_rows_that_blt_would_take() -> None:
    shape = tiny(block=100, context=0, piece=4096)
    network = new_network(shape, DIMENSION, 3)
    frames = compressed(TEXTS, RAW)
    read = hashed(frames, shape)
    table, letters = network.blt.encoder_hash_tok_embedding.weight, network.blt.local_encoder.embed_tokens.weight
    with torch.no_grad():
        found = table[read["ngrams"]].sum(dim=1) + letters[read["ids"]]
        for number, frame in enumerate(frames):
            ids = torch.tensor([[byte + 4 for byte in frame]])
            expected = network.embedded(ids)[0]
            assert (found[read["owners"] == number] - expected).abs().max() <= 1e-5
    assert read["counts"].tolist() == [len(frame) for frame in frames]


def test_a_table_that_stays_is_not_trained(tmp_path: Path) -> None:
    network = new_network(tiny(), DIMENSION, 3)
    trainable = FrameTrainable(network, compressed(TEXTS), ("0" * 64,), 19, 0.5)
    others, table = trainable.parameter_groups()
    assert (others["share"], table["share"], table["decay"]) == (1.0, 0.5, False)
    assert len(others["params"]) + 1 == len(list(network.parameters()))
    network.blt.encoder_hash_tok_embedding.weight.requires_grad_(False)
    (others,) = trainable.parameter_groups()
    assert len(others["params"]) + 1 == len(list(network.parameters()))


def test_what_is_exported_is_the_network_rounded_and_is_not_trained_on(tmp_path: Path) -> None:
    network = new_network(tiny(), DIMENSION, 3)
    trainable = FrameTrainable(network, compressed(TEXTS), (general_dictionary("en").digest,), 19)
    frames = compressed(TEXTS)
    student = trainable.export()
    before = student.embed_frames(frames, general_dictionary("en"))
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.zero_()
    assert np.array_equal(student.embed_frames(frames, general_dictionary("en")), before)


@pytest.mark.parametrize(("level", "literals"), [(19, "any"), (1, "any"), (-1, "raw"), (RAW, "raw")])
def test_levels_below_zero_make_students_of_raw_literals(level: int, literals: str, tmp_path: Path) -> None:
    assert shape_of(config(tmp_path, level=level)).literals == literals


def test_the_same_seed_gives_the_same_student(tmp_path: Path) -> None:
    seen = []
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        train_cem(config(tmp_path / name, epochs=1), teacher=TopicTeacher())
        seen.append((tmp_path / name / "out" / "model.safetensors").read_bytes())
    assert seen[0] == seen[1]
