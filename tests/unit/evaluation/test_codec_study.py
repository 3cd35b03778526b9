"""The codec study: frames of every kind say the same, points are exact, and what is known is not computed twice."""

from __future__ import annotations

import builtins
from collections.abc import Sequence
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import cem_rag_app.zpkg.late
from cem_rag_app.cem.encoder import CompressedEncoder
from cem_rag_app.cem.symbols.survey import count_symbols
from cem_rag_app.errors import CheckpointError, DictionaryError, MissingDependencyError, SettingsError
from cem_rag_app.evaluation.codec_frames import (
    CHUNK_TARGETS,
    LEVELS,
    SIZES,
    Compression,
    compress,
    grid,
    probe_grid,
    study_dictionary,
    with_literals,
)
from cem_rag_app.evaluation.codec_study import PROBE, TEXT_PROBE, CodecStudy, StudyData, _fingerprint
from cem_rag_app.evaluation.collections import Collection, load_collection
from cem_rag_app.evaluation.timing import Stopwatch
from cem_rag_app.schema import FloatArray
from cem_rag_app.zpkg.compress import Compressor
from cem_rag_app.zpkg.dictionary import Dictionary, general_dictionary
from tests.unit.evaluation.encoders import BagOfBytes, BagOfTerms

EXAMPLES = Path(__file__).resolve().parents[3] / "examples" / "documents"
NONE = Dictionary(b"")
ENGLISH = general_dictionary("en")
SENTENCE = (
    "The boundary layer over a flat plate thickens downstream; its heat transfer falls, and the wing {} is slender. "
)
PASSAGES = [(SENTENCE.format(number) * (1 + number % 3)).encode() for number in range(300)]


class Reader:
    """Two halves over whatever lies in a frame: here the numbers of its sequences and literals."""

    def read(self, frames: Sequence[bytes], dictionary: Dictionary) -> Any:
        return count_symbols(frames, dictionary)

    def embed(self, read: Any) -> FloatArray:
        return np.ones((read.text.size, 1024), dtype=np.float32)


class Counting(BagOfBytes):
    """A student with two halves that counts how many frames its model was asked for."""

    def __init__(self) -> None:
        super().__init__()
        self.student = Reader()


class Refusing(BagOfBytes):
    def encode(self, frames: Sequence[bytes], dictionary: Dictionary) -> FloatArray:
        raise CheckpointError("never saw it", remedy="Take another.")


@pytest.fixture(scope="module")
def collection() -> Collection:
    return load_collection(EXAMPLES)


def study_of(collection: Collection, students: dict[str, Any]) -> CodecStudy:
    ticks = count()
    vectors = BagOfTerms().encode_documents([passage.decode() for passage in PASSAGES[:120]])
    data = StudyData([collection], PASSAGES, vectors, BagOfTerms())
    return CodecStudy(data, students, watch=Stopwatch(1, clock=lambda: 0.5 * next(ticks)), held_out=20, columns=256)


# Frames


@given(
    texts=st.lists(st.binary(max_size=80) | st.just(PASSAGES[2]), max_size=4),
    level=st.sampled_from(LEVELS),
    dictionary=st.sampled_from([NONE, ENGLISH]),
)
def test_both_front_ends_of_zstd_make_the_same_frames(texts: list[bytes], level: int, dictionary: Dictionary) -> None:
    own = [Compressor(dictionary, level).compress(text) for text in texts]
    assert with_literals(texts, dictionary, level, mode=0) == own


@settings(max_examples=30)
@given(
    texts=st.lists(st.text(max_size=60) | st.sampled_from([p.decode() for p in PASSAGES[:9]]), min_size=1, max_size=4),
    level=st.sampled_from(LEVELS),
    dictionary=st.sampled_from([NONE, ENGLISH, general_dictionary("zh")]),
    raw=st.booleans(),
)
@pytest.mark.parametrize("name", ["cem-mini-en", "cem-ngram-en", "cem-mini-zh"])
def test_what_a_student_of_symbols_is_given_is_the_same_for_every_compression(
    name: str, texts: list[str], level: int, dictionary: Dictionary, raw: bool
) -> None:
    student = CompressedEncoder.from_pretrained(name).student
    chunks = [text.encode("utf-8", "surrogatepass") for text in texts]
    plain = compress(chunks, NONE, Compression(3, "none"))
    other = compress(chunks, dictionary, Compression(level, "general", raw_literals=raw))
    assert _fingerprint(student, other, dictionary) == _fingerprint(student, plain, NONE) != ""


def test_raw_literals_are_raw_and_cost_bytes() -> None:
    coded = compress(PASSAGES[:50], NONE, Compression())
    raw = compress(PASSAGES[:50], NONE, Compression(raw_literals=True))
    assert sum(map(len, raw)) > sum(map(len, coded))
    assert all(frame[5] & 3 in (0, 1) for frame in raw if frame[2] >> 1 & 3 == 2)  # RFC 8878: raw or one byte repeated


def test_without_the_other_front_end_raw_literals_are_refused_by_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def missing(name: str, *rest: Any, **more: Any) -> Any:
        if name.startswith("backports"):
            raise ModuleNotFoundError(name)
        return real(name, *rest, **more)

    monkeypatch.setattr(builtins, "__import__", missing)
    with pytest.raises(MissingDependencyError, match="backports"):
        compress([b"x"], NONE, Compression(raw_literals=True))


