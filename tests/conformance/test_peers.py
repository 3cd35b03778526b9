"""What every store under measurement must do; those whose packages are missing are skipped."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from stores.peers.base import OURS, PEERS, Build, Only, Peer, Row, load_peer

K = 5
ROWS = [Row(n, f"doc-{n}", f"Text number {n}, 第{n}条。", n % 10, n % 40) for n in range(400)]
CASES = [(name, build.label) for name in PEERS if name != OURS for build in load_peer(name).builds]


def _vectors() -> np.ndarray:
    drawn = np.random.default_rng(5).standard_normal((len(ROWS), 64)).astype(np.float32)
    return drawn / np.linalg.norm(drawn, axis=1, keepdims=True)


VECTORS = _vectors()


@pytest.fixture(scope="module", params=CASES, ids=[f"{name}, {label}" for name, label in CASES])
def case(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Build, Path]]:
    name, label = request.param
    peer = load_peer(name)
    for module in peer.modules:
        try:
            importlib.import_module(module)
        except ImportError as error:
            pytest.skip(f"{name}: {error}")
    build = next(build for build in peer.builds if build.label == label)
    folder = tmp_path_factory.mktemp("peer") / "store"
    folder.mkdir()
    peer.create(folder, build, ROWS, VECTORS)
    yield name, build, folder


@pytest.fixture
def peer(case: tuple[str, Build, Path]) -> Iterator[Peer]:
    name, build, folder = case
    made = load_peer(name)
    made.open(folder, build)
    yield made
    made.close()


def _exact(query: np.ndarray, only: Only | None = None) -> set[str]:
    allowed = [row for row in ROWS if only is None or getattr(row, only.field) == only.value]
    best = sorted(allowed, key=lambda row: -float(VECTORS[row.number] @ query))[:K]
    return {row.text for row in best}


def test_a_rows_own_vector_finds_its_text_first(peer: Peer, case: Any) -> None:
    setting = case[1].settings[-1]
    found = [peer.search(VECTORS[n], K, setting)[0] for n in range(0, 400, 40)]
    assert found == [ROWS[n].text for n in range(0, 400, 40)]


def test_its_widest_setting_finds_nearly_all(peer: Peer, case: Any) -> None:
    setting = case[1].settings[-1]
    queries = VECTORS[::20] + 0.5 * VECTORS[1::20]
    queries /= np.linalg.norm(queries, axis=1, keepdims=True)
    answers = [set(peer.search(query, K, setting)) for query in queries]
    assert sum(len(a & _exact(q)) for a, q in zip(answers, queries, strict=True)) >= 0.9 * K * len(queries)


@pytest.mark.parametrize("only", [Only("percent", 3), Only("permille", 17)])
def test_a_filter_lets_no_other_row_through_and_tuned_it_finds_those_it_allows(
    peer: Peer, case: Any, only: Only
) -> None:
    allowed = {row.text for row in ROWS if getattr(row, only.field) == only.value}
    found = 0
    for query in VECTORS[:20]:
        assert set(peer.search(query, K, case[1].default_filter, only)) <= allowed
        tuned = set(peer.search(query, K, case[1].tuned_filter, only))
        assert tuned <= allowed
        found += len(tuned & _exact(query, only))
    assert found >= 0.9 * K * 20


def test_its_size_is_at_least_that_of_vectors_of_one_bit(case: Any) -> None:
    name, _, folder = case
    assert load_peer(name).disk_bytes(folder) > sum(len(row.text.encode()) for row in ROWS)


def test_a_row_that_was_added_is_there_after_closing(case: Any) -> None:
    name, build, folder = case
    if name == "leann":
        pytest.skip("it adds through a model")
    new = replace(ROWS[0], number=len(ROWS), text="Quite another text.", percent=99, permille=999)
    vector = -VECTORS[0]
    writer = load_peer(name)
    writer.open(folder, build)
    writer.add(new, vector)
    writer.close()
    reader = load_peer(name)
    reader.open(folder, build)
    found = reader.search(vector, 1, build.settings[-1])
    reader.close()
    assert found == [new.text]
