"""One suite for every kind of vector index: what it finds, what it may return, what survives a file."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import get_args

import numpy as np
import pytest

from cem_rag_app.errors import DimensionError
from cem_rag_app.schema import FloatArray
from stores.indexes.base import IndexName, IndexParameters, MetricName, choose_kind
from stores.indexes.faiss_index import TRAIN_FROM, FaissIndex
from stores.indexes.kinds import AnyIndex, make_index, read_index

DIMENSION = 64
COUNT = 4_000
KINDS: tuple[IndexName, ...] = get_args(IndexName)
METRICS: tuple[MetricName, ...] = get_args(MetricName)
EXACT = ("flat",)


def clustered(count: int, seed: int) -> FloatArray:
    """Unit vectors around 80 centres, as texts are around topics."""
    draw = np.random.default_rng(seed)
    centres = np.random.default_rng(99).standard_normal((80, DIMENSION))
    vectors = centres[draw.integers(0, 80, count)] + 0.7 * draw.standard_normal((count, DIMENSION))
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def stretched(unit: FloatArray, metric: MetricName, seed: int) -> FloatArray:
    """Under ``l2`` vectors of different lengths, so that the cosine would rank them otherwise."""
    if metric == "cosine":
        return unit
    return (unit * np.random.default_rng(seed).uniform(0.6, 1.6, (len(unit), 1))).astype(np.float32)


@pytest.fixture(scope="module", params=METRICS)
def metric(request: pytest.FixtureRequest) -> MetricName:
    return request.param


@pytest.fixture(scope="module")
def vectors(metric: MetricName) -> FloatArray:
    return stretched(clustered(COUNT, 1), metric, 5)


@pytest.fixture(scope="module")
def queries(metric: MetricName) -> FloatArray:
    return stretched(clustered(40, 2), metric, 6)


@pytest.fixture(scope="module", params=KINDS)
def index(request: pytest.FixtureRequest, metric: MetricName, vectors: FloatArray) -> AnyIndex:
    if request.param == "codes" and metric == "l2":
        pytest.skip("codes compare by cosine alone: the vectors of a memory are unit vectors")
    parameters = IndexParameters(request.param, metric=metric, nlist=64, nprobe=24)
    made = make_index(DIMENSION, parameters, vectors, COUNT)
    for start in range(0, COUNT, 1_000):
        made.add(vectors[start : start + 1_000])
    return made


def similar(index: AnyIndex, vectors: FloatArray, query: FloatArray) -> FloatArray:
    if index.parameters.metric == "cosine":
        return vectors @ query
    return -np.square(vectors.astype(np.float64) - query).sum(axis=1)


def truth(
    index: AnyIndex, vectors: FloatArray, query: FloatArray, k: int, allowed: np.ndarray | None = None
) -> list[int]:
    similarities = similar(index, vectors, query)
    if allowed is not None:
        similarities = np.where(allowed, similarities, -np.inf)
    return np.argsort(-similarities, kind="stable")[:k].tolist()


def recall(index: AnyIndex, vectors: FloatArray, queries: FloatArray, allowed: np.ndarray | None = None) -> float:
    shares = []
    for query in queries:
        found, _ = index.search(query, 10, allowed)
        wanted = truth(index, vectors, query, 10, allowed)
        shares.append(len(set(found.tolist()) & set(wanted)) / len(wanted))
    return float(np.mean(shares))


def test_it_finds_the_nearest(index: AnyIndex, vectors: FloatArray, queries: FloatArray) -> None:
    assert len(index) == COUNT
    assert recall(index, vectors, queries) >= (1.0 if index.parameters.kind in EXACT else 0.9)


def test_similarities_are_cosines_or_negated_squared_distances_and_fall(
    index: AnyIndex, vectors: FloatArray, queries: FloatArray
) -> None:
    found, similarities = index.search(queries[0], 10)
    assert (np.diff(similarities) <= 1e-6).all()
    # Codes of 8 bits are off by a hundredth at most.
    np.testing.assert_allclose(similarities, similar(index, vectors[found], queries[0]), atol=0.03)


@pytest.mark.parametrize("share", [0.5, 0.05, 0.01])
def test_a_filter_costs_no_recall(index: AnyIndex, vectors: FloatArray, queries: FloatArray, share: float) -> None:
    allowed = np.random.default_rng(3).random(COUNT) < share
    for query in queries[:10]:
        found, _ = index.search(query, 10, allowed)
        assert allowed[found].all()
        assert len(found) == 10
    assert recall(index, vectors, queries, allowed) >= (1.0 if index.parameters.kind in EXACT else 0.9)


def test_a_search_takes_one_thread_whichever_thread_asks(index: AnyIndex, queries: FloatArray) -> None:
    import faiss

    with ThreadPoolExecutor(1) as pool:
        pool.submit(faiss.omp_set_num_threads, 2).result()
        pool.submit(index.search, queries[0], 3).result()
        assert pool.submit(faiss.omp_get_max_threads).result() == 1


def test_fewer_allowed_than_asked_for_are_all_returned(index: AnyIndex, queries: FloatArray) -> None:
    allowed = np.zeros(COUNT, dtype=bool)
    allowed[[7, 1234, 3999]] = True
    found, _ = index.search(queries[0], 10, allowed)
    assert sorted(found.tolist()) == [7, 1234, 3999]
    nothing, _ = index.search(queries[0], 10, np.zeros(COUNT, dtype=bool))
    assert nothing.tolist() == []


def test_vectors_are_read_back_by_position(index: AnyIndex, vectors: FloatArray) -> None:
    positions = np.array([3999, 0, 17], dtype=np.int64)
    tolerance = 0.02 if index.parameters.kind in ("ivfpq", "rabitq", "codes") else 1e-6
    np.testing.assert_allclose(index.vectors(positions), vectors[positions], atol=tolerance)
    assert index.vectors(np.empty(0, dtype=np.int64)).shape == (0, DIMENSION)


def test_a_file_gives_the_same_answers(index: AnyIndex, queries: FloatArray, tmp_path: Path) -> None:
    index.save(tmp_path / "index.bin")
    again = read_index(tmp_path / "index.bin", index.parameters)
    for query in queries[:10]:
        for before, after in zip(index.search(query, 10), again.search(query, 10), strict=True):
            np.testing.assert_array_equal(before, after)
    np.testing.assert_array_equal(again.vectors(np.array([5])), index.vectors(np.array([5])))


def test_vectors_of_another_width_are_refused(index: AnyIndex) -> None:
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


@pytest.mark.parametrize(
    ("pq_m", "bits", "refine", "least"), [(16, 4, 8, 0.9), (16, 8, 0, 0.5), (32, 8, 0, 0.7), (32, 4, 4, 0.9)]
)
def test_codes_of_every_width_find_what_they_can(
    metric: MetricName, vectors: FloatArray, queries: FloatArray, pq_m: int, bits: int, refine: int, least: float
) -> None:
    parameters = IndexParameters(
        "ivfpq", metric=metric, nlist=16, nprobe=16, pq_m=pq_m, pq_bits=bits, refine_factor=refine
    )
    made = FaissIndex(DIMENSION, parameters, vectors)
    made.add(vectors)
    assert recall(made, vectors, queries) >= least
    assert made.vectors(np.array([3, 7])).shape == (2, DIMENSION)
    allowed = np.random.default_rng(3).random(COUNT) < 0.05
    assert allowed[made.search(queries[0], 10, allowed)[0]].all()


def test_codes_that_do_not_fit_the_vectors_are_refused(vectors: FloatArray) -> None:
    for wrong in (IndexParameters("ivfpq", pq_m=7), IndexParameters("ivfpq", pq_bits=5)):
        with pytest.raises(DimensionError, match="pieces"):
            FaissIndex(DIMENSION, wrong, vectors)


def test_auto_goes_by_size() -> None:
    assert choose_kind("auto", 999) == "flat"
    assert choose_kind("auto", 1_000) == "codes"
    assert choose_kind("ivfpq", 5) == "ivfpq"
    with pytest.raises(ValueError, match="annoy"):
        choose_kind("annoy", 5)
