"""Passkey and Needle are made as published, the same every time, and can be solved by who sees the detail."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cem_rag_app.errors import SettingsError
from cem_rag_app.evaluation.collections import Collection
from cem_rag_app.evaluation.longembed.filler import REFRAIN, count_tokens, paragraphs
from cem_rag_app.evaluation.longembed.runner import score
from cem_rag_app.evaluation.longembed.synthetic import needle, passkey
from cem_rag_app.evaluation.rankings import Reading, text_run
from cem_rag_app.schema import FloatArray

MADE = {"passkey": passkey, "needle": needle}


class Sees:
    """One dimension for each detail, set where a text contains it, and one for texts that contain none."""

    name = "sees"

    def __init__(self, marks: list[str]) -> None:
        self.marks = marks
        self.dimension = len(marks) + 1

    def encode_documents(self, texts: list[str]) -> FloatArray:
        seen = [[float(mark in text) for mark in self.marks] for text in texts]
        return np.array([[*marks, float(not any(marks))] for marks in seen], dtype=np.float32)

    encode_queries = encode_documents


class Constant:
    name = "constant"
    dimension = 1

    def encode_documents(self, texts: list[str]) -> FloatArray:
        return np.ones((len(texts), 1), dtype=np.float32)

    encode_queries = encode_documents


def digest(collection: Collection) -> str:
    return hashlib.sha256(json.dumps(asdict(collection), sort_keys=True).encode()).hexdigest()[:16]


def test_what_is_made_is_the_same_on_every_machine_and_another_seed_makes_another() -> None:
    assert {name: digest(make(512)) for name, make in MADE.items()} == {
        "passkey": "d9fb98d60bd33e2f",
        "needle": "ca11703f18ec95ad",
    }
    for make in MADE.values():
        assert digest(make(512, seed=1)) != digest(make(512))


@pytest.mark.parametrize("make", MADE.values(), ids=MADE)
@pytest.mark.parametrize("length", [64, 256, 2048])
def test_a_length_has_a_hundred_documents_of_that_many_tokens_and_fifty_questions(make, length) -> None:
    collection = make(length)
    assert (len(collection.corpus), len(collection.queries)) == (100, 50)
    assert len(set(collection.corpus.values())) == 100
    assert len(set(collection.queries.values())) == 50
    sizes = [count_tokens(text) for text in collection.corpus.values()]
    # A sentence of the filler has at most some 40 tokens: more room than that is never left.
    assert max(sizes) <= length
    assert min(sizes) > length - 45
    assert collection.qrels == {query: {"d" + query[1:]: 1} for query in collection.queries}


def test_a_pass_key_stands_once_in_its_own_document_somewhere_else_in_each() -> None:
    collection = passkey(512)
    places = set()
    for query, text in collection.queries.items():
        name = text.removeprefix("What is the pass key of ").removesuffix("?")
        holding = [document for document, body in collection.corpus.items() if f"The pass key of {name} is " in body]
        assert holding == list(collection.qrels[query])
        places.add(collection.corpus[holding[0]].index("The pass key"))
        assert REFRAIN[0] in collection.corpus[holding[0]]
    assert len(places) > 20


def test_a_fact_stands_once_and_no_paragraph_of_the_filler_gives_one_away() -> None:
    collection = needle(1024)
    filler = " ".join(sentence for paragraph in paragraphs(0, 600) for sentence in paragraph)
    assert "capital of" not in filler
    question = next(query for query, text in collection.queries.items() if "capital of" in text)
    country = collection.queries[question].removesuffix("?").rpartition(" ")[2]
    holding = [document for document, text in collection.corpus.items() if f"the capital of {country}" in text]
    assert holding == list(collection.qrels[question])


@pytest.mark.parametrize("make", MADE.values(), ids=MADE)
@pytest.mark.parametrize("pooling", ["max", "mean", "whole"])
def test_an_encoder_that_sees_the_detail_finds_every_document_at_every_length(make, pooling) -> None:
    for length in (256, 2048):
        collection = make(length, documents=12, queries=6)
        details = {query: _detail(collection, query) for query in collection.queries}
        asked = Collection("x", collection.corpus, details, collection.qrels)
        run = text_run(asked, Sees(list(details.values())), Reading(pooling))
        assert score(run, asked)["ndcg@1"] == 1.0


@pytest.mark.parametrize("make", MADE.values(), ids=MADE)
def test_an_encoder_that_sees_nothing_scores_chance(make) -> None:
    collection = make(256)
    # All documents are equal: the last by id is first, and right for the one question that is asked about it, if any.
    run = text_run(collection, Constant(), Reading("max"))
    assert score(run, collection)["ndcg@1"] in {0.0, 0.02}


@given(st.integers(min_value=-5, max_value=63))
def test_a_length_with_no_room_is_refused(length: int) -> None:
    for make in MADE.values():
        with pytest.raises(SettingsError, match="too short"):
            make(length)


def test_more_questions_than_documents_and_more_documents_than_details_are_refused() -> None:
    with pytest.raises(SettingsError, match="60 queries over 50 documents"):
        needle(256, documents=50, queries=60)
    with pytest.raises(SettingsError, match="at most 100 documents"):
        needle(256, documents=101)


def _detail(collection: Collection, query: str) -> str:
    """What only the right document says: the name with its key, or the sentence that others do not have."""
    (right,) = collection.qrels[query]
    others = " ".join(text for document, text in collection.corpus.items() if document != right)
    pieces = collection.corpus[right].replace("\n\n", " ").split(". ")
    own = [piece for piece in pieces if piece not in others]
    return own[0]
