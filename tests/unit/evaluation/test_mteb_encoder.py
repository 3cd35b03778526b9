"""mteb runs CEM and text encoders alike, offline."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import numpy as np
import pytest

from cem_rag_app.errors import SettingsError
from cem_rag_app.evaluation.mteb_encoder import MtebEncoder, MtebSearch, evaluate_task
from cem_rag_app.evaluation.rankings import Reading, bm25_run
from tests.unit.evaluation.encoders import BagOfBytes, BagOfTerms

DOCUMENTS = {
    "a": {"title": "", "text": "The wind is loud tonight."},
    "b": {"title": "Animals", "text": "Sheep on the hill. " * 60},
    "c": {"title": "", "text": "A dome opens."},
}


@pytest.fixture(scope="module")
def task() -> Any:
    pytest.importorskip("mteb")
    from mteb.abstasks.retrieval import AbsTaskRetrieval
    from mteb.abstasks.task_metadata import TaskMetadata

    class Tiny(AbsTaskRetrieval):
        metadata = TaskMetadata(
            name="TinyRetrieval", dataset={"path": "none", "revision": "none"}, description="Three documents.",
            type="Retrieval", category="t2t", modalities=["text"], eval_splits=["test"], eval_langs=["eng-Latn"],
            main_score="ndcg_at_10", reference=None, date=None, domains=None, task_subtypes=None, license=None,
            annotations_creators=None, dialect=None, sample_creation=None, bibtex_citation=None,
        )  # fmt: skip

        def load_data(self, *_: Any, **__: Any) -> None:
            self.corpus = {"test": DOCUMENTS}
            self.queries = {"test": {"q1": "loud wind", "q2": "animals and sheep"}}
            self.relevant_docs = {"test": {"q1": {"a": 1}, "q2": {"b": 1}}}
            self.data_loaded = True

    return Tiny()


def test_mteb_evaluates_the_text_encoder_and_ranks_with_bm25(task: Any) -> None:
    for model in (MtebEncoder(BagOfTerms()), MtebSearch("bm25", bm25_run)):
        scores = evaluate_task(task, model)
        assert (scores["test"]["ndcg_at_1"], scores["test"]["main_score"]) == (1.0, 1.0)


def test_documents_reach_cem_as_frames_of_chunks_and_queries_never_do(task: Any) -> None:
    student = BagOfBytes()
    scores = evaluate_task(task, MtebEncoder(BagOfTerms(), student))
    assert 0.0 <= scores["test"]["ndcg_at_10"] <= 1.0
    # One chunk of a and of c; b, 1,148 bytes with its title, has three, of which two are equal.
    assert 4 <= len(student.seen) <= 5
    assert all(isinstance(frame, bytes) for frame in student.seen)


def test_vectors_are_those_of_the_readings_and_similarity_is_the_inner_product() -> None:
    pytest.importorskip("mteb")
    encoder = MtebEncoder(BagOfTerms(), reading=Reading("whole"))
    batches = [{"text": ["wind", "sheep"]}, {"text": ["wind sheep"]}]
    options = {"task_metadata": None, "hf_split": "test", "hf_subset": "default"}
    documents = encoder.encode(batches, prompt_type="document", **options)
    queries = encoder.encode(batches, prompt_type="query", **options)
    assert np.array_equal(documents, queries)
    assert encoder.similarity(queries, documents).numpy() == pytest.approx(queries @ documents.T, abs=1e-6)
    assert encoder.similarity_pairwise(queries, documents).numpy() == pytest.approx([1, 1, 1], abs=1e-6)
    assert encoder.mteb_model_meta.name == "cem-rag/bag-of-terms"


def test_the_best_chunk_is_no_vector() -> None:
    with pytest.raises(SettingsError, match="MtebSearch"):
        MtebEncoder(BagOfTerms(), reading=Reading("max"))


def test_a_search_gives_the_asked_number_of_documents() -> None:
    pytest.importorskip("mteb")
    search = MtebSearch("a/b:c", lambda _: {"q": {"x": 1.0, "y": 3.0, "z": 2.0}})
    search.index([{"id": "x", "text": "t"}], task_metadata=None)
    assert search.search([{"id": "q", "text": "?"}, {"id": "r", "text": "?"}], top_k=2) == {
        "q": {"y": 3.0, "z": 2.0},
        "r": {},
    }
    assert search.mteb_model_meta.name == "cem-rag/a_b_c"


def test_importing_the_wrapper_does_not_import_mteb() -> None:
    code = (
        "import sys, cem_rag_app.evaluation.mteb_encoder; print([n for n in ('mteb', 'datasets') if n in sys.modules])"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert run.stdout.strip() == "[]"
