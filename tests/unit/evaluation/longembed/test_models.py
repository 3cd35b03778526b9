"""A name becomes what ranks a collection; long documents are read as asked, and no frame is opened."""

from __future__ import annotations

from pathlib import Path

import pytest

import cem_rag_app.zpkg.late
from cem_rag_app.errors import CheckpointError, SettingsError
from cem_rag_app.evaluation.longembed.models import load_model
from cem_rag_app.evaluation.longembed.synthetic import needle
from cem_rag_app.evaluation.static import make_static
from tests.unit.evaluation.encoders import BagOfBytes, BagOfTerms, Letters


@pytest.fixture(autouse=True)
def bags(monkeypatch: pytest.MonkeyPatch) -> dict[str, object]:
    """Teachers are bags of terms, students bags of bytes, decompression raises (I1)."""
    asked: dict[str, object] = {}

    def teacher(name: str, **options: object) -> BagOfTerms:
        asked["teacher"] = (name, options)
        return BagOfTerms()

    def student(name: str) -> BagOfBytes:
        asked["student"] = name
        return BagOfBytes("frame" if "frame" in str(name) else "ngram")

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a frame was opened")

    monkeypatch.setattr("cem_rag_app.cem.teachers.registry.load_teacher", teacher)
    monkeypatch.setattr("cem_rag_app.cem.encoder.CompressedEncoder.from_pretrained", student)
    monkeypatch.setattr(cem_rag_app.zpkg.late, "decompress", refuse)
    monkeypatch.setattr("zstandard.ZstdDecompressor", refuse)
    return asked


@pytest.mark.parametrize("pooling", ["mean", "max", "whole"])
@pytest.mark.parametrize("name", ["bm25", "random", "static", "teacher", "cem-mini-en", "cem-frame-folder"])
def test_every_kind_of_model_ranks_long_documents_without_opening_a_frame(name, pooling, tmp_path: Path) -> None:
    BagOfTerms.pooling = "sum"
    make_static(["The capital of a country is a city, often the largest of it."], Letters(), least=1).save(tmp_path)
    collection = needle(256, documents=4, queries=2)
    run = load_model(name, pooling=pooling, static=tmp_path).rank(collection)
    assert set(run) == set(collection.queries)
    assert name == "bm25" or all(len(scores) == 4 for scores in run.values())


def test_the_best_chunk_is_how_cem_reads_and_the_whole_how_text_is_read_where_nothing_is_said() -> None:
    assert load_model("cem-mini-en").settings["pooling"] == "best chunk"
    assert load_model("teacher").settings["pooling"] == "whole document"
    assert load_model("teacher", pooling="mean").settings["pooling"] == "mean of chunk vectors"


def test_a_name_is_a_student_a_text_encoder_or_a_sentence_transformers_model(bags, tmp_path: Path) -> None:
    load_model("cem-mini-zh")
    assert bags["student"] == "cem-mini-zh"
    (tmp_path / "config.json").write_text('{"format": "cem-symbols"}')
    load_model(str(tmp_path))
    assert bags["student"] == str(tmp_path)
    (tmp_path / "config.json").write_text('{"model_type": "bert"}')
    load_model(str(tmp_path), device="cuda", batch_size=7)
    assert bags["teacher"] == (
        f"sentence-transformers:{tmp_path}",
        {"device": "cuda", "batch_size": 7, "bfloat16": False},
    )
    load_model("Qwen/Qwen3-Embedding-0.6B")
    assert bags["teacher"][0] == "sentence-transformers:Qwen/Qwen3-Embedding-0.6B"
    load_model("embedded-zh")
    assert bags["teacher"][0] == "embedded-zh"


def test_a_static_table_must_be_named() -> None:
    with pytest.raises(CheckpointError, match="--static"):
        load_model("static")


def test_a_document_too_short_to_make_is_refused_by_the_task_and_not_by_the_model() -> None:
    with pytest.raises(SettingsError):
        load_model("bm25").rank(needle(10))
