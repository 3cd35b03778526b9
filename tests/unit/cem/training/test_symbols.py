"""The transformer over patches as the loop sees it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from cem_rag_app.cem.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from cem_rag_app.cem.patches import PatchReader
from cem_rag_app.cem.records import CheckpointConfig, CompressionRecord
from cem_rag_app.cem.training.base import FrameSet
from cem_rag_app.cem.training.config import SymbolsConfig
from cem_rag_app.cem.training.data import compress
from cem_rag_app.cem.training.symbols import PatchNetwork, SymbolsTrainable, read_patches
from cem_rag_app.cem.training.vocabulary import vocabulary_hashes
from cem_rag_app.zpkg.dictionary import general_dictionary

WORDS = ("the", "of", "boundary", "layer", "plate", "heat", "wing", "shock", "flow", "library", "index")
NUMBERS = SymbolsConfig(words=11, buckets=16, joined=2, width=12, layers=1, heads=2, hidden=16, word_dropout=0.4)


def texts(count: int = 60) -> list[str]:
    generator = np.random.default_rng(4)
    return [" ".join(generator.choice(WORDS, generator.integers(1, 30))) for _ in range(count)]


@pytest.fixture
def frames() -> FrameSet:
    return compress(texts(), [general_dictionary("en"), general_dictionary("zh")], 19)


@pytest.fixture
def trainable(frames: FrameSet) -> SymbolsTrainable:
    generator = np.random.default_rng(5)
    reader = PatchReader(vocabulary_hashes((word,) for word in WORDS), NUMBERS.buckets, NUMBERS.joined)
    torch.manual_seed(5)
    initial = generator.normal(size=(reader.size, NUMBERS.width)).astype(np.float32)
    projection = generator.normal(size=(NUMBERS.width, 8)).astype(np.float32)
    module = PatchNetwork(NUMBERS, 8, initial, projection)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.1)
    return SymbolsTrainable(reader, read_patches(reader, frames), module, NUMBERS)


def test_patches_of_several_dictionaries_keep_the_frames_order(trainable: SymbolsTrainable, frames: FrameSet) -> None:
    shuffled = FrameSet(
        [frames.frames[row] for row in (59, 0, 30, 1)], frames.dictionaries, frames.dictionary_of[[59, 0, 30, 1]]
    )
    found, expected = read_patches(trainable.reader, shuffled), trainable.patches.select(np.array([59, 0, 30, 1]))
    for name in ("bounds", "entries", "indices", "weights"):
        assert getattr(found, name).tolist() == getattr(expected, name).tolist()


def test_what_is_shipped_says_what_the_network_says(trainable: SymbolsTrainable, frames: FrameSet) -> None:
    with torch.no_grad():
        found = trainable.module(**trainable.batch(np.arange(60), None)).numpy()
    shipped = frames.embed(trainable.export())
    assert (found * shipped).sum(axis=1).min() > 0.999


def test_exporting_leaves_the_network_alone(trainable: SymbolsTrainable) -> None:
    before = {name: part.clone() for name, part in trainable.module.state_dict().items()}
    student = trainable.export()
    assert all(torch.equal(before[name], part) for name, part in trainable.module.state_dict().items())
    assert all(parameter.requires_grad for parameter in trainable.module.parameters())
    assert not any(parameter.requires_grad for parameter in student.network.parameters())


def test_words_are_hidden_by_the_generator_alone(trainable: SymbolsTrainable) -> None:
    rows = np.arange(40)
    plain = trainable.batch(rows, None)["weights"]
    one, again = (trainable.batch(rows, np.random.default_rng(1))["weights"] for _ in range(2))
    assert torch.equal(one, again)
    assert bool((plain > 0).all())
    assert 0.3 < float((one == 0).float().mean()) < 0.5
    assert torch.equal(one[one > 0], plain[one > 0])


def test_every_parameter_is_trained_once_and_the_table_slower(trainable: SymbolsTrainable) -> None:
    groups = trainable.parameter_groups()
    trained = [id(parameter) for group in groups for parameter in group["params"]]
    assert sorted(trained) == sorted(map(id, trainable.module.parameters()))
    assert {group["share"] for group in groups if trainable.module.table.weight is group["params"][0]} == {0.5}


def test_the_record_makes_the_same_student_again(trainable: SymbolsTrainable, frames: FrameSet, tmp_path: Path) -> None:
    compression = CompressionRecord(zstd_version="1.5.7", level=19)
    config = CheckpointConfig(name="tiny", teacher="nobody", dimension=8, compression=compression, **trainable.record())
    student = trainable.export()
    save_checkpoint(Checkpoint(config, student), tmp_path)
    assert np.array_equal(frames.embed(load_checkpoint(tmp_path).student), frames.embed(student))
