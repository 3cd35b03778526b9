"""BM25, teacher, CEM and their fusion, side by side, and nothing decompressed on the way."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

import cem_rag_app.zpkg.late
from cem_rag_app.errors import CheckpointError, SettingsError
from cem_rag_app.evaluation.collections import Collection, load_collection
from cem_rag_app.evaluation.documents import PackDocuments, pack_corpus
from cem_rag_app.evaluation.systems import evaluate_retrieval
from cem_rag_app.settings import PackSettings
from cem_rag_app.zpkg.compress import Compressor
from cem_rag_app.zpkg.dictionary import general_dictionary
from tests.unit.evaluation.encoders import BagOfBytes, BagOfTerms

EXAMPLES = Path(__file__).resolve().parents[3] / "examples" / "documents"


@pytest.fixture
def collection() -> Collection:
    return load_collection(EXAMPLES)


@pytest.fixture
def sealed(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Decompression, wherever it is, raises (I1)."""

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a frame was opened")

    for name in ("decompress", "read_text"):
        monkeypatch.setattr(cem_rag_app.zpkg.late, name, refuse)
    monkeypatch.setattr("zstandard.ZstdDecompressor", refuse)
    yield


@pytest.mark.usefixtures("sealed")
def test_all_systems_are_evaluated_side_by_side_without_opening_a_frame(collection: Collection) -> None:
    student = BagOfBytes()
    report = evaluate_retrieval(collection, query_encoder=BagOfTerms(), document_encoder=student)
    assert list(report.metrics) == ["bm25", "teacher", "cem-symbols", "hybrid"]
    assert all(set(f) == {"ndcg@10", "mrr@10", "recall@10", "recall@100"} for f in report.metrics.values())
    assert report.metrics["bm25"]["ndcg@10"] > 0.8
    assert report.metrics["teacher"]["ndcg@10"] > 0.3
    assert report.metrics["cem-symbols"]["recall@100"] == 1.0  # every document is in the ranking of 29
    assert student.seen


def test_the_compressed_encoder_is_given_the_frames_of_the_pack_and_nothing_else(
    collection: Collection, tmp_path: Path
) -> None:
    student = BagOfBytes()
    corpus = dict(list(collection.corpus.items())[:3])
    packed = pack_corpus(corpus, tmp_path / "x.zpkg", PackSettings(), chunk_target=None)
    vectors = PackDocuments(packed, student, BagOfTerms()).encode_corpus_ids(["handbook-03", "handbook-01"])
    compressor = Compressor(general_dictionary("en"), 19)
    assert student.seen == [compressor.compress(corpus[name].encode()) for name in ("handbook-03", "handbook-01")]
    assert vectors.shape == (2, 1024)


def test_a_document_of_several_chunks_is_the_mean_of_their_vectors(tmp_path: Path) -> None:
    corpus = {"long": "First sentence here. " * 40, "empty": "", "short": "One."}
    packed = pack_corpus(corpus, tmp_path / "x.zpkg", PackSettings(), chunk_target=200)
    assert [len(place) for place in packed.places.values()] == [4, 1, 1]
    student = BagOfBytes()
    vectors = PackDocuments(packed, student, BagOfTerms()).encode_corpus_ids(list(corpus))
    chunks = student.encode(student.seen[:4], general_dictionary("en")).sum(axis=0)
    assert vectors[0] == pytest.approx(chunks / (chunks @ chunks) ** 0.5, abs=1e-6)
    assert (vectors**2).sum(axis=1) == pytest.approx([1, 1, 1], abs=1e-6)


def test_systems_that_are_not_asked_for_are_not_run(collection: Collection) -> None:
    report = evaluate_retrieval(collection, ["bm25"])
    assert list(report.metrics) == ["bm25"]
    assert "teacher" not in report.settings


def test_the_report_holds_four_keys(collection: Collection) -> None:
    report = json.loads(evaluate_retrieval(collection, ["bm25"]).to_json())
    assert list(report) == ["metrics", "settings", "versions", "machine"]
    assert report["settings"]["documents"] == 29
    assert {"python", "cem-rag", "numpy", "zstandard"} <= set(report["versions"])
    assert set(report["machine"]) == {"system", "processor", "cores", "memory_gb"}


def test_an_unknown_system_is_refused(collection: Collection) -> None:
    with pytest.raises(SettingsError, match="Unknown systems: dense"):
        evaluate_retrieval(collection, ["bm25", "dense"])


def test_a_teacher_without_a_checkpoint_is_told(collection: Collection) -> None:
    with pytest.raises(CheckpointError, match="No CEM checkpoint ships for the text encoder 'bag-of-terms'"):
        evaluate_retrieval(collection, ["cem-symbols"], query_encoder=BagOfTerms())
