"""What is read, what is held out, and with which dictionary it is compressed."""

from __future__ import annotations

import dataclasses
import gzip
from pathlib import Path

import numpy as np
import pytest

from cem_rag_app.cem.teacher_cache import TeacherCache
from cem_rag_app.cem.teachers.base import unit_rows
from cem_rag_app.cem.training.base import FrameSet
from cem_rag_app.cem.training.config import TrainingConfig, build_config
from cem_rag_app.cem.training.data import Targets, compress, gather, read_pairs, read_texts
from cem_rag_app.errors import DimensionError, EmptyInputError
from cem_rag_app.zpkg.compress import Compressor
from cem_rag_app.zpkg.dictionary import Dictionary, general_dictionary
from tests.fakes.encoders import HashedTextEncoder

TEACHER = HashedTextEncoder(dimension=16)


def config(folder: Path, texts: list[str], **changes: object) -> TrainingConfig:
    (folder / "texts.txt").write_text("\n".join(texts), encoding="utf-8")
    place = {"teacher": "fake", "texts": folder / "texts.txt", "output": folder / "out", "cache": folder / "cache"}
    return build_config(place, {"held_out": 5, "dictionaries": ["general"]}, changes)


def texts(count: int) -> list[str]:
    generator = np.random.default_rng(1)
    words = ["wing", "shock", "layer", "library", "index", "reader", "soup", "noodle", "salt"]
    return [f"{number} " + " ".join(generator.choice(words, 18)) for number in range(count)]


def silent(*_: object) -> None:
    return None


def frames_of(passages: list[str]) -> list[bytes]:
    compressor = Compressor(general_dictionary("en"), 19)
    return [compressor.compress(text.encode()) for text in passages]


def test_the_last_passages_are_held_out_and_so_is_what_answers_a_pair(tmp_path: Path) -> None:
    passages = texts(40)
    pairs = "".join(f"title\tquery {number}\t{passages[number]}\n" for number in range(0, 40, 2))
    (tmp_path / "pairs.tsv").write_text(pairs)
    data = gather(config(tmp_path, passages, pairs=tmp_path / "pairs.tsv", held_out_pairs=6), TEACHER, silent)
    answers = [passages[number] for number in range(0, 40, 2)]
    answers = [text for text in answers if frames_of([text])[0] in set(data.pairs.frames)]
    assert len(data.pairs) == len(answers) == 6
    rest = [text for text in passages if text not in answers]
    assert list(data.frames.frames) == frames_of(rest[:-5])
    assert list(data.held.frames) == frames_of(rest[-5:])
    assert not set(data.frames.frames) & {*data.held.frames, *data.pairs.frames}
    expected = TEACHER.encode_documents(rest)
    assert np.abs(data.targets.take(np.arange(len(rest) - 5)) - expected[:-5]).max() < 2e-3
    assert np.abs(data.held_targets - expected[-5:]).max() < 2e-3
    assert np.abs(data.pair_targets - TEACHER.encode_documents(answers)).max() < 2e-3
    assert data.pair_queries.shape == (6, 16)
    assert list(data.corpus) == passages


def test_targets_stay_in_the_cache_as_float16_until_they_are_taken(tmp_path: Path) -> None:
    data = gather(config(tmp_path, texts(30)), TEACHER, silent)
    assert isinstance(data.targets.stored, np.memmap)
    assert data.targets.stored.dtype == np.float16
    taken = data.targets.take(np.array([3, 1]))
    assert taken.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(taken, axis=1), 1.0, atol=1e-6)


def test_the_teacher_is_asked_once_for_what_two_runs_read(tmp_path: Path) -> None:
    class Counting(HashedTextEncoder):
        asked = 0

        def encode_documents(self, texts):
            Counting.asked += len(texts)
            return super().encode_documents(texts)

    teacher = Counting(dimension=16)
    passages = texts(30)
    (tmp_path / "pairs.tsv").write_text(f"title\twhat is it\t{passages[0]}\n")
    chosen = config(tmp_path, passages, pairs=tmp_path / "pairs.tsv")
    first = gather(chosen, teacher, silent)
    asked = Counting.asked
    second = gather(chosen, teacher, silent)
    assert (asked, Counting.asked) == (31, 31)
    assert first.digest == second.digest


def test_vectors_of_a_file_belong_to_its_first_lines_and_end_where_it_is_empty(tmp_path: Path) -> None:
    passages = texts(40)
    vectors = np.zeros((30, 16), dtype=np.float16)
    vectors[:20] = 3 * TEACHER.encode_documents(passages[:20])
    np.save(tmp_path / "v.npy", vectors)
    data = gather(config(tmp_path, passages, vectors=tmp_path / "v.npy"), TEACHER, silent)
    assert list(data.frames.frames) == frames_of(passages[:15])
    assert np.abs(data.targets.take(slice(0, 15)) - TEACHER.encode_documents(passages[:15])).max() < 2e-3
    np.save(tmp_path / "v.npy", vectors[:, :7])
    with pytest.raises(DimensionError, match="no vectors of fake"):
        gather(config(tmp_path, passages, vectors=tmp_path / "v.npy"), TEACHER, silent)


