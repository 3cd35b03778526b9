"""An evaluation gives a student over raw frames the frames that it can read."""

from __future__ import annotations

from pathlib import Path

import pytest

from cem_rag_app.cem.checkpoint import Checkpoint
from cem_rag_app.cem.encoder import CompressedEncoder
from cem_rag_app.cem.records import CheckpointConfig, CompressionRecord
from cem_rag_app.errors import CheckpointError
from cem_rag_app.evaluation.collections import Collection
from cem_rag_app.evaluation.documents import PackDocuments, pack_corpus
from cem_rag_app.evaluation.rankings import Reading, pack_run
from cem_rag_app.settings import PackSettings
from cem_rag_app.zpkg.dictionary import general_dictionary
from tests.unit.cem.frame.conftest import DIMENSION, RAW, TEXTS, make_student, tiny
from tests.unit.cem.training.test_run import TopicTeacher

TEACHER = TopicTeacher()


class Queries:
    """The teacher's vectors, cut to the tiny student's width."""

    name, revision, pooling, dimension = "topics", "1", "sum", DIMENSION

    def encode_queries(self, texts):
        return TEACHER.encode_queries(texts)[:, :DIMENSION]


def encoder() -> CompressedEncoder:
    student = make_student(tiny(literals="raw"), RAW)
    config = CheckpointConfig(
        format="cem-frame",
        name="tiny",
        teacher="topics",
        dimension=DIMENSION,
        frame=student.shape,
        compression=CompressionRecord(zstd_version="1.5.7", level=RAW, dictionaries=(general_dictionary("en").digest,)),
    )
    return CompressedEncoder(Checkpoint(config, student))


def test_a_student_of_a_level_is_given_frames_of_that_level_and_the_general_dictionary() -> None:
    corpus = {str(number): text for number, text in enumerate(TEXTS)}
    collection = Collection("tiny", corpus, {"q": "wing shock plate"}, {"q": {"3": 1}})
    run, facts = pack_run(collection, encoder(), Queries(), PackSettings(own_dictionary_from=1), Reading())
    assert facts["level"] == RAW
    assert facts["view"] == "frame"
    assert sorted(run["q"]) == sorted(corpus)


def test_a_pack_of_the_stores_default_level_is_refused(tmp_path: Path) -> None:
    corpus = {"a": "Librarians index the documents by hand, quoth Quincy; found by their index. " * 3}
    packed = pack_corpus(corpus, tmp_path / "a.zpkg", PackSettings(level=3), chunk_target=None)
    with pytest.raises(CheckpointError, match="entropy-coded literals"):
        PackDocuments(packed, encoder(), Queries()).encode_corpus_ids(["a"])
