"""Benches: figures by a clock that is handed in, bytes that add up."""

from __future__ import annotations

from itertools import count

import pytest

from cem_rag_app.errors import EmptyInputError, SettingsError
from cem_rag_app.evaluation.benches import bench_encode, bench_packs, weigh_memory
from tests.unit.evaluation.encoders import BagOfBytes, BagOfTerms

TEXTS = [f"The dome opened on night {number}, and the wind was quiet." for number in range(40)]


def test_chunks_a_second_for_student_and_teacher_in_one_run() -> None:
    ticks = count()
    report = bench_encode(
        TEXTS, teacher=BagOfTerms(), student=BagOfBytes(), teacher_chunks=10, clock=lambda: float(next(ticks)) * 0.5
    )
    # Every timed round takes one tick of half a second.
    assert report.metrics == {
        "chunks_per_second": {
            "cem-symbols": 80.0,
            "cem-symbols-single": 20.0,
            "teacher": 20.0,
            "teacher-single": 20.0,
        },
        "speedup": 4.0,
    }
    assert report.settings["cem"]["text_bytes"] == sum(map(len, TEXTS))


def test_one_encoder_alone() -> None:
    assert list(bench_encode(TEXTS, student=BagOfBytes()).metrics) == ["chunks_per_second"]


PARTS = {"plain_text": 800, "packs": 500, "index": 300, "catalog": 150, "lexical": 50}


def test_the_parts_of_a_memory_add_up_and_are_held_against_the_plain_text() -> None:
    report = weigh_memory(PARTS, {"memory": "here"})
    assert report.metrics == {"bytes": {**PARTS, "total": 1000}, "ratio": 1.25}
    assert report.settings == {"memory": "here"}


def test_every_level_is_tried_with_every_dictionary_size() -> None:
    report = bench_packs(["x" * 400, "y" * 400], levels=[3, 19], dictionary_sizes=[0])
    points = report.metrics["points"]
    assert [(point["level"], point["dictionary_size"]) for point in points] == [(3, 0), (19, 0)]
    assert {(point["chunks"], point["text_bytes"]) for point in points} == {(2, 800)}


def test_a_memory_with_other_parts_an_empty_one_and_an_empty_corpus_are_refused() -> None:
    with pytest.raises(SettingsError, match="packs, index, catalog, lexical"):
        weigh_memory({"packs": 1}, {})
    with pytest.raises(EmptyInputError, match="Import something first"):
        weigh_memory({**PARTS, "plain_text": 0}, {})
    with pytest.raises(EmptyInputError):
        bench_packs([""])
    with pytest.raises(EmptyInputError):
        bench_encode([])
