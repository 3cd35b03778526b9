"""Encoding with several threads: the same vectors, the same errors, and really several threads."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch

from cem_rag_app.cem.checkpoint import Checkpoint
from cem_rag_app.cem.encoder import CompressedEncoder
from cem_rag_app.cem.students.base import Student, Tensors
from cem_rag_app.errors import FrameError, SettingsError
from cem_rag_app.schema import FloatArray
from cem_rag_app.zpkg.compress import Compressor
from cem_rag_app.zpkg.dictionary import Dictionary
from tests.unit.cem.conftest import TEXTS

NONE = Dictionary(b"")


class Watched:
    """A student that notes who asks it for how many, and holds each asker until ``together`` have come."""

    def __init__(self, student: Student, together: int) -> None:
        self._student = student
        self._barrier = threading.Barrier(together, timeout=20)
        self.asked: list[tuple[str, int]] = []
        self.torch_threads: set[int] = set()

    @property
    def dimension(self) -> int:
        return self._student.dimension

    def embed_frames(self, frames: Sequence[bytes], dictionary: Dictionary) -> FloatArray:
        self.asked.append((threading.current_thread().name, len(frames)))
        self.torch_threads.add(torch.get_num_threads())
        self._barrier.wait()
        return self._student.embed_frames(frames, dictionary)

    def tensors(self) -> Tensors:
        return self._student.tensors()


@pytest.fixture(scope="module")
def many() -> list[bytes]:
    """1,100 different frames: four full blocks and a rest."""
    compressor = Compressor(NONE, 3)
    return [compressor.compress(f"{TEXTS[number % 4]} {number} wings".encode()) for number in range(1100)]


@pytest.mark.parametrize("threads", [2, 3, 16])
def test_the_vectors_are_those_of_one_thread_bit_for_bit(
    checkpoint: Checkpoint, many: list[bytes], threads: int
) -> None:
    one = CompressedEncoder(checkpoint, threads=1).encode(many, NONE)
    assert np.array_equal(CompressedEncoder(checkpoint, threads=threads).encode(many, NONE), one)
    assert len(np.unique(one, axis=0)) > 100  # rows in the wrong places would show


def test_blocks_of_a_large_batch_are_encoded_at_the_same_time(checkpoint: Checkpoint, many: list[bytes]) -> None:
    # Both of two blocks must have begun before either may end: one thread alone would wait for ever.
    student = Watched(checkpoint.student, together=2)
    CompressedEncoder(Checkpoint(checkpoint.config, student), threads=2).encode(many[:512], NONE)
    assert [size for _, size in student.asked] == [256, 256]
    assert len({name for name, _ in student.asked}) == 2


def test_torch_has_one_thread_in_each_of_ours_and_its_own_number_before_and_after(
    checkpoint: Checkpoint, many: list[bytes]
) -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        student = Watched(checkpoint.student, together=2)
        CompressedEncoder(Checkpoint(checkpoint.config, student), threads=2).encode(many[:512], NONE)
        assert student.torch_threads == {1}
        assert torch.get_num_threads() == 3
        with ThreadPoolExecutor(1) as later:
            assert later.submit(torch.get_num_threads).result() == 3
    finally:
        torch.set_num_threads(before)


def test_two_encoders_at_once_leave_torch_its_number(checkpoint: Checkpoint, many: list[bytes]) -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        # All four blocks of both calls must have begun before any may end, so the calls overlap.
        student = Watched(checkpoint.student, together=4)
        encoder = CompressedEncoder(Checkpoint(checkpoint.config, student), threads=2)
        with ThreadPoolExecutor(2) as callers:
            calls = [callers.submit(encoder.encode, many[:512], NONE) for _ in range(2)]
            assert [call.result().shape[0] for call in calls] == [512, 512]
        with ThreadPoolExecutor(1) as later:
            assert later.submit(torch.get_num_threads).result() == 3
    finally:
        torch.set_num_threads(before)


def test_one_block_stays_in_the_thread_that_asked(checkpoint: Checkpoint, many: list[bytes]) -> None:
    student = Watched(checkpoint.student, together=1)
    CompressedEncoder(Checkpoint(checkpoint.config, student), threads=8).encode(many[:256], NONE)
    assert {name for name, _ in student.asked} == {threading.current_thread().name}


def test_one_thread_is_one_and_torchs_are_not_added_to_it(checkpoint: Checkpoint, many: list[bytes]) -> None:
    student = Watched(checkpoint.student, together=1)
    CompressedEncoder(Checkpoint(checkpoint.config, student), threads=1).encode(many, NONE)
    assert len({name for name, _ in student.asked}) == 1
    assert student.torch_threads == {1}


def test_a_damaged_frame_in_a_later_block_is_refused_with_several_threads(
    checkpoint: Checkpoint, many: list[bytes]
) -> None:
    damaged = [*many[:900], many[0][:-2], *many[900:]]
    with pytest.raises(FrameError):
        CompressedEncoder(checkpoint, threads=2).encode(damaged, NONE)


def test_another_number_of_threads_shares_the_weights(encoder: CompressedEncoder) -> None:
    other = encoder.with_threads(3)
    assert (other.threads, other.name, other.student is encoder.student) == (3, encoder.name, True)
    assert encoder.threads >= 1


@pytest.mark.parametrize("threads", [0, -2])
def test_no_thread_is_refused(encoder: CompressedEncoder, threads: int) -> None:
    with pytest.raises(SettingsError, match=f"{threads} threads"):
        encoder.with_threads(threads)
