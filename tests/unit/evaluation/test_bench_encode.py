"""`bench encode`: figures by a clock that is handed in; who takes part; what is left out where it cannot be had."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import count

import numpy as np
import pytest
import torch

from cem_rag_app.cem.encoder import CompressedEncoder
from cem_rag_app.cem.symbols.survey import count_symbols
from cem_rag_app.errors import CheckpointError, EmptyInputError, SettingsError
from cem_rag_app.evaluation.bench_encode import EncodeBench, cut_evenly
from cem_rag_app.evaluation.contenders import load_students, with_bfloat16
from cem_rag_app.evaluation.timing import Stopwatch, count_moved_bytes, in_batches, one_by_one
from cem_rag_app.schema import FloatArray
from cem_rag_app.zpkg.compress import Compressor
from cem_rag_app.zpkg.dictionary import Dictionary, general_dictionary
from tests.unit.evaluation.encoders import BagOfBytes, BagOfTerms

TEXTS = [f"The dome opened on night {number}, and the wind was quiet." for number in range(40)]


FAST = {Compressor(general_dictionary("en"), 1).compress(text.encode()) for text in TEXTS}
"""The same chunks at level 1, which leaves other frames than level 19."""


def half_seconds() -> Callable[[], float]:
    """A clock by which everything that is timed takes half a second."""
    ticks = count()
    return lambda: 0.5 * next(ticks)


class Particular(BagOfBytes):
    """A student that reads frames of the general dictionary alone, as one over raw frame bytes does."""

    name = "particular"

    def __init__(self, level: int = 0) -> None:
        super().__init__()
        self.student = self  # an encoder's model says for which level it was trained, if for one alone
        self.level = level

    def encode(self, frames: Sequence[bytes], dictionary: Dictionary) -> FloatArray:
        if dictionary != general_dictionary("en"):
            raise CheckpointError("another dictionary")
        if self.level and any(frame not in FAST for frame in frames):
            raise CheckpointError("another level")
        return super().encode(frames, dictionary)


def test_chunks_a_second_of_students_and_teachers_in_one_run() -> None:
    bench = EncodeBench(
        TEXTS,
        students={"cem-symbols": BagOfBytes(), "cem-ngram": BagOfBytes()},
        teachers={"teacher": BagOfTerms(), "teacher-bfloat16": BagOfTerms()},
        teacher_chunks=10,
        watch=Stopwatch(clock=half_seconds()),
    )
    speeds = {
        "cem-symbols": 80.0,
        "cem-symbols-single": 20.0,
        "cem-ngram": 80.0,
        "cem-ngram-single": 20.0,
        "teacher": 20.0,
        "teacher-single": 20.0,
        "teacher-bfloat16": 20.0,
        "teacher-bfloat16-single": 20.0,
    }
    times = {"cem-symbols": 4.0, "cem-ngram": 4.0}
    assert bench.headline() == {
        "chunks_per_second": speeds,
        "chunks_per_second_median": speeds,
        "speedup": 4.0,
        "speedups": times,
        "speedup_bfloat16": 4.0,
        "speedups_bfloat16": times,
    }


def test_the_best_round_and_the_middle_one_are_told_apart() -> None:
    times = iter([0.0, 4.0, 10.0, 11.0, 20.0, 22.0])  # rounds of 4, 1 and 2 seconds
    speed = Stopwatch(rounds=3, clock=lambda: next(times)).speed(list, range(8))
    assert (speed.best, speed.median) == (8.0, 4.0)


def test_things_are_warmed_with_a_few_and_asked_for_alone_or_in_batches() -> None:
    asked: list[int] = []
    work = lambda things: asked.append(len(things))  # noqa: E731
    Stopwatch(rounds=1).speed(work, range(100))
    assert asked == [32, 100]
    asked.clear()
    one_by_one(work)(range(3))
    in_batches(work, 4)(range(10))
    assert asked == [1, 1, 1, 4, 4, 2]


def test_one_encoder_alone_has_no_speedup() -> None:
    alone = EncodeBench(TEXTS, students={"cem-ngram": BagOfBytes()})
    assert list(alone.headline()) == ["chunks_per_second", "chunks_per_second_median"]
    assert list(EncodeBench(TEXTS, teachers={"teacher": BagOfTerms()}).headline()["chunks_per_second"]) == [
        "teacher",
        "teacher-single",
    ]


def test_the_report_says_what_was_measured() -> None:
    bench = EncodeBench(TEXTS, students={"cem-ngram": BagOfBytes()}, teachers={"teacher": BagOfTerms()})
    settings = bench.report({"a": 1}, {"b": 2}).settings
    assert settings["cem"]["checkpoints"] == {"cem-ngram": "bag-of-bytes"}
    assert settings["cem"]["text_bytes"] == sum(map(len, TEXTS))
    assert settings["teacher"] == {"name": "bag-of-terms", "chunks": 40}
    assert bench.report({"a": 1}, {"b": 2}).metrics == {"a": 1, "b": 2}


def test_a_student_of_one_dictionary_is_given_frames_of_it_and_left_out_of_the_others() -> None:
    student = Particular()
    texts = [f"{text} {number * 7919}" for number in range(5) for text in TEXTS]  # enough for a pack's own dictionary
    bench = EncodeBench(texts, students={"cem-frame": student, "cem-ngram": BagOfBytes()}, watch=Stopwatch(1))
    general = len(general_dictionary("en").data)
    sizes = bench.report().settings["cem"]["dictionaries"]
    assert sizes["cem-frame"] == general != sizes["cem-ngram"]
    rows = bench.by_sequences()["by_sequences"]
    assert [row["dictionary"] for row in rows if "cem-frame" in row] == ["general", "general"]
    assert all("cem-ngram" in row for row in rows)


def test_a_student_of_one_level_is_given_frames_of_that_level() -> None:
    bench = EncodeBench(TEXTS, students={"cem-frame": Particular(level=1)}, watch=Stopwatch(1))
    assert bench.report().settings["cem"]["levels"] == {"cem-frame": 1}
    bench.headline()


def test_growth_with_sequences_is_shown_on_the_same_chunks() -> None:
    bench = EncodeBench(TEXTS, students={"cem-ngram": BagOfBytes()}, watch=Stopwatch(1, clock=half_seconds()))
    rows = bench.by_sequences()["by_sequences"]
    assert [(row["dictionary"], row["level"]) for row in rows] == [
        (kind, level) for kind in ("none", "general", "pack") for level in (1, 19)
    ]
    assert all((row["parser"], row["cem-ngram"]) == (80.0, 80.0) for row in rows)
    frames = bench._packed.frames
    assert rows[-1]["sequences"] == round(float(count_symbols(frames, bench._packed.dictionary).sequences.mean()), 1)
    assert rows[-1]["literals"] < rows[0]["literals"]  # what the dictionary says need not be said again


def test_growth_with_length_gives_every_system_chunks_of_exactly_that_size() -> None:
    teacher = BagOfTerms()
    bench = EncodeBench(
        TEXTS,
        students={"cem-ngram": BagOfBytes()},
        teachers={"teacher": teacher},
        watch=Stopwatch(1, clock=half_seconds()),
    )
    rows = bench.by_length([100, 5000])["by_length"]
    assert [(row["bytes"], row["cem-ngram"], row["teacher"]) for row in rows] == [
        (100, 1024.0, 64.0),
        (5000, 1024.0, 64.0),
    ]
    assert rows[0]["frame_bytes"] < rows[1]["frame_bytes"]


@pytest.mark.parametrize("size", [1, 10, 1000])
def test_chunks_of_a_size_are_cut_from_the_text_and_begin_again_where_it_ends(size: int) -> None:
    whole = b"one two three four " * 100
    cut = cut_evenly([b"one two", b"three four"], size, 9)
    assert [len(chunk) for chunk in cut] == [size] * 9
    assert all(chunk in whole for chunk in cut)


def test_batches_are_timed_one_after_another_and_nothing_moves_on_a_processor() -> None:
    bench = EncodeBench(TEXTS, students={"cem-ngram": BagOfBytes()}, watch=Stopwatch(1, clock=half_seconds()))
    assert bench.by_batch([1, 100]) == {
        "by_batch": [
            {"batch": 1, "cem-ngram": {"chunks_per_second": 80.0, "bytes_there": 0.0, "bytes_back": 0.0}},
            {"batch": 100, "cem-ngram": {"chunks_per_second": 200.0, "bytes_there": 0.0, "bytes_back": 0.0}},
        ]
    }


def test_bytes_are_counted_that_go_to_another_device_and_not_those_that_change_their_type() -> None:
    with count_moved_bytes() as moved:
        here = torch.zeros(10, 4)
        here.to(torch.bfloat16)
        here.to("meta")
        torch.empty(10, 4, device="meta").copy_(here)
    assert (moved.there, moved.back) == (320, 0)


def test_parts_and_threads_of_a_shipped_student_are_timed_apart() -> None:
    students = load_students("minilm-en", ["cem-mini-en"])
    (system,) = students
    threads = EncodeBench(TEXTS, students=students, watch=Stopwatch(1, clock=half_seconds())).threads()["threads"]
    assert list(threads) == ["parser", system]
    assert threads["parser"]["1"] == 80.0
    assert list(threads[system]) == ["whole", "reading", "model"]
    assert {speed for part in threads[system].values() for speed in part.values()} == {80.0}


def test_the_two_halves_of_a_student_put_together_are_the_student() -> None:
    encoder = load_students("minilm-en", ["cem-mini-en"]).popitem()[1]
    assert isinstance(encoder, CompressedEncoder)
    bench = EncodeBench(TEXTS)
    frames, dictionary = bench._packed.frames, bench._packed.dictionary
    halves = encoder.student.embed(encoder.student.read(frames, dictionary))  # type: ignore[attr-defined]
    np.testing.assert_array_equal(halves, encoder.encode(frames, dictionary))


def test_students_are_named_after_their_views_and_a_second_of_a_view_after_itself() -> None:
    shipped = load_students("minilm-en")
    assert shipped
    assert all(system == f"cem-{student.view}" for system, student in shipped.items())
    twice = load_students("minilm-en", ["cem-mini-en", "cem-mini-en"])
    first = next(iter(twice))
    assert list(twice) == [first, f"{first}:{twice[first].name}"]


def test_no_chunk_no_round_no_student_a_student_of_another_teacher_and_no_device_are_refused() -> None:
    with pytest.raises(EmptyInputError, match="no chunk"):
        EncodeBench([])
    with pytest.raises(SettingsError, match="0 rounds"):
        Stopwatch(rounds=0)
    with pytest.raises(CheckpointError, match="gemini"):
        load_students("gemini")
    with pytest.raises(CheckpointError, match="--encoder embedded-zh"):
        load_students("minilm-en", ["cem-mini-zh"])
    for device in ("cuda:99", "no-such-device"):
        with pytest.raises(SettingsError, match=device):
            with_bfloat16(BagOfTerms(), device=device)
        with pytest.raises(SettingsError, match=device):
            load_students("minilm-en", device=device)


def test_a_text_encoder_that_knows_no_bfloat16_takes_part_once() -> None:
    assert list(with_bfloat16(BagOfTerms())) == ["teacher"]
