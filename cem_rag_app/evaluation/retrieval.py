"""The evaluator. It knows corpus ids and vectors, never what a document is made of (I7, seed *cem-rag* section 4).

Search is exact: blocks of ``queries @ documents.T``, so a figure is the encoder's and not an index's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from cem_rag_app.schema import FloatArray

DEPTH = 1000
"""Documents kept for each query: enough for recall@100 and for fusion."""

QUERY_BLOCK = 256
DOCUMENT_BLOCK = 65_536

Scores = dict[str, dict[str, float]]
"""Query id -> document id -> score."""

Bounds = NDArray[np.int64]
"""(n + 1,): document ``i`` has the chunks ``bounds[i]:bounds[i + 1]``."""


class DocumentEncoder(Protocol):
    """What is evaluated. Text models open the document; CEM reads its compressed bytes; the evaluator cannot tell."""

    def encode_corpus_ids(self, corpus_ids: Sequence[str]) -> FloatArray:
        """Return vectors of documents, shape (n, d), float32, unit rows."""
        ...

    def encode_queries(self, texts: Sequence[str]) -> FloatArray:
        """Return vectors of queries, which are always text (I4), shape (n, d), float32, unit rows."""
        ...


class ChunkEncoder(Protocol):
    """What is evaluated where a document is as near as its nearest chunk. Ids and vectors, here too."""

    def encode_corpus_chunks(self, corpus_ids: Sequence[str]) -> tuple[FloatArray, Bounds]:
        """Return vectors of all chunks, shape (m, d), float32, unit rows, and where each document's lie."""
        ...

    def encode_queries(self, texts: Sequence[str]) -> FloatArray:
        """Return vectors of queries, shape (n, d), float32, unit rows."""
        ...


def search(
    encoder: DocumentEncoder, corpus_ids: Sequence[str], queries: Mapping[str, str], *, depth: int = DEPTH
) -> Scores:
    """Rank the corpus for every query by inner product, exactly.

    Args:
        encoder: vectors of corpus ids and of query texts.
        corpus_ids: every document that can be found.
        queries: query id to text.
        depth: documents kept for each query.

    Returns:
        The best ``depth`` documents of each query with their scores.
    """
    query_ids = list(queries)
    questions = encoder.encode_queries([queries[query] for query in query_ids])
    documents = encoder.encode_corpus_ids(corpus_ids)
    run: Scores = {}
    for start in range(0, len(query_ids), QUERY_BLOCK):
        scores, places = best(questions[start : start + QUERY_BLOCK], documents, depth)
        for row, query in enumerate(query_ids[start : start + QUERY_BLOCK]):
            run[query] = {corpus_ids[p]: float(s) for s, p in zip(scores[row], places[row], strict=True)}
    return run


def search_chunks(
    encoder: ChunkEncoder, corpus_ids: Sequence[str], queries: Mapping[str, str], *, depth: int = DEPTH
) -> Scores:
    """Rank the corpus for every query by each document's best chunk, exactly.

    Args:
        encoder: vectors of the chunks of corpus ids and of query texts.
        corpus_ids: every document that can be found; each has at least one chunk.
        queries: query id to text.
        depth: documents kept for each query.

    Returns:
        The best ``depth`` documents of each query, each with the score of its best chunk.
    """
    query_ids = list(queries)
    questions = encoder.encode_queries([queries[query] for query in query_ids])
    chunks, bounds = encoder.encode_corpus_chunks(corpus_ids)
    run: Scores = {}
    for start in range(0, len(query_ids), QUERY_BLOCK):
        products = questions[start : start + QUERY_BLOCK] @ chunks.T
        nearest = np.maximum.reduceat(products, bounds[:-1], axis=1)
        places = np.argsort(-nearest, axis=1, kind="stable")[:, :depth]
        for row, query in enumerate(query_ids[start : start + QUERY_BLOCK]):
            run[query] = {corpus_ids[place]: float(nearest[row, place]) for place in places[row]}
    return run


def best(
    questions: FloatArray, documents: FloatArray, depth: int, *, block: int = DOCUMENT_BLOCK
) -> tuple[FloatArray, NDArray[np.int64]]:
    """Return scores and places of the best documents of each question, best first.

    Args:
        questions: (q, d) float32.
        documents: (n, d) float32.
        depth: how many to keep.
        block: documents compared at a time; bounds memory.

    Returns:
        Two arrays of shape (q, min(depth, n)).
    """
    scores = np.empty((len(questions), 0), dtype=np.float32)
    places = np.empty((len(questions), 0), dtype=np.int64)
    for start in range(0, len(documents), block):
        products = questions @ documents[start : start + block].T
        numbers = np.broadcast_to(np.arange(start, start + products.shape[1]), products.shape)
        scores = np.concatenate([scores, products], axis=1)
        places = np.concatenate([places, numbers], axis=1)
        if scores.shape[1] > depth:
            kept = np.argpartition(-scores, depth - 1, axis=1)[:, :depth]
            scores = np.take_along_axis(scores, kept, axis=1)
            places = np.take_along_axis(places, kept, axis=1)
    order = np.argsort(-scores, axis=1, kind="stable")
    return np.take_along_axis(scores, order, axis=1), np.take_along_axis(places, order, axis=1)
