"""What each kind of system makes of a collection: a ranking for every query."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from cem_rag_app.cem.pair import FrameEncoder, QueryEncoder
from cem_rag_app.cem.teachers.base import TextEncoder
from cem_rag_app.evaluation.bm25 import Bm25
from cem_rag_app.evaluation.collections import Collection
from cem_rag_app.evaluation.documents import POOLINGS, PackDocuments, Pooling, TextDocuments, pack_corpus
from cem_rag_app.evaluation.retrieval import DEPTH, Scores, search, search_chunks
from cem_rag_app.settings import PackSettings

BM25_K1 = 1.2
BM25_B = 0.75
CHUNK_TARGET = 440


@dataclass(frozen=True, slots=True)
class Reading:
    """How documents are read."""

    pooling: Pooling = "mean"
    chunk_target: int = CHUNK_TARGET
    """Bytes of a chunk."""

    @property
    def cut(self) -> int | None:
        """Bytes at which documents are cut into chunks; None: never."""
        return None if self.pooling == "whole" else self.chunk_target

    def facts(self) -> dict[str, Any]:
        """As a report's settings word it."""
        return {"pooling": POOLINGS[self.pooling], "chunk_target": self.cut}


def bm25_run(collection: Collection) -> Scores:
    """Rank a collection with BM25; documents without a query term are left out."""
    ids = list(collection.corpus)
    index = Bm25(list(collection.corpus.values()), k1=BM25_K1, b=BM25_B)
    run: Scores = {}
    for query, text in collection.queries.items():
        scores = index.scores(text)
        best = np.argsort(-scores, kind="stable")[:DEPTH]
        run[query] = {ids[place]: float(scores[place]) for place in best if scores[place] > 0}
    return run


def random_run(collection: Collection, seed: int = 0) -> Scores:
    """Rank by chance: what a system without any knowledge reaches."""
    ids = list(collection.corpus)
    generator = np.random.default_rng(seed)
    run: Scores = {}
    for query in collection.queries:
        order = generator.permutation(len(ids))[:DEPTH]
        run[query] = {ids[place]: -float(rank) for rank, place in enumerate(order)}
    return run


def text_run(collection: Collection, encoder: TextEncoder, reading: Reading) -> Scores:
    """Rank a collection with an encoder of text."""
    ids = list(collection.corpus)
    documents = TextDocuments(collection.corpus, encoder, chunk_target=reading.cut)
    look = search_chunks if reading.pooling == "max" else search
    return look(documents, ids, collection.queries)


def pack_run(
    collection: Collection, student: FrameEncoder, query: QueryEncoder, pack: PackSettings, reading: Reading
) -> tuple[Scores, dict[str, Any]]:
    """Rank a collection with an encoder of compressed frames, which are made into a pack as the store makes them.

    Returns:
        The ranking, and what a report's settings say: sizes, level, how documents were read.
    """
    pack = frame_settings(student, pack)
    ids = list(collection.corpus)
    with tempfile.TemporaryDirectory(prefix="cem-rag-eval-") as folder:
        packed = pack_corpus(collection.corpus, Path(folder) / "corpus.zpkg", pack, chunk_target=reading.cut)
        documents = PackDocuments(packed, student, query)
        look = search_chunks if reading.pooling == "max" else search
        run = look(documents, ids, collection.queries)
    facts = {
        "checkpoint": student.name,
        "view": view_of(student),
        **reading.facts(),
        "text_bytes": packed.text_bytes,
        "pack_bytes": packed.pack_bytes,
        "level": pack.level,
    }
    return run, facts


def view_of(student: FrameEncoder) -> str:
    """Return how a student looks at a frame; a text baseline in its place looks at none."""
    return str(getattr(student, "view", ""))


def frame_settings(student: FrameEncoder, pack: PackSettings) -> PackSettings:
    """Return the settings of the pack a student is given.

    The view ``frame`` reads bytes that mean something under one dictionary and one kind of compression alone: it
    always gets the shipped dictionary, which it was trained with, and the level it was trained for. The other views
    read any.
    """
    if view_of(student) != "frame":
        return pack
    level = getattr(getattr(student, "student", None), "level", pack.level)
    return pack.model_copy(update={"own_dictionary_from": 1 << 62, "level": level})