def test_dictionaries_are_known_by_their_names() -> None:
    assert study_dictionary("none", PASSAGES) == NONE
    assert study_dictionary("general", PASSAGES) == ENGLISH
    assert 0 < len(study_dictionary("own", PASSAGES).data) <= 4096
    assert 0 < len(study_dictionary("corpus-8192", PASSAGES).data) <= 8192
    for name in ("", "corpus", "corpus-", "corpus--5", "corpus-1e3", "corpus-٣", "any"):
        with pytest.raises(SettingsError, match="no dictionary"):
            study_dictionary(name, PASSAGES)
    with pytest.raises(DictionaryError):
        study_dictionary("corpus-1", PASSAGES)


def test_the_grid_has_every_axis_once_and_the_probes_no_collections_own_dictionary() -> None:
    points = grid()
    assert len(set(points)) == len(points)
    assert {point.level for point in points} == set(LEVELS)
    assert {f"corpus-{size}" for size in SIZES} <= {point.dictionary for point in points}
    assert {point.chunk_target for point in points} == set(CHUNK_TARGETS)
    assert len(set(probe_grid())) == len(probe_grid())
    assert all(point.dictionary != "own" for point in probe_grid())
    assert set(grid(quick=True)) <= {*points, Compression(3, "none"), Compression(chunk_target=1_000)}


# Points


def test_a_students_point_has_its_score_bytes_and_speed(collection: Collection) -> None:
    student = BagOfBytes()
    point = study_of(collection, {"cem-frame": student}).measure("cem-frame", Compression())
    chunks, frames = point["chunks"], student.seen[-point["chunks"] :]
    assert (point["view"], point["level"], point["dictionary"]) == ("cem-frame", 19, "general")
    assert point["text_bytes"] == sum(len(text.encode()) for text in collection.corpus.values())
    assert point["bytes_per_chunk"] == round(sum(map(len, frames)) / chunks, 2)
    assert point["share"] == round(sum(map(len, frames)) / point["text_bytes"], 4)
    assert point["dictionary_bytes"] == len(ENGLISH.data)
    assert point["chunks_per_second"] == {"parser": 2.0 * chunks, "whole": 2.0 * chunks}
    assert 0 < point["ndcg@10"][collection.name] < 1
    assert point["same_input"] is False


def test_the_same_input_is_not_encoded_twice_and_another_chunk_size_is(collection: Collection) -> None:
    student = Counting()
    study = study_of(collection, {"cem-ngram": student})
    first = study.measure("cem-ngram", Compression())
    student.seen.clear()
    again = study.measure("cem-ngram", Compression())
    assert again == {**first, "same_input": True}
    assert study.measure("cem-ngram", Compression(chunk_target=200))["same_input"] is False


def test_a_probe_is_fitted_for_each_compression_and_reads_text_as_well(collection: Collection) -> None:
    study = study_of(collection, {})
    frames = study.measure(PROBE, Compression(3, "none"))
    text = study.measure(TEXT_PROBE, Compression())
    assert frames["probe"]["passages"] == text["probe"]["passages"] == 100
    assert text["share"] == 1.0
    assert 0 <= frames["ndcg@10"][collection.name] <= 1
    assert study_of(collection, {}).measure(PROBE, Compression(3, "none")) == frames


def test_a_view_that_cannot_read_a_compression_says_so_and_has_no_score(collection: Collection) -> None:
    point = study_of(collection, {"cem-frame": Refusing()}).measure("cem-frame", Compression())
    assert point["refused"] == "never saw it Take another."
    assert "ndcg@10" not in point


def test_a_collections_own_dictionary_is_trained_on_it(collection: Collection) -> None:
    point = study_of(collection, {"cem-frame": BagOfBytes()}).measure("cem-frame", Compression(dictionary="own"))
    assert 0 < point["dictionary_bytes"] <= 4096


def test_views_dictionaries_and_levels_that_do_not_exist_are_refused(collection: Collection) -> None:
    study = study_of(collection, {"cem-frame": BagOfBytes()})
    with pytest.raises(SettingsError, match="no view 'cem-symbols'"):
        study.measure("cem-symbols", Compression())
    with pytest.raises(SettingsError, match="no dictionary"):
        study.measure("cem-frame", Compression(dictionary="best"))
    with pytest.raises(SettingsError, match="own dictionary"):
        study.measure(PROBE, Compression(dictionary="own"))
    for level in (0, 23, -101):
        with pytest.raises(SettingsError, match="no level"):
            study.measure("cem-frame", Compression(level))


def test_nothing_is_decompressed(collection: Collection, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a frame was opened")

    monkeypatch.setattr(cem_rag_app.zpkg.late, "decompress", refuse)
    monkeypatch.setattr("zstandard.ZstdDecompressor", refuse)
    monkeypatch.setattr("backports.zstd.decompress", refuse)
    monkeypatch.setattr("backports.zstd.ZstdDecompressor", refuse)
    study = study_of(collection, {"cem-frame": BagOfBytes()})
    study.measure("cem-frame", Compression(raw_literals=True))
    study.measure(PROBE, Compression(-5))
