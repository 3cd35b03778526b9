"""Benches: figures by a clock that is handed in, bytes that add up."""

from __future__ import annotations

from itertools import count

import pytest

from cem_rag_app.errors import EmptyInputError, SettingsError
from cem_rag_app.evaluation.benches import bench_encode, bench_storage
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


def test_the_parts_of_a_memory_add_up_and_are_held_against_the_plain_text() -> None:
    parts = {"packs": 500, "index": 300, "catalog": 150, "lexical": 50}
    report = bench_storage(["x" * 400, "y" * 400], parts, levels=[3], dictionary_sizes=[0])
    assert report.metrics["bytes"] == {"plain_text": 800, **parts, "total": 1000}
    assert report.metrics["ratio"] == 1.25
    (point,) = report.metrics["frontier"]
    assert (point["level"], point["dictionary_size"], point["chunks"], point["text_bytes"]) == (3, 0, 2, 800)


def test_a_memory_with_other_parts_and_an_empty_corpus_are_refused() -> None:
    with pytest.raises(SettingsError, match="packs, index, catalog, lexical"):
        bench_storage(["x"], {"packs": 1}, levels=[3], dictionary_sizes=[0])
    with pytest.raises(EmptyInputError):
        bench_storage([""])
    with pytest.raises(EmptyInputError):
        bench_encode([])
