"""What was saved is what is loaded; anything else is refused by name."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from cem_rag_app.cem.checkpoint import Checkpoint, load_checkpoint
from cem_rag_app.cem.encoder import CompressedEncoder
from cem_rag_app.errors import CheckpointError
from cem_rag_app.zpkg.compress import Compressor
from cem_rag_app.zpkg.dictionary import Dictionary
from tests.unit.cem.conftest import TEXTS

NONE = Dictionary(b"")


def test_a_saved_student_gives_the_same_vectors(encoder: CompressedEncoder, saved: Path) -> None:
    frames = [Compressor(NONE).compress(text.encode()) for text in TEXTS]
    loaded = CompressedEncoder.from_pretrained(saved)
    assert (loaded.name, loaded.teacher, loaded.dimension) == ("tiny", "nobody", 12)
    assert np.abs(loaded.encode(frames, NONE) - encoder.encode(frames, NONE)).max() <= 1e-5


def test_the_chinese_student_is_saved_with_the_table_it_shares(tmp_path: Path) -> None:
    frames = [Compressor(NONE).compress(text.encode()) for text in TEXTS]
    shared = CompressedEncoder.from_pretrained("cem-mini-zh")
    shared.save_pretrained(tmp_path)
    own = CompressedEncoder.from_pretrained(tmp_path)
    assert (tmp_path / "model.safetensors").stat().st_size > 1_000_000
    assert np.array_equal(own.encode(frames, NONE), shared.encode(frames, NONE))


def test_a_checkpoint_names_its_zstd_and_its_teacher(saved: Path) -> None:
    config = json.loads((saved / "config.json").read_text())
    assert config["teacher"] == "nobody"
    assert config["compression"] == {"zstd_version": "1.5.7", "level": 19, "magicless": True, "dictionaries": []}


def test_a_folder_without_a_checkpoint_says_what_to_name(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"config\.json and model\.safetensors"):
        load_checkpoint(tmp_path)
    with pytest.raises(CheckpointError, match="No checkpoint can be read"):
        CompressedEncoder.from_pretrained("no-such-name")


@pytest.mark.parametrize("file", ["config.json", "model.safetensors"])
def test_a_missing_file_is_refused(saved: Path, file: str) -> None:
    (saved / file).unlink()
    with pytest.raises(CheckpointError, match="No checkpoint can be read"):
        load_checkpoint(saved)


def test_a_flipped_bit_anywhere_in_the_weights_is_refused(saved: Path) -> None:
    path = saved / "model.safetensors"
    good = path.read_bytes()
    for place in (0, 9, len(good) // 2, len(good) - 1):
        path.write_bytes(good[:place] + bytes([good[place] ^ 1]) + good[place + 1 :])
        with pytest.raises(CheckpointError, match="damaged"):
            load_checkpoint(saved)


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"format": "other"}, "holds no CEM checkpoint"),
        ({"format_version": 99}, "format version 99"),
        ({"dimension": 13}, "damaged"),
        ({"dimension": "wide"}, "damaged"),
        ({"surprise": 1}, "damaged"),
        ({"weights": "teacher"}, "damaged"),
        ({"features": {"kind": "words"}}, "damaged"),
    ],
)
def test_a_configuration_that_does_not_fit_is_refused(saved: Path, change: dict[str, object], complaint: str) -> None:
    path = saved / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    with pytest.raises(CheckpointError, match=complaint):
        load_checkpoint(saved)


def test_a_configuration_that_is_no_json_is_refused(saved: Path) -> None:
    (saved / "config.json").write_text("{")
    with pytest.raises(CheckpointError, match="no JSON"):
        load_checkpoint(saved)


def test_weights_that_disagree_with_the_features_are_refused(saved: Path, checkpoint: Checkpoint) -> None:
    path = saved / "config.json"
    config = json.loads(path.read_text())
    config["features"]["buckets"] += 1
    path.write_text(json.dumps(config))
    with pytest.raises(CheckpointError, match="table has the shape"):
        load_checkpoint(saved)
    assert checkpoint.student.reader.size == checkpoint.student.weights.table.shape[0]
