"""How stores are measured: the same load for all, recall by what comes back, one row at one recall."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cem_rag_app.errors import InputError, SettingsError, StoreError
from stores.peers.base import PEERS, Row, folder_bytes, load_peer
from stores.peers.measure import measure_search, percentile, resident_mb
from stores.peers.report import at_target, name_of, search_metrics, storage_metrics
from stores.peers.runner import Runner, sync_counts
from stores.peers.workload import SCOPES, Judge, Workload, digest, write_workload
from tests.fakes.peers import FakePeer

K = 10


def make_rows(count: int) -> list[Row]:
    return [Row(n, f"doc-{n // 2}", f"text number {n}", n * 37 % 1000 // 10, n * 37 % 1000) for n in range(count)]


def unit(count: int, seed: int) -> np.ndarray:
    drawn = np.random.default_rng(seed).standard_normal((count, 16)).astype(np.float32)
    return drawn / np.linalg.norm(drawn, axis=1, keepdims=True)


@pytest.fixture
def workload(tmp_path: Path) -> Workload:
    return write_workload(tmp_path / "load", make_rows(3000), unit(3000, 1), unit(20, 2), k=K)


def test_a_workload_comes_back_as_it_was_written(workload: Workload) -> None:
    again = Workload.open(workload.folder)
    assert again.rows() == make_rows(3000)
    np.testing.assert_array_equal(again.vectors, unit(3000, 1))
    assert again.exact.shape == (len(SCOPES), 20)


def test_without_a_workload_the_error_says_how_one_is_made(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cem-rag bench search"):
        Workload.open(tmp_path)


@pytest.mark.parametrize("scope", SCOPES)
def test_the_exact_search_is_the_plain_one(workload: Workload, scope: str) -> None:
    rows = workload.rows()
    for number, query in enumerate(workload.queries):
        only = workload.only(number, scope)
        allowed = [row.number for row in rows if only is None or getattr(row, only.field) == only.value]
        best = sorted((float(workload.vectors[row] @ query) for row in allowed), reverse=True)
        assert workload.exact[SCOPES.index(scope), number] == pytest.approx(best[min(K, len(best)) - 1], abs=1e-6)


@pytest.mark.parametrize("scope", SCOPES)
def test_an_exact_answer_has_recall_one_and_one_that_misses_half_has_half(workload: Workload, scope: str) -> None:
    peer = FakePeer(workload.rows(), workload.vectors)
    judge = Judge(workload)
    queries = list(enumerate(workload.queries))
    full = [[digest(t) for t in peer.search(q, K, {}, workload.only(n, scope))] for n, q in queries]
    assert judge.recall(full, scope, K) == 1.0
    assert judge.recall([answer[: len(answer) // 2] for answer in full], scope, K) == pytest.approx(0.5, abs=0.2)


def test_what_a_filter_forbids_or_what_comes_twice_counts_for_nothing(workload: Workload) -> None:
    judge = Judge(workload)
    peer = FakePeer(workload.rows(), workload.vectors)
    unfiltered = [[digest(t) for t in peer.search(q, K, {})] for q in workload.queries]
    assert judge.recall(unfiltered, "permille", K) < 0.2
    assert judge.recall([[answer[0]] * K for answer in unfiltered], "all", K) == pytest.approx(1 / K)


def test_equal_texts_are_equally_good() -> None:
    assert digest("same") == digest("same") != digest("other")
    assert len(digest("half \ud800 of a character")) == 8


def test_a_store_is_opened_once_searched_with_every_setting_and_closed(workload: Workload, tmp_path: Path) -> None:
    peer = FakePeer(workload.rows(), workload.vectors)
    found = measure_search(peer, tmp_path, peer.builds[0], workload, k=K, rounds=1)
    assert peer.events == ["open", "close"]
    assert [point["recall"] for point in found["curve"]] == [0.5, 1.0]
    by_mode = {(f["scope"], f["mode"]): f["recall"] for f in found["filters"]}
    assert by_mode["percent", "tuned"] == by_mode["permille", "tuned"] == 1.0
    assert by_mode["percent", "default"] < 0.5
    assert found["rss_mb"] > 10


def test_the_row_is_the_cheapest_setting_that_reaches_the_target() -> None:
    curve = [
        {"setting": {"ef": 1}, "p50_ms": 1.0, "p95_ms": 1.0, "cpu_ms": 1.0, "recall": 0.9},
        {"setting": {"ef": 2}, "p50_ms": 3.0, "p95_ms": 3.0, "cpu_ms": 2.0, "recall": 0.97},
        {"setting": {"ef": 3}, "p50_ms": 2.0, "p95_ms": 2.0, "cpu_ms": 1.0, "recall": 0.98},
    ]
    assert at_target({"curve": curve}, 0.97) == {**curve[2], "reached": True}
    assert at_target({"curve": curve}, 0.99) == {**curve[2], "reached": False}


@given(st.lists(st.floats(0, 1e3), min_size=1, max_size=50))
def test_a_percentile_is_one_of_the_values_and_no_share_is_above_the_largest(values: list[float]) -> None:
    assert min(values) <= percentile(values, 0.95) <= max(values)
    assert percentile(values, 0.95) in values


def test_reports_have_the_kept_keys_and_failures_say_why() -> None:
    point = {"setting": {}, "p50_ms": 1.0, "p95_ms": 2.0, "cpu_ms": 1.0, "recall": 0.99}
    filters = [{"scope": s, "mode": m, **point} for s in SCOPES[1:] for m in ("default", "tuned")]
    result = {
        "peer": "cem-rag", "build": "default", "bytes": 50, "text_bytes": 100, "build_s": 1.0, "curve": [point],
        "filters": filters, "open_ms": 3.0, "rss_mb": 4.0, "rss_library_mb": 2.0,
        "syncs": {"per_write": 2.0, "at_close": 0.0},
    }  # fmt: skip
    failed = {"peer": "chroma", "build": "HNSW", "error": "chroma failed"}
    search = search_metrics([result, failed], 0.97)
    assert list(search) == ["cem-rag", "chroma HNSW"] == [name_of(result), name_of(failed)]
    kept = {"p50_ms", "p95_ms", "recall@10", "filtered_1pct_p50_ms", "filtered_1pct_recall@10", "open_ms", "rss_mb"}
    assert kept <= set(search["cem-rag"])
    assert search["chroma HNSW"] == {"error": "chroma failed"}
    storage = storage_metrics([result, failed], 0.97)
    assert storage["cem-rag"]["ratio"] == 0.5
    assert storage["cem-rag"]["bytes"] == {"plain_text": 100, "total": 50}
    assert storage["cem-rag"]["syncs_per_write"] == 2.0


TRACE = """\
10 fsync(3) = 0
10 getpriority(PRIO_PROCESS, 0) = 20
10 fdatasync(4 <unfinished ...>
11 fsync(5) = 0
10 <... fdatasync resumed>) = 0
10 fsync(3) = 0
10 fsync(3) = 0
10 getpriority(PRIO_PROCESS, 0) = 20
12 msync(0x7f, 4096, MS_SYNC) = 0
10 +++ exited with 0 +++
"""


def test_syncs_are_counted_between_the_marks_in_every_thread_and_an_interrupted_line_once() -> None:
    assert sync_counts(TRACE, 2) == {"per_write": 2.0, "at_close": 1.0}
    assert sync_counts("", 5) == {"per_write": 0.0, "at_close": 0.0}


def test_a_file_with_holes_counts_what_it_occupies(tmp_path: Path) -> None:
    with (tmp_path / "holes").open("wb") as file:
        file.truncate(1 << 24)
    (tmp_path / "full").write_bytes(b"x" * 1000)
    assert 1000 <= folder_bytes(tmp_path) < 1 << 20


def test_a_process_that_is_gone_has_no_memory() -> None:
    assert resident_mb(2**22 - 1) == 0.0
    assert resident_mb() > 1


def test_an_unknown_peer_is_refused_with_the_list() -> None:
    with pytest.raises(SettingsError, match="qdrant-edge"):
        load_peer("oracle")


@pytest.mark.parametrize("name", PEERS)
def test_every_adapter_loads_without_its_package_and_offers_builds(name: str) -> None:
    peer = load_peer(name)
    labels = [build.label for build in peer.builds]
    assert labels
    assert len(set(labels)) == len(labels)
    assert all(build.settings for build in peer.builds)


def test_a_worker_that_fails_is_named_with_its_last_words(workload: Workload, tmp_path: Path) -> None:
    silent = tmp_path / "python"
    silent.write_text("#!/bin/sh\necho 'no such luck' >&2\nexit 3\n")
    silent.chmod(0o755)
    runner = Runner(tmp_path / "work", workload, python=str(silent))
    (found,) = runner.measure("chroma")
    assert found["error"] == "chroma failed at builds: no such luck"
    with pytest.raises(StoreError, match="no such luck"):
        runner._run("chroma", "create")
