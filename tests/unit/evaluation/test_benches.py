"""What a memory weighs: bytes that add up."""

from __future__ import annotations

import pytest

from cem_rag_app.errors import EmptyInputError, SettingsError
from cem_rag_app.evaluation.benches import bench_packs, weigh_memory

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
