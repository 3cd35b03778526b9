"""The student over raw frames: what it reads, what it refuses, and how it is kept."""

from __future__ import annotations

import ast
import inspect
import json
from pathlib import Path

import numpy as np
import pytest

from cem_rag_app.cem.checkpoint import Checkpoint, save_checkpoint
from cem_rag_app.cem.encoder import CompressedEncoder
from cem_rag_app.cem.frame import blocks, network, shape
from cem_rag_app.cem.frame.shape import FrameShape
from cem_rag_app.cem.records import CheckpointConfig, CompressionRecord
from cem_rag_app.cem.students import frame as frame_student
from cem_rag_app.cem.students.frame import FrameStudent, has_coded_literals
from cem_rag_app.errors import CheckpointError, FrameError, FrameTooLargeError
from cem_rag_app.zpkg.dictionary import Dictionary, general_dictionary
from tests.unit.cem.frame.conftest import DIMENSION, RAW, TEXTS, compressed, make_student, tiny

GENERAL = general_dictionary("en")


def save(student: FrameStudent, folder: Path) -> None:
    config = CheckpointConfig(
        format="cem-frame",
        name="tiny",
        teacher="nobody",
        dimension=DIMENSION,
        frame=student.shape,
        compression=CompressionRecord(zstd_version="1.5.7", level=student.level, dictionaries=(GENERAL.digest,)),
    )
    save_checkpoint(Checkpoint(config, student), folder)


def test_what_is_saved_comes_back_rounded_once(tmp_path: Path) -> None:
    student = make_student(tiny())
    save(student, tmp_path / "first")
    loaded = CompressedEncoder.from_pretrained(tmp_path / "first")
    assert (loaded.view, loaded.dimension) == ("frame", DIMENSION)
    frames = compressed(TEXTS)
    vectors = loaded.encode(frames, GENERAL)
    assert (vectors * student.embed_frames(frames, GENERAL)).sum(axis=1).min() > 0.99  # 8 bits a number
    loaded.save_pretrained(tmp_path / "second")
    again = CompressedEncoder.from_pretrained(tmp_path / "second")
    assert np.array_equal(again.encode(frames, GENERAL), vectors)


def test_matrices_take_a_byte_a_number_and_everything_else_two() -> None:
    tensors = make_student(tiny()).tensors()
    assert {array.ndim: array.dtype for array in tensors.values()} == {2: np.dtype(np.int8), 1: np.dtype(np.float16)}
    assert not any("decoder" in name for name in tensors)


@pytest.mark.parametrize("dictionary", [Dictionary(b""), general_dictionary("zh")])
def test_a_dictionary_it_never_saw_is_refused_with_the_remedy(student: FrameStudent, dictionary: Dictionary) -> None:
    with pytest.raises(CheckpointError, match="never saw the dictionary") as raised:
        student.embed_frames(compressed(TEXTS[:1], dictionary=dictionary), dictionary)
    assert "symbols" in str(raised.value.remedy)


def test_entropy_coded_literals_are_refused_by_a_student_of_raw_ones() -> None:
    student = make_student(tiny(literals="raw"), RAW)
    raw, coded = compressed(TEXTS[3:4], RAW), compressed(TEXTS[3:4], 3)
    assert [has_coded_literals(frame) for frame in raw + coded] == [False, True]
    assert student.embed_frames(raw, GENERAL).shape == (1, DIMENSION)
    with pytest.raises(CheckpointError, match=r"Frame 1 .* level -5"):
        student.embed_frames(raw + coded, GENERAL)


def test_a_student_of_any_literals_reads_both(student: FrameStudent) -> None:
    frames = compressed(TEXTS[3:4], RAW) + compressed(TEXTS[3:4], 3)
    assert student.embed_frames(frames, GENERAL).shape == (2, DIMENSION)


@pytest.mark.parametrize("level", [-100, -20, RAW, -1])
def test_no_level_below_zero_codes_its_literals(level: int) -> None:
    texts = [*TEXTS, "", "e" * 4000, SHAKEN := "".join(chr(97 + n * n % 23) for n in range(3000)), SHAKEN * 60]
    assert not any(has_coded_literals(frame) for frame in compressed(texts, level))


@pytest.mark.parametrize("frame", [b"", b"\x00", b"\x00\x00\x29\x00", b"\xff" * 40, bytes(40)])
def test_a_frame_that_is_none_is_named_by_its_number(student: FrameStudent, frame: bytes) -> None:
    good = compressed(TEXTS[:2])
    with pytest.raises(FrameError, match="Frame 2"):
        student.embed_frames([*good, frame], GENERAL)


def test_a_cut_frame_is_refused(student: FrameStudent) -> None:
    (frame,) = compressed(TEXTS[3:4])
    for end in range(len(frame)):
        with pytest.raises(FrameError):
            student.embed_frames([frame[:end]], GENERAL)


def test_the_largest_frame_is_read_and_a_larger_one_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    student = make_student(tiny(patch=16, block=16, piece=4096))
    body = bytes(1 << 17)
    block = (len(body) << 3).to_bytes(3, "little") + body
    last = ((1 << 20) - 7 * len(block) - 5 << 3 | 1).to_bytes(3, "little")
    frame = b"\x00\x58" + 7 * block + last
    frame += bytes((1 << 20) - len(frame))
    assert len(frame) == 1 << 20
    assert np.isfinite(student.embed_frames([frame], GENERAL)).all()
    with pytest.raises(FrameTooLargeError, match="Frame 0"):
        student.embed_frames([frame + b"\x00"], GENERAL)


def test_random_bytes_behind_a_sound_header_give_a_vector_or_an_error(student: FrameStudent) -> None:
    generator = np.random.default_rng(11)
    for _ in range(50):
        body = generator.integers(0, 256, generator.integers(1, 90), dtype=np.uint8).tobytes()
        frame = b"\x00\x00" + (len(body) << 3 | 1 | 4).to_bytes(3, "little") + body
        assert np.linalg.norm(student.embed_frames([frame], GENERAL)) == pytest.approx(1.0, abs=1e-5)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda config: config.pop("frame"), "no section"),
        (lambda config: config["frame"].update(buckets=67), "encoder_hash_tok_embedding"),
        (lambda config: config["frame"].update(layers=3), "lack"),
        (lambda config: config["frame"].update(local_heads=3), "not valid"),
        (lambda config: config["frame"].update(groups=[0]), "not valid"),
        (lambda config: config.update(dimension=13), "projection"),
    ],
)
def test_a_configuration_that_does_not_fit_its_weights_is_refused(change: object, words: str, tmp_path: Path) -> None:
    save(make_student(tiny()), tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    change(config)  # type: ignore[operator]
    (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(CheckpointError, match=words):
        CompressedEncoder.from_pretrained(tmp_path)


@pytest.mark.parametrize("sizes", [{"local_width": 12, "local_heads": 4}, {"groups": (17,)}, {"heads": 3}])
def test_sizes_that_make_no_model_are_refused(sizes: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"heads of an even width|1 to 16"):
        tiny(**sizes)


def test_the_shape_says_how_wide_and_long_things_are() -> None:
    sizes: FrameShape = tiny()
    assert (sizes.width, sizes.own, sizes.positions) == (16, 12, 17)


def test_nothing_here_can_decompress() -> None:
    for module in (blocks, network, shape, frame_student):
        tree = ast.parse(inspect.getsource(module))
        names = {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
        names |= {name.name for node in ast.walk(tree) if isinstance(node, ast.Import) for name in node.names}
        assert not any(name.split(".")[0] in {"zstandard", "backports"} or "late" in name for name in names)
