"""Teacher vectors are computed once, survive a kill, and are never another model's."""

from __future__ import annotations

import hashlib
import signal
import subprocess
import sys
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest

from cem_rag_app.cem.teacher_cache import TeacherCache
from cem_rag_app.cem.teachers.base import unit_rows
from cem_rag_app.errors import MemoryCorruptError


@dataclass
class CountingTeacher:
    """Vectors from a hash of the text; remembers what it was asked."""

    name: str = "counting"
    dimension: int = 8
    revision: str = "1"
    pooling: str = "none"
    asked: list[str] = field(default_factory=list)

    def encode_documents(self, texts: Sequence[str]) -> np.ndarray:
        self.asked += texts
        seeds = [int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big") for text in texts]
        return unit_rows(
            np.array([np.random.default_rng(s).standard_normal(self.dimension) for s in seeds], np.float32)
        )

    def encode_queries(self, texts: Sequence[str]) -> np.ndarray:
        return -self.encode_documents(texts)


def test_vectors_come_in_the_order_asked_for_and_are_nearly_exact(tmp_path: Path) -> None:
    texts = ["b", "a", "b", "c"]
    vectors = TeacherCache(tmp_path, CountingTeacher()).encode(texts)
    np.testing.assert_allclose(vectors, CountingTeacher().encode_documents(texts), atol=1e-3)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-6)
    assert vectors.dtype == np.float32


def test_a_text_is_computed_once(tmp_path: Path) -> None:
    teacher = CountingTeacher()
    TeacherCache(tmp_path, teacher).encode(["a", "b", "a"])
    again = TeacherCache(tmp_path, teacher)
    again.encode(["b", "c", "a"])
    assert teacher.asked == ["a", "b", "c"]
    assert len(again) == 3
    assert "c" in again and "d" not in again


def test_no_text_needs_no_file(tmp_path: Path) -> None:
    assert TeacherCache(tmp_path, CountingTeacher()).encode([]).shape == (0, 8)


@pytest.mark.parametrize(
    "other",
    [
        CountingTeacher(name="other"),
        CountingTeacher(revision="2"),
        CountingTeacher(pooling="mean"),
        CountingTeacher(dimension=4),
    ],
    ids=["name", "revision", "pooling", "dimension"],
)
def test_another_space_never_gets_these_vectors(tmp_path: Path, other: CountingTeacher) -> None:
    TeacherCache(tmp_path, CountingTeacher()).encode(["a"])
    cache = TeacherCache(tmp_path, other)
    assert "a" not in cache
    np.testing.assert_allclose(
        cache.encode(["a"]), CountingTeacher(dimension=other.dimension).encode_documents(["a"]), atol=1e-3
    )
    assert other.asked == ["a"]


def test_questions_and_documents_are_kept_apart(tmp_path: Path) -> None:
    document = TeacherCache(tmp_path, CountingTeacher()).encode(["a"])
    question = TeacherCache(tmp_path, CountingTeacher(), side="query").encode(["a"])
    np.testing.assert_allclose(question, -document, atol=1e-6)


def test_a_folder_that_was_renamed_to_another_space_is_refused(tmp_path: Path) -> None:
    theirs = TeacherCache(tmp_path, CountingTeacher(revision="2")).folder
    ours = TeacherCache(tmp_path / "else", CountingTeacher()).folder
    theirs.rename(tmp_path / ours.name)
    with pytest.raises(MemoryCorruptError, match=r"space\.json"):
        TeacherCache(tmp_path, CountingTeacher())


def test_whatever_a_kill_cuts_off_the_whole_rows_stay(tmp_path: Path) -> None:
    teacher = CountingTeacher()
    cache = TeacherCache(tmp_path, teacher)
    expected = cache.encode(["a", "b", "c"])
    keys, vectors = cache.folder / "keys.bin", cache.folder / "vectors.f16"
    whole = (keys.read_bytes(), vectors.read_bytes())
    for cut_keys, cut_vectors in [(1, 0), (19, 0), (20, 0), (0, 0), (25, 5), (0, 3), (40, 33)]:
        keys.write_bytes(whole[0][: len(whole[0]) - cut_keys])
        vectors.write_bytes(whole[1][: len(whole[1]) - cut_vectors])
        np.testing.assert_array_equal(TeacherCache(tmp_path, teacher).encode(["a", "b", "c"]), expected)


