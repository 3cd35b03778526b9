"""The vector service as a process: a real collection, a real socket, a key, and open again after a restart."""

from __future__ import annotations

import time

import httpx
import numpy as np
import pytest

from scripts.processes import serving
from ui.client import Client
from ui.wire_vectors import Item, Metadata, SearchBody

pytestmark = pytest.mark.enable_socket
KEY = "correct-horse-battery-staple"
SEQUENCE = [[0, 10, -1], [1, 20, 5], [3, -1, -1]]


@pytest.fixture(autouse=True)
def _key(monkeypatch):
    monkeypatch.setenv("CEM_RAG_SERVER__API_KEY", KEY)


def points(count=50, dimension=8):
    rows = np.random.default_rng(3).standard_normal((count, dimension))
    return [
        Item(
            id=f"{number % 5:04d}/{number}",
            z=row.tolist(),
            metadata=Metadata(subset=f"{number % 5:04d}", mass=number),
            vec=SEQUENCE[: 1 + number % 3],
        )
        for number, row in enumerate(rows)
    ]


def test_what_was_acknowledged_is_found_by_the_next_server_and_only_with_the_key(tmp_path):
    items = points()
    options = ("serve", "--vectors", str(tmp_path / "vectors"), "--memory", str(tmp_path / "none"))
    with serving(*options) as url, Client(url, api_key=KEY) as client:
        until = time.monotonic() + 30  # the collection is made while the server starts
        while httpx.get(f"{url}/healthz", trust_env=False).json()["status"] != "ok":
            assert time.monotonic() < until
            time.sleep(0.1)
        for path in ("/stats", "/api/stats", "/metrics", "/vectors/0000/0"):
            assert httpx.get(url + path, trust_env=False).status_code == 401
        assert client.add_vectors(items).inserted == 50
        assert client.add_vectors(items[:3]).duplicates == 3
        assert client.search(SearchBody(vector=items[7].z, k=1)).results[0].id == "0002/7"
        assert client.delete_vector("0002/7").deleted
    with serving(*options) as url, Client(url, api_key=KEY) as client:
        question = SearchBody(vector=items[7].z, k=50, vec=SEQUENCE, filters={"subset": ["0002", "0003"]}, stageN=50)
        results = client.search(question).results
        assert {hit.id[:4] for hit in results} == {"0002", "0003"}
        assert len(results) == 19
        assert all(hit.sim_orig is not None and 0 < hit.sim_orig <= 1 for hit in results)
        assert [hit.score for hit in results] == sorted((hit.score for hit in results), reverse=True)
        assert client.vector("0003/8").metadata == {"subset": "0003", "mass": 8}
        assert client.vector_stats().collection["count"] == 49
    with serving(*options) as url, Client(f"{url}/api", api_key=KEY) as client:
        assert client.vector("0003/8").id == "0003/8"
