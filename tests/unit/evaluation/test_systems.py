"""BM25, teacher, CEM and their fusion, side by side, and nothing decompressed on the way."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import cem_rag_app.zpkg.late
from cem_rag_app.errors import CheckpointError, SettingsError
from cem_rag_app.evaluation.collections import Collection, load_collection
from cem_rag_app.evaluation.documents import PackDocuments, Pooling, TextDocuments, once_each, pack_corpus
from cem_rag_app.evaluation.rankings import Reading, pack_run
from cem_rag_app.evaluation.retrieval import search, search_chunks
from cem_rag_app.evaluation.static import make_static
from cem_rag_app.evaluation.students import STUDENTS
from cem_rag_app.evaluation.systems import SYSTEMS, evaluate_retrieval
from cem_rag_app.schema import FloatArray
from cem_rag_app.settings import PackSettings
from cem_rag_app.zpkg.compress import Compressor
from cem_rag_app.zpkg.dictionary import general_dictionary
from tests.unit.evaluation.encoders import BagOfBytes, BagOfTerms, Letters

EXAMPLES = Path(__file__).resolve().parents[3] / "examples" / "documents"


@pytest.fixture
def collection() -> Collection:
    return load_collection(EXAMPLES)


@pytest.fixture
def static(tmp_path: Path, collection: Collection) -> Path:
    make_static(collection.corpus.values(), Letters(), least=1).save(tmp_path / "static")
    return tmp_path / "static"


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
@pytest.mark.parametrize("pooling", [None, "mean", "max", "whole"])
def test_every_system_is_evaluated_side_by_side_without_opening_a_frame(
    collection: Collection, static: Path, pooling: Pooling | None
) -> None:
    students = {system: BagOfBytes(system.removeprefix("cem-")) for system in STUDENTS}
    report = evaluate_retrieval(
        collection, SYSTEMS, query_encoder=BagOfTerms(), students=students, static=static, pooling=pooling
    )
    assert list(report.metrics) == [
        "random", "bm25", "teacher", "static", "cem-symbols", "cem-frame", "cem-ngram", "hybrid", "teacher-hybrid",
    ]  # fmt: skip
    assert all(set(f) == {"ndcg@10", "mrr@10", "recall@10", "recall@100"} for f in report.metrics.values())
    assert report.metrics["bm25"]["ndcg@10"] > 0.8
    assert report.metrics["teacher"]["ndcg@10"] > 0.3
    assert report.metrics["random"]["ndcg@10"] < 0.3
    assert report.metrics["cem-symbols"]["recall@100"] == 1.0  # every document is in the ranking of 29
    assert all(student.seen for student in students.values())


def test_the_default_systems_are_the_four_that_every_machine_can_run(collection: Collection) -> None:
    report = evaluate_retrieval(collection, query_encoder=BagOfTerms(), students={"cem-symbols": BagOfBytes("ngram")})
    assert list(report.metrics) == ["bm25", "teacher", "cem-symbols", "hybrid"]
    assert report.settings["cem"]["view"] == "ngram"
    assert report.settings["cem"]["pooling"] == "mean of chunk vectors"
    assert report.settings["teacher"]["pooling"] == "whole document"


def test_a_fusion_alone_ranks_what_it_adds_up_and_reports_itself_only(collection: Collection) -> None:
    report = evaluate_retrieval(collection, ["teacher-hybrid"], query_encoder=BagOfTerms())
    assert list(report.metrics) == ["teacher-hybrid"]
    assert set(report.settings["teacher-hybrid"]["weights"]) == {"bm25", "teacher"}
    assert "cem" not in report.settings


def test_the_frame_view_reads_the_shipped_dictionary_however_large_the_corpus(
    collection: Collection, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = {}
    for view in ("frame", "symbols"):
        student = BagOfBytes(view)
        encode = student.encode

        def spy(frames, dictionary, view=view, encode=encode):
            seen[view] = dictionary.data
            return encode(frames, dictionary)

        monkeypatch.setattr(student, "encode", spy)
        # 29 documents are enough for a dictionary of their own here.
        pack = PackSettings(own_dictionary_from=20, dictionary_size=4096)
        pack_run(collection, student, BagOfTerms(), pack, Reading())
    assert seen["frame"] == general_dictionary("en").data
    assert seen["symbols"] != general_dictionary("en").data


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
    corpus = {"long": "".join(f"Sentence {n:02} is here. " for n in range(40)), "empty": "", "short": "One."}
    packed = pack_corpus(corpus, tmp_path / "x.zpkg", PackSettings(), chunk_target=200)
    assert [len(place) for place in packed.places.values()] == [4, 1, 1]
    student = BagOfBytes()
    vectors = PackDocuments(packed, student, BagOfTerms()).encode_corpus_ids(list(corpus))
    chunks = student.encode(student.seen[:4], general_dictionary("en")).sum(axis=0)
    assert vectors[0] == pytest.approx(chunks / (chunks @ chunks) ** 0.5, abs=1e-6)
    assert (vectors**2).sum(axis=1) == pytest.approx([1, 1, 1], abs=1e-6)


def test_a_document_is_as_near_as_its_best_chunk_where_that_is_asked_for(tmp_path: Path) -> None:
    corpus = {"two": "One sheep in the loud wind. " * 8 + "Sheep and domes. " * 12, "one": "Nothing at all."}
    documents = TextDocuments(corpus, BagOfTerms(), chunk_target=200)
    vectors, bounds = documents.encode_corpus_chunks(["two", "one"])
    assert bounds.tolist() == [0, 2, 3]
    question = BagOfTerms().encode_queries(["sheep"])[0]
    run = search_chunks(documents, ["two", "one"], {"q": "sheep"})
    assert run["q"]["two"] == pytest.approx(max(vectors[:2] @ question), abs=1e-6)
    assert run["q"]["two"] > run["q"]["one"]
    assert run["q"]["two"] != search(documents, ["two", "one"], {"q": "sheep"})["q"]["two"]


def test_equal_chunks_are_encoded_once_and_each_gets_its_vector() -> None:
    given: list[list[str]] = []

    def encode(texts: list[str]) -> FloatArray:
        given.append(texts)
        return np.array([[float(len(text))] for text in texts], dtype=np.float32)

    assert once_each(encode, ["bb", "a", "bb", "ccc", "a"]).tolist() == [[2], [1], [2], [3], [1]]
    assert given == [["bb", "a", "ccc"]]


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
    with pytest.raises(CheckpointError, match="of the view 'symbols' ships for the text encoder 'bag-of-terms'"):
        evaluate_retrieval(collection, ["cem-symbols"], query_encoder=BagOfTerms())


def test_a_missing_static_table_is_told_with_the_command_that_makes_it(collection: Collection, tmp_path: Path) -> None:
    with pytest.raises(
        CheckpointError, match=r"python -m scripts\.make_static TEXTS --output DIR; then .* --static DIR"
    ):
        evaluate_retrieval(collection, ["static"])
    with pytest.raises(CheckpointError, match="No static table can be read from"):
        evaluate_retrieval(collection, ["static"], static=tmp_path)
