"""One suite for every kind of vector index: what it finds, what it may return, what survives a file."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

import numpy as np
import pytest

from cem_rag_app.errors import DimensionError
from cem_rag_app.schema import FloatArray
from stores.indexes.base import IndexName, IndexParameters, choose_kind
from stores.indexes.faiss_index import TRAIN_FROM, FaissIndex

DIMENSION = 64
COUNT = 4_000
KINDS: tuple[IndexName, ...] = get_args(IndexName)
EXACT = ("flat",)


def clustered(count: int, seed: int) -> FloatArray:
    """Unit vectors around 80 centres, as texts are around topics."""
    draw = np.random.default_rng(seed)
    centres = np.random.default_rng(99).standard_normal((80, DIMENSION))
    vectors = centres[draw.integers(0, 80, count)] + 0.7 * draw.standard_normal((count, DIMENSION))
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


@pytest.fixture(scope="module")
def vectors() -> FloatArray:
    return clustered(COUNT, 1)


@pytest.fixture(scope="module")
def queries() -> FloatArray:
    return clustered(40, 2)


@pytest.fixture(scope="module", params=KINDS)
def index(request: pytest.FixtureRequest, vectors: FloatArray) -> FaissIndex:
    made = FaissIndex(DIMENSION, IndexParameters(request.param, nlist=64, nprobe=24), vectors)
    for start in range(0, COUNT, 1_000):
        made.add(vectors[start : start + 1_000])
    return made


def truth(vectors: FloatArray, query: FloatArray, k: int, allowed: np.ndarray | None = None) -> list[int]:
    similarities = vectors @ query
    if allowed is not None:
        similarities = np.where(allowed, similarities, -np.inf)
    return np.argsort(-similarities, kind="stable")[:k].tolist()


def recall(index: FaissIndex, vectors: FloatArray, queries: FloatArray, allowed: np.ndarray | None = None) -> float:
    shares = []
    for query in queries:
        found, _ = index.search(query, 10, allowed)
        wanted = truth(vectors, query, 10, allowed)
        shares.append(len(set(found.tolist()) & set(wanted)) / len(wanted))
    return float(np.mean(shares))


def test_it_finds_the_nearest(index: FaissIndex, vectors: FloatArray, queries: FloatArray) -> None:
    assert len(index) == COUNT
    assert recall(index, vectors, queries) >= (1.0 if index.parameters.kind in EXACT else 0.9)


def test_similarities_are_cosines_and_fall(index: FaissIndex, vectors: FloatArray, queries: FloatArray) -> None:
    found, similarities = index.search(queries[0], 10)
    assert (np.diff(similarities) <= 1e-6).all()
    # Codes of 8 bits are off by a hundredth at most.
    np.testing.assert_allclose(similarities, vectors[found] @ queries[0], atol=0.02)


@pytest.mark.parametrize("share", [0.5, 0.05, 0.01])
def test_a_filter_costs_no_recall(index: FaissIndex, vectors: FloatArray, queries: FloatArray, share: float) -> None:
    allowed = np.random.default_rng(3).random(COUNT) < share
    for query in queries[:10]:
        found, _ = index.search(query, 10, allowed)
        assert allowed[found].all()
        assert len(found) == 10
    assert recall(index, vectors, queries, allowed) >= (1.0 if index.parameters.kind in EXACT else 0.9)


def test_fewer_allowed_than_asked_for_are_all_returned(index: FaissIndex, queries: FloatArray) -> None:
    allowed = np.zeros(COUNT, dtype=bool)
    allowed[[7, 1234, 3999]] = True
    found, _ = index.search(queries[0], 10, allowed)
    assert sorted(found.tolist()) == [7, 1234, 3999]
    nothing, _ = index.search(queries[0], 10, np.zeros(COUNT, dtype=bool))
    assert nothing.tolist() == []


def test_vectors_are_read_back_by_position(index: FaissIndex, vectors: FloatArray) -> None:
    positions = np.array([3999, 0, 17], dtype=np.int64)
    tolerance = 0.02 if index.parameters.kind in ("ivfpq", "rabitq") else 1e-6
    np.testing.assert_allclose(index.vectors(positions), vectors[positions], atol=tolerance)
    assert index.vectors(np.empty(0, dtype=np.int64)).shape == (0, DIMENSION)


def test_a_file_gives_the_same_answers(index: FaissIndex, queries: FloatArray, tmp_path: Path) -> None:
    index.save(tmp_path / "index.bin")
    again = FaissIndex.load(tmp_path / "index.bin", index.parameters)
    for query in queries[:10]:
        for before, after in zip(index.search(query, 10), again.search(query, 10), strict=True):
            np.testing.assert_array_equal(before, after)
    np.testing.assert_array_equal(again.vectors(np.array([5])), index.vectors(np.array([5])))


def test_vectors_of_another_width_are_refused(index: FaissIndex) -> None:
    with pytest.raises(DimensionError, match="dimension 64"):
        index.add(np.zeros((1, 65), dtype=np.float32))


@pytest.mark.parametrize("kind", ["ivf", "ivfpq", "rabitq"])
def test_too_few_vectors_to_learn_from_are_named(kind: IndexName, vectors: FloatArray) -> None:
    with pytest.raises(DimensionError, match=f"at least {TRAIN_FROM}"):
        FaissIndex(DIMENSION, IndexParameters(kind), vectors[:10])


@pytest.mark.parametrize("kind", ["flat", "hnsw"])
def test_an_empty_index_finds_nothing(kind: IndexName, queries: FloatArray) -> None:
    found, similarities = FaissIndex(DIMENSION, IndexParameters(kind)).search(queries[0], 5)
    assert (found.tolist(), similarities.tolist()) == ([], [])


def test_auto_goes_by_size() -> None:
    assert choose_kind("auto", 10_000) == "flat"
    assert choose_kind("auto", 10_001) == "hnsw"
    assert choose_kind("ivfpq", 5) == "ivfpq"
    with pytest.raises(ValueError, match="annoy"):
        choose_kind("annoy", 5)
