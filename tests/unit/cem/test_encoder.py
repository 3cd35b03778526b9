"""Compressed bytes in, unit vectors out; nothing else of the document goes in (I2), nothing is decompressed (I1)."""

from __future__ import annotations

import inspect
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from cem_rag_app.cem.encoder import CompressedEncoder, shipped_checkpoint
from cem_rag_app.cem.encoders import load_encoders
from cem_rag_app.cem.teachers.registry import load_teacher
from cem_rag_app.errors import CheckpointError, FrameError
from cem_rag_app.zpkg.compress import Compressor
from cem_rag_app.zpkg.dictionary import Dictionary, general_dictionary, train_dictionary
from tests.unit.cem.conftest import TEXTS

NONE = Dictionary(b"")


def frames(texts: tuple[str, ...], dictionary: Dictionary = NONE, level: int = 19) -> list[bytes]:
    compressor = Compressor(dictionary, level)
    return [compressor.compress(text.encode()) for text in texts]


def test_every_row_has_length_one_and_the_width_of_the_teachers_space(encoder: CompressedEncoder) -> None:
    vectors = encoder.encode(frames(TEXTS), NONE)
    assert vectors.shape == (len(TEXTS), 12)
    assert vectors.dtype == np.float32
    assert np.linalg.norm(vectors, axis=1) == pytest.approx(1.0, abs=1e-6)


def test_no_frames_give_no_rows(encoder: CompressedEncoder) -> None:
    assert encoder.encode([], NONE).shape == (0, 12)


def test_encode_takes_compressed_bytes_and_their_dictionary_and_nothing_else(encoder: CompressedEncoder) -> None:
    assert list(inspect.signature(encoder.encode).parameters) == ["frames", "dictionary"]
    vectors = encoder.encode(frames(TEXTS[:1]), NONE)
    assert not np.allclose(vectors, encoder.encode(frames(TEXTS[1:2]), NONE))
    with pytest.raises(FrameError):
        encoder.encode([TEXTS[0].encode()], NONE)


def test_the_vector_is_a_function_of_the_compressed_bytes(encoder: CompressedEncoder) -> None:
    frame, other = frames(("wing", "wind"))
    assert frame != other
    assert frame.replace(b"wing", b"wind") == other
    assert not np.allclose(encoder.encode([frame], NONE), encoder.encode([other], NONE))


@given(order=st.permutations(range(len(TEXTS))), size=st.integers(1, len(TEXTS)))
def test_a_vector_does_not_depend_on_its_batch_mates(encoder: CompressedEncoder, order: list[int], size: int) -> None:
    everything = frames(TEXTS)
    alone = np.concatenate([encoder.encode([frame], NONE) for frame in everything])
    chosen = order[:size]
    together = encoder.encode([everything[i] for i in chosen], NONE)
    assert np.abs(together - alone[chosen]).max() <= 1e-5


def test_dictionaries_never_seen_and_any_level_give_the_same_vectors(encoder: CompressedEncoder) -> None:
    # Fails too when a frame's own entropy tables leak into the next frame of the batch.
    own = train_dictionary([f"{text} {number}".encode() for number in range(300) for text in TEXTS], 4096)
    expected = encoder.encode(frames(TEXTS), NONE)
    for dictionary in (NONE, own, general_dictionary("en"), general_dictionary("zh")):
        for level in (1, 3, 12, 22):
            vectors = encoder.encode(frames(TEXTS, dictionary, level), dictionary)
            assert np.abs(vectors - expected).max() <= 1e-5


def test_a_damaged_frame_is_named_by_its_place_in_the_batch(encoder: CompressedEncoder) -> None:
    good = frames(TEXTS[:2])
    with pytest.raises(FrameError, match="Frame 1 of the batch"):
        encoder.encode([good[0], good[1][:-2]], NONE)


def test_threads_share_an_encoder(encoder: CompressedEncoder) -> None:
    everything = frames(TEXTS) * 50
    expected = encoder.encode(everything, NONE)
    with ThreadPoolExecutor(4) as pool:
        for vectors in pool.map(lambda _: encoder.encode(everything, NONE), range(8)):
            assert np.array_equal(vectors, expected)


def test_encoding_needs_no_torch_and_passes_with_decompression_replaced_by_an_error() -> None:
    program = """
import sys, types
late = types.ModuleType("cem_rag_app.zpkg.late")
def refuse(*arguments, **options):
    raise AssertionError("decompressed")
late.decompress = late.read_text = refuse
sys.modules["cem_rag_app.zpkg.late"] = late
import zstandard
zstandard.ZstdDecompressor = zstandard.decompress = refuse
from cem_rag_app.cem.encoder import CompressedEncoder
from cem_rag_app.zpkg.dictionary import general_dictionary
frames = [bytes.fromhex(line) for line in sys.stdin.read().split()]
for name, language in (("cem-mini-zh", "zh"), ("cem-ngram-en", "en"), ("cem-mini-en", "en")):
    # The sequence model runs in torch; the bags, and so the Chinese offline chat, must do without.
    sys.modules.pop("torch", None) if name == "cem-mini-en" else sys.modules.update(torch=None)
    print(CompressedEncoder.from_pretrained(name).encode(frames, general_dictionary(language)).shape[0])
"""
    everything = frames(TEXTS)
    done = subprocess.run(
        [sys.executable, "-c", program],
        input="\n".join(frame.hex() for frame in everything),
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        timeout=300,
        check=False,
    )
    assert done.stderr == ""
    assert done.stdout.split() == [str(len(TEXTS))] * 3


def test_the_chinese_student_sees_in_frames_exactly_what_its_teacher_sees_in_text() -> None:
    encoders = load_encoders("embedded-zh")
    texts = (*TEXTS, "昨天晚上我們一起去吃火鍋，太辣了！", "２０２６年１１月 iPhone 出了新的😀", "𠀀𠀁 ok ok")
    for dictionary in (NONE, general_dictionary("zh"), general_dictionary("en")):
        vectors = encoders.document.encode(frames(texts, dictionary), dictionary)
        assert np.abs(vectors - encoders.query.encode_documents(texts)).max() <= 1e-5


def test_the_shipped_checkpoints_are_found_by_their_teachers() -> None:
    for teacher, name in (("minilm-en", "cem-mini-en"), ("embedded-zh", "cem-mini-zh")):
        folder = shipped_checkpoint(teacher)
        assert folder is not None
        encoder = CompressedEncoder.from_pretrained(folder)
        assert (encoder.name, encoder.teacher, encoder.dimension) == (name, teacher, load_teacher(teacher).dimension)
    assert shipped_checkpoint("gemini") is None


def test_a_teacher_without_a_student_is_told_how_to_get_one() -> None:
    with pytest.raises(CheckpointError, match="cem-rag train cem"):
        load_encoders("gemini")
    shipped = shipped_checkpoint("minilm-en")
    with pytest.raises(CheckpointError, match="learned from 'minilm-en'"):
        load_encoders("embedded-zh", checkpoint=shipped)


def test_a_frame_of_the_standard_format_is_refused(encoder: CompressedEncoder) -> None:
    with pytest.raises(FrameError):
        encoder.encode([zstandard.ZstdCompressor().compress(TEXTS[0].encode())], NONE)