def test_too_little_text_is_refused(tmp_path: Path) -> None:
    with pytest.raises(EmptyInputError, match="9 passages are too few to hold 5"):
        gather(config(tmp_path, texts(9)), TEACHER, silent)
    with pytest.raises(EmptyInputError, match="no text"):
        gather(config(tmp_path, ["", ""]), TEACHER, silent)


def test_texts_may_be_compressed_and_pairs_are_spread_over_their_file(tmp_path: Path) -> None:
    (tmp_path / "t.txt.gz").write_bytes(gzip.compress(b"one\n\nthree\n"))
    assert read_texts(tmp_path / "t.txt.gz") == ["one", "", "three"]
    kinds = ["title", "question"]
    rows = [f"{kinds[number % 2]}\tquery {number}\t{'passage ' * 12}{number}" for number in range(100)]
    (tmp_path / "pairs.tsv").write_text("\n".join([*rows, rows[-1], "half a line\tonly"]))
    chosen = config(tmp_path, ["x"], held_out_pairs=10)
    queries, found = read_pairs(tmp_path / "pairs.tsv", chosen)
    assert len(set(queries)) == len(set(found)) == 10
    assert int(queries[-1].split()[1]) > 60
    queries, _ = read_pairs(tmp_path / "pairs.tsv", dataclasses.replace(chosen, pair_kinds=("question",)))
    assert all(int(query.split()[1]) % 2 for query in queries)
    with pytest.raises(EmptyInputError, match="no pairs of the kinds"):
        read_pairs(tmp_path / "pairs.tsv", dataclasses.replace(chosen, pair_kinds=("riddle",)))


def test_each_dictionary_compresses_its_share() -> None:
    passages = texts(9)
    dictionaries = [general_dictionary("en"), general_dictionary("zh")]
    frames = compress(passages, dictionaries, 3)
    assert frames.dictionary_of.tolist() == [0, 0, 0, 0, 0, 1, 1, 1, 1]
    for dictionary, rows in frames.parts():
        compressor = Compressor(dictionary, 3)
        assert [frames.frames[row] for row in rows] == [compressor.compress(passages[row].encode()) for row in rows]
    assert len(compress([], dictionaries, 3)) == 0


def test_frames_of_several_dictionaries_are_embedded_each_with_its_own_in_order() -> None:
    class Length:
        dimension = 2

        def embed_frames(self, frames, dictionary):
            return unit_rows(np.array([[len(frame), len(dictionary.data)] for frame in frames], dtype=np.float32))

        def tensors(self):
            return {}

    dictionaries = [Dictionary(b"a" * 4), Dictionary(b"b" * 9), Dictionary(b"")]
    frames = FrameSet([b"1", b"22", b"333"], dictionaries, np.array([1, 0, 1], dtype=np.uint8))
    assert [(dictionary.data[:1], rows.tolist()) for dictionary, rows in frames.parts()] == [
        (b"a", [1]),
        (b"b", [0, 2]),
    ]
    expected = unit_rows(np.array([[1, 9], [2, 4], [3, 9]], dtype=np.float32))
    np.testing.assert_allclose(frames.embed(Length()), expected)


def test_the_fingerprint_knows_every_frame_every_vector_and_their_order(tmp_path: Path) -> None:
    data = gather(config(tmp_path, texts(30)), TEACHER, silent)
    stored = np.array(data.targets.stored)
    other = stored.copy()
    other[3, 2] += 0.1
    swapped = list(data.frames.frames)
    swapped[0], swapped[1] = swapped[1], swapped[0]
    changed = [
        dataclasses.replace(data, targets=Targets(other, data.targets.rows)),
        dataclasses.replace(data, frames=dataclasses.replace(data.frames, frames=swapped)),
        dataclasses.replace(data, frames=dataclasses.replace(data.frames, dictionaries=[Dictionary(b"x" * 9)])),
        dataclasses.replace(data, held_targets=data.held_targets[::-1].copy()),
        # Features are counted in texts that the teacher said nothing of, too.
        dataclasses.replace(data, corpus=[*data.corpus, "one more"]),
    ]
    same = dataclasses.replace(data, targets=Targets(stored, data.targets.rows))
    assert same.digest == data.digest
    assert len({data.digest, *(each.digest for each in changed)}) == 6


def test_the_cache_says_where_vectors_lie(tmp_path: Path) -> None:
    cache = TeacherCache(tmp_path, TEACHER)
    cache.fill(["a", "b", "c"])
    stored, rows = cache.locate(["c", "a", "c"])
    assert rows.tolist() == [2, 0, 2]
    np.testing.assert_allclose(stored[rows], TEACHER.encode_documents(["c", "a", "c"]), atol=1e-3)
    with pytest.raises(KeyError):
        cache.locate(["d"])
    assert cache.locate([])[1].shape == (0,)