def test_a_flipped_byte_is_named_not_served(tmp_path: Path) -> None:
    cache = TeacherCache(tmp_path, CountingTeacher())
    cache.encode(["a", "b"])
    path = cache.folder / "vectors.f16"
    data = bytearray(path.read_bytes())
    data[17] ^= 1
    path.write_bytes(data)
    again = TeacherCache(tmp_path, CountingTeacher())
    assert again.encode(["a"]).shape == (1, 8)
    with pytest.raises(MemoryCorruptError, match=r"Row 1 of .*vectors\.f16"):
        again.encode(["b"])


def test_progress_counts_what_is_computed(tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    cache = TeacherCache(tmp_path, CountingTeacher())
    cache.encode(["a"])
    cache.encode(["a", "b", "c", "d"], block=2, progress=lambda done, total: seen.append((done, total)))
    assert seen == [(2, 3), (3, 3)]


def test_a_killed_process_loses_at_most_the_block_it_was_in(tmp_path: Path) -> None:
    script = textwrap.dedent(
        """
        import os, signal, sys
        from pathlib import Path
        from cem_rag_app.cem.teacher_cache import TeacherCache
        import numpy as np

        class Dying:
            name, dimension, revision, pooling = "dying", 4, "1", "none"
            blocks = 0
            def encode_documents(self, texts):
                self.blocks += 1
                if self.blocks == 4:
                    os.kill(os.getpid(), signal.SIGKILL)
                return np.tile(np.array([[0.6, 0.8, 0, 0]], np.float32), (len(texts), 1))

        TeacherCache(Path(sys.argv[1]), Dying()).encode([str(n) for n in range(50)], block=10)
        """
    )
    done = subprocess.run([sys.executable, "-c", script, str(tmp_path)], timeout=120, check=False)
    assert done.returncode == -signal.SIGKILL
    teacher = CountingTeacher(name="dying", dimension=4)
    cache = TeacherCache(tmp_path, teacher)
    assert len(cache) == 30
    cache.encode([str(n) for n in range(50)])
    assert teacher.asked == [str(n) for n in range(30, 50)]


def test_two_that_write_one_cache_in_turns_serve_one_anothers_vectors(tmp_path: Path) -> None:
    one, other = TeacherCache(tmp_path, CountingTeacher()), TeacherCache(tmp_path, CountingTeacher())
    for number in range(6):
        (one, other)[number % 2].fill([f"{number} {part}" for part in "abc"] + ["both"])
    texts = [f"{number} {part}" for number in range(6) for part in "abc"] + ["both"]
    expected = CountingTeacher().encode_documents(texts)
    for cache in (one, other, TeacherCache(tmp_path, CountingTeacher())):
        np.testing.assert_allclose(cache.encode(texts), expected, atol=1e-3)
    assert one.locate(["4 a"])[1].tolist() == other.locate(["4 a"])[1].tolist()


def test_processes_that_fill_one_cache_at_once_lose_and_mix_up_nothing(tmp_path: Path) -> None:
    code = textwrap.dedent(
        """
        import sys
        sys.path.insert(0, sys.argv[1])
        from test_teacher_cache import CountingTeacher
        from cem_rag_app.cem.teacher_cache import TeacherCache
        who = sys.argv[3]
        cache = TeacherCache(sys.argv[2], CountingTeacher())
        for number in range(40):
            cache.fill([f"{who} {number} {part}" for part in range(5)], block=2)
        """
    )
    command = [sys.executable, "-c", code, str(Path(__file__).parent), str(tmp_path)]
    processes = [subprocess.Popen([*command, who]) for who in ("one", "two")]
    assert [process.wait(300) for process in processes] == [0, 0]
    texts = [f"{who} {number} {part}" for who in ("one", "two") for number in range(40) for part in range(5)]
    cache = TeacherCache(tmp_path, CountingTeacher())
    assert all(text in cache for text in texts)
    np.testing.assert_allclose(cache.encode(texts), CountingTeacher().encode_documents(texts), atol=1e-3)
