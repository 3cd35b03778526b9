"""The server as a process: page, API and health on one port, over a real socket."""

from __future__ import annotations

import json
from importlib import util
from pathlib import Path

import httpx
import pytest

from scripts.processes import cem_rag, serving
from tests.serving import build_memory
from ui.client import Client

pytestmark = pytest.mark.enable_socket
ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def memory(tmp_path_factory):
    return build_memory(tmp_path_factory.mktemp("server"))


@pytest.fixture(scope="module")
def address(memory):
    with serving("serve", "--memory", str(memory)) as url:
        yield url


def test_one_port_serves_the_page_the_api_its_documentation_and_health(address):
    with httpx.Client(base_url=address, trust_env=False, timeout=30) as http:
        assert "<title>Streamlit</title>" in http.get("/").text
        assert http.get("/healthz").json() == {"status": "ok", "detail": ""}
        assert http.get("/api/healthz").json()["status"] == "ok"
        assert "/rag/preview" in http.get("/api/openapi.json").json()["paths"]
        assert "swagger" in http.get("/api/docs").text.lower()


def test_a_turn_over_http_is_remembered_and_recalled_by_another_process(address, memory):
    with Client(f"{address}/api") as client:
        reply = client.chat("我养了一只叫豆包的乌龟", turn_id="turtle-1")
        assert reply.offline is True
        assert 1 <= len(reply.bubbles) <= 4
        again = client.chat("我养了一只叫豆包的乌龟", turn_id="turtle-1")
        assert [b.message_id for b in again.bubbles] == [b.message_id for b in reply.bubbles]
        last = [m.text for m in client.messages().messages]
        assert last.count("我养了一只叫豆包的乌龟") == 1
        client.mark(reply.bubbles[0].message_id)
        assert next(m for m in client.messages().messages if m.message_id == reply.bubbles[0].message_id).marked
    done = cem_rag("preview", "乌龟叫什么", "-k", "1", "--memory", memory, "--json")
    assert "豆包" in json.loads(done.stdout)["hits"][0]["anchor_text"]


def test_the_doors_of_the_blueprint_answer(address):
    with httpx.Client(base_url=address, trust_env=False, timeout=60) as http:
        hits = http.get("/api/rag/preview", params={"q": "猫"}).json()["hits"]
        status = http.get("/api/rag/index/status").json()
        built = http.post("/api/rag/index/build", json={"limit": 0, "batch_size": 24}).json()
    assert {"anchor_text", "lines", "semantic_score", "lexical_score", "retrieval_score"} <= hits[0].keys()
    assert status["counts"]["messages"] >= 18
    assert built["chunks"] == http_chunks(address)


def http_chunks(address):
    return httpx.get(f"{address}/api/rag/index/status", trust_env=False).json()["counts"]["chunks"]


def test_a_taken_port_is_told_in_one_line_before_anything_is_loaded(address, memory):
    port = address.rpartition(":")[2]
    done = cem_rag("serve", "--port", port, "--memory", memory)
    assert done.returncode == 1
    assert f"Cannot listen on 127.0.0.1:{port}" in done.stderr
    assert "--port" in done.stderr


def test_without_a_memory_the_server_runs_and_health_says_what_is_missing(tmp_path):
    with serving("serve", "--memory", str(tmp_path / "nothing")) as url:
        answer = httpx.get(f"{url}/healthz", trust_env=False)
        refused = httpx.get(f"{url}/api/messages", trust_env=False)
    assert answer.status_code == 503
    assert "cem-rag import" in answer.json()["detail"]
    assert (refused.status_code, refused.json()["error"]) == (404, "MemoryMissingError")


def test_both_graphs_of_langgraph_json_load_and_run_a_turn_with_the_default_context(memory, monkeypatch):
    monkeypatch.setenv("CEM_RAG_MEMORY", str(memory))
    config = json.loads((ROOT / "langgraph.json").read_text())
    built = {}
    for name, place in config["graphs"].items():
        file, _, attribute = place.partition(":")
        spec = util.spec_from_file_location(f"studio_{name}", ROOT / file)
        module = util.module_from_spec(spec)
        spec.loader.exec_module(module)
        built[name] = getattr(module, attribute)().compile()
    said = built["persona"].invoke({"text": "晚上吃什么"}, context={})  # what Studio sends
    assert 1 <= len(said["bubbles"]) <= 4
    assert built["qa"].invoke({"question": "猫叫什么"}, context={})["answer"].text
