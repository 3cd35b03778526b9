"""The vector service over HTTP: requests and answers as the seed gives them, and what each refusal says."""

from __future__ import annotations

import asyncio

import httpx
import numpy as np
import pytest

from cem_rag_app.errors import MemoryMissingError
from cem_rag_app.settings import ServerSettings, Settings, VectorSettings
from stores.vectors.items import VectorItem
from tests.fakes.services import fake_services
from tests.fakes.vectors import FakeCollection
from ui.api.app import create_api


def items():
    return [
        VectorItem("0000/1", np.array([1, 0], np.float32), {"subset": "0000", "label": "plate"}),
        VectorItem("0000/2", np.array([1, 1], np.float32), {"subset": "0000", "label": "gear"}),
        VectorItem("0001/3", np.array([0, 1], np.float32), {"subset": "0001"}, np.array([[1, 2], [3, -1]], np.float32)),
    ]


def browser(collection=None, host="127.0.0.1:8501", headers=None, **settings):
    services, _, _ = fake_services(vectors=collection, settings=Settings(**settings))
    transport = httpx.ASGITransport(app=create_api(services), raise_app_exceptions=False)
    return httpx.AsyncClient(transport=transport, base_url=f"http://{host}", headers=headers)


async def test_an_insertion_answers_how_many_were_new_and_how_many_were_there():
    collection = FakeCollection(items())
    new = {"id": "0002/9", "z": [0.5, 0.5], "metadata": {"subset": "0002", "label": "nut", "source": "z", "mass": 3}}
    known = {"id": "0000/1", "z": [9, 9]}
    async with browser(collection) as http:
        answer = await http.post("/vectors", json={"items": [new, known]})
    assert (answer.status_code, answer.json()) == (200, {"inserted": 1, "duplicates": 1})
    assert collection.items["0002/9"].metadata == new["metadata"]
    assert collection.items["0000/1"].z.tolist() == [1, 0]


async def test_an_id_that_is_there_is_replaced_when_that_is_asked_for():
    collection = FakeCollection(items())
    async with browser(collection) as http:
        answer = await http.post("/vectors", json={"items": [{"id": "0000/1", "z": [9, 9]}], "replace": True})
    assert answer.json() == {"inserted": 1, "duplicates": 0}
    assert collection.items["0000/1"].z.tolist() == [9, 9]


async def test_the_request_of_the_seed_is_answered_in_the_form_of_the_seed():
    question = {
        "vector": [1, 0.1], "k": 20, "metric": "cosine", "filters": {"subset": "0000", "label": ["plate", "gear"]},
        "stageN": 100, "fusion": {"method": "weighted", "alpha": 0.6},
    }  # fmt: skip
    async with browser(FakeCollection(items())) as http:
        answer = await http.post("/search", json=question)
    first, second = answer.json()["results"]
    assert list(first) == ["id", "score", "sim_z", "sim_orig", "metadata"]
    assert (first["id"], second["id"]) == ("0000/1", "0000/2")
    assert first["score"] == pytest.approx(0.995, abs=1e-3)
    assert (first["sim_orig"], first["metadata"]) == (None, {"subset": "0000", "label": "plate"})


async def test_a_metric_is_taken_in_the_seeds_own_spelling():
    async with browser(FakeCollection(items())) as http:
        assert (await http.post("/search", json={"vector": [1, 0], "metric": "L2"})).status_code == 200


async def test_a_vector_is_read_back_and_deleted_by_an_id_with_slashes():
    async with browser(FakeCollection(items())) as http:
        plain = await http.get("/vectors/0001/3")
        quoted = await http.get("/vectors/0001%2F3")
        gone = await http.delete("/vectors/0001/3")
        missing = await http.get("/vectors/0001/3")
        again = await http.delete("/vectors/0001/3")
    stored = {"id": "0001/3", "z": [0, 1], "metadata": {"subset": "0001"}, "vec": [[1, 2], [3, -1]]}
    assert plain.json() == quoted.json() == stored
    assert gone.json() == {"id": "0001/3", "deleted": True}
    assert (missing.status_code, again.status_code) == (404, 404)
    assert missing.json() == {"error": "HTTPError", "message": "No vector has the id '0001/3'."}


@pytest.mark.parametrize(
    ("path", "body", "said"),
    [
        ("/vectors", {"items": []}, "body.items: List should have at least 1 item"),
        ("/vectors", {"items": [{"id": "", "z": [1]}]}, "body.items.0.id: String should have at least 1 character"),
        ("/vectors", {"items": [{"id": "a", "z": []}]}, "body.items.0.z: List should have at least 1 item"),
        ("/vectors", {"items": [{"id": "a", "z": ["x"]}]}, "body.items.0.z.0: Input should be a valid number"),
        ("/vectors", {"items": [{"id": "a", "z": [1e300]}]}, "body.items.0.z.0: Input should be less than"),
        ("/vectors", {"items": [{"id": "a", "z": [1], "meta": {}}]}, "body.items.0.meta: Extra inputs"),
        ("/vectors", {"items": [{"id": "a", "z": [1], "metadata": {"label": 3}}]}, "body.items.0.metadata.label"),
        ("/vectors", {"items": [{"id": "a", "z": [1], "metadata": {"x": "y" * 40_000}}]}, "body.items.0.metadata"),
        ("/vectors", {"items": [{"id": "a", "z": [True]}]}, "body.items.0.z.0: Input should be a valid number"),
        ("/vectors", {"items": [{"id": "a", "z": [1]}], "replace": 1}, "body.replace: Input should be a valid boolean"),
        ("/search", {"vector": [1, 0], "k": "20"}, "body.k: Value error, Input should be a valid integer"),
        ("/search", {"vector": [1, 0], "k": 0}, "body.k: Input should be greater than or equal to 1"),
        ("/search", {"vector": [1, 0], "metric": "dot"}, "body.metric: Input should be 'cosine' or 'l2'"),
        ("/search", {"vector": [1, 0], "filters": {"colour": "red"}}, "body.filters.colour: Extra inputs"),
        ("/search", {"vector": [1, 0], "filters": {"seq_len": {"$eq": 1}}}, "body.filters.seq_len"),
        ("/search", {"vector": [1, 0], "fusion": {"method": "max"}}, "body.fusion.method: Input should be 'weighted'"),
    ],
)
async def test_an_invalid_request_is_told_which_field_it_is(path, body, said):
    collection = FakeCollection(items())
    async with browser(collection) as http:
        answer = await http.post(path, json=body)
    assert (answer.status_code, answer.json()["error"]) == (422, "InvalidRequest")
    assert answer.json()["message"].startswith(said)
    assert len(collection.items) == 3


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1" + "0" * 400])
async def test_a_number_that_is_none_is_refused(number):
    async with browser(FakeCollection(items())) as http:
        answer = await http.post(
            "/search", content=f'{{"vector": [1, {number}]}}', headers={"content-type": "application/json"}
        )
    assert answer.status_code == 422
    assert answer.json()["message"].startswith("body.vector.1: ")


@pytest.mark.parametrize("value", ['"\\ud800"', "NaN", '{"deep": ["\\udfff"]}'])
async def test_metadata_that_cannot_come_back_is_refused(value):
    body = f'{{"items": [{{"id": "a", "z": [1, 0], "metadata": {{"x": {value}}}}}]}}'
    async with browser(FakeCollection(items())) as http:
        answer = await http.post("/vectors", content=body, headers={"content-type": "application/json"})
    assert answer.status_code == 422
    assert "cannot be kept as JSON" in answer.json()["message"]


async def test_a_vector_of_another_dimension_is_the_senders_fault():
    async with browser(FakeCollection(items())) as http:
        asked = await http.post("/search", json={"vector": [1, 2, 3]})
        stored = await http.post("/vectors", json={"items": [{"id": "a", "z": [1, 2, 3]}]})
    assert (asked.status_code, stored.status_code) == (422, 422)
    assert "dimension" in asked.json()["message"]
    assert "dimension" in stored.json()["message"]


async def test_a_row_that_leaves_arguments_out_is_filled_up_with_unused_ones():
    collection = FakeCollection(items())
    async with browser(collection) as http:
        await http.post("/vectors", json={"items": [{"id": "a", "z": [1, 2], "vec": [[1, 2, 3], [4]]}]})
    assert collection.items["a"].vec.tolist() == [[1, 2, 3], [4, -1, -1]]


@pytest.mark.parametrize("stage", ["dtw", "edit"])
async def test_a_search_that_would_hold_up_all_others_is_told_what_to_change(stage):
    long = {"vector": [1, 0], "vec": [[1, 2]] * 1000, "secondStage": stage}
    async with browser(FakeCollection(items())) as http:
        refused = await http.post("/search", json={**long, "stageN": 263})
        fewer = await http.post("/search", json={**long, "stageN": 262})
        aligned = await http.post("/search", json={**long, "stageN": 1000, "secondStage": "aligned"})
    assert (refused.status_code, fewer.status_code, aligned.status_code) == (422, 200, 200)
    assert "rows x columns x stageN is 1052000, and 1048576 is the most" in refused.json()["message"]
    assert "smaller stageN" in refused.json()["message"]


async def test_ragged_rows_that_would_fill_the_memory_are_refused_before_they_are_filled_up():
    collection = FakeCollection()
    ragged = [[0] * 64, *[[0]] * 4095]
    many = [{"id": str(number), "z": [1, number], "vec": ragged} for number in range(65)]
    async with browser(collection) as http:
        refused = await http.post("/vectors", json={"items": many})
        taken = await http.post("/vectors", json={"items": many[:64]})
    assert (refused.status_code, taken.status_code) == (422, 200)
    assert "17039360 numbers, short rows filled up, and 16777216 is the most" in refused.json()["message"]
    assert len(collection.items) == 64


async def test_one_request_brings_as_many_vectors_as_the_setting_says():
    async with browser(FakeCollection(), vectors=VectorSettings(max_items=2)) as http:
        many = [{"id": str(number), "z": [1, number]} for number in range(3)]
        refused = await http.post("/vectors", json={"items": many})
        taken = await http.post("/vectors", json={"items": many[:2]})
    assert refused.status_code == 422
    assert refused.json()["message"] == (
        "One request may bring 2 vectors, and this one has 3. Send them in several requests."
    )
    assert taken.json()["inserted"] == 2


async def test_an_insertion_may_be_larger_than_other_bodies_and_has_a_bound_of_its_own():
    settings = {"server": ServerSettings(max_body_bytes=1024), "vectors": VectorSettings(max_body_bytes=4096)}
    async with browser(FakeCollection(), **settings) as http:
        larger = await http.post("/vectors", json={"items": [{"id": "a", "z": [0.125] * 300}]})
        too_large = await http.post("/vectors", json={"items": [{"id": "b", "z": [0.125] * 3000}]})
        question = await http.post("/search", json={"vector": [0.125] * 300})
    assert (larger.status_code, too_large.status_code, question.status_code) == (200, 413, 413)
    assert "4096 bytes" in too_large.json()["message"]


async def test_without_a_collection_the_routes_say_how_to_serve_one():
    async with browser() as http:
        answers = [
            await http.post("/search", json={"vector": [1]}),
            await http.get("/stats"),
            await http.get("/vectors/a"),
        ]
    for answer in answers:
        assert (answer.status_code, answer.json()["error"]) == (503, "SettingsError")
        assert "cem-rag serve --vectors DIR" in answer.json()["message"]


async def test_searches_in_flight_are_answered_together():
    collection = FakeCollection(items())
    collection.gate.clear()
    async with browser(collection, vectors=VectorSettings(cache_entries=0)) as http:
        asked = [asyncio.create_task(http.post("/search", json={"vector": [1, n], "k": 1})) for n in range(12)]
        await asyncio.sleep(0.3)
        collection.gate.set()
        answers = [(await one).json()["results"][0]["id"] for one in asked]
    assert answers == ["0000/1", "0000/2", "0000/2", *["0001/3"] * 9]
    assert sum(collection.batches) == 12
    assert max(collection.batches) > 1


async def test_a_popular_search_is_made_once_until_something_is_written():
    collection = FakeCollection(items())
    question = {"vector": [0, 1], "k": 1}
    async with browser(collection) as http:
        first = (await http.post("/search", json=question)).json()
        again = (await http.post("/search", json=question)).json()
        other = (await http.post("/search", json={**question, "filters": {"subset": "0000"}})).json()
        searched = sum(collection.batches)
        await http.post("/vectors", json={"items": [{"id": "new", "z": [0, 1], "metadata": {"subset": "0009"}}]})
        await http.delete("/vectors/0001/3")
        after = (await http.post("/search", json=question)).json()
        stats = (await http.get("/stats")).json()
    assert first == again
    assert searched == 2
    assert (first["results"][0]["id"], other["results"][0]["id"]) == ("0001/3", "0000/2")
    assert after["results"][0]["id"] == "new"
    assert stats["cache"] == {"entries": 1, "hits": 1, "misses": 3}


async def test_a_write_of_another_process_drops_the_cache_too():
    collection = FakeCollection(items())
    async with browser(collection) as http:
        await http.post("/search", json={"vector": [0, 1], "k": 1})
        collection.add([VectorItem("other", np.array([0, 2], np.float32))])
        collection.delete("0001/3")
        answer = (await http.post("/search", json={"vector": [0, 1], "k": 1})).json()
    assert answer["results"][0]["id"] == "other"


async def test_statistics_tell_sizes_and_latency():
    async with browser(FakeCollection(items())) as http:
        before = (await http.get("/stats")).json()
        for number in range(5):
            await http.post("/search", json={"vector": [1, number]})
        after = (await http.get("/stats")).json()
    assert before["latency"] == {"searches": 0, "p50_ms": 0, "p95_ms": 0, "p99_ms": 0}
    assert after["collection"]["count"] == 3
    assert after["latency"]["searches"] == 5
    assert 0 < after["latency"]["p50_ms"] <= after["latency"]["p95_ms"] <= after["latency"]["p99_ms"]


async def test_metrics_are_counted_by_route_and_never_by_id():
    async with browser(FakeCollection(items())) as http:
        await http.get("/vectors/0000/1")
        await http.get("/vectors/none")
        await http.get("/nowhere/at/all")
        await http.post("/search", json={"vector": [1, 0]})
        answer = await http.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain")
    for line in (
        'cem_rag_http_requests_total{method="GET",route="/vectors/{id}",status="200"} 1.0',
        'cem_rag_http_requests_total{method="GET",route="/vectors/{id}",status="404"} 1.0',
        'cem_rag_http_requests_total{method="GET",route="none",status="404"} 1.0',
        'cem_rag_http_request_seconds_count{route="/search"} 1.0',
        "cem_rag_search_batch_size_sum 1.0",
        "cem_rag_search_cache_misses_total 1.0",
    ):
        assert line in answer.text.splitlines()
    assert "0000/1" not in answer.text


async def test_what_is_not_there_is_told_like_every_other_error():
    async with browser(FakeCollection(items())) as http:
        missing = await http.get("/nowhere")
        wrong = await http.put("/search")
        both = await http.put("/vectors/0000/1")
    assert (missing.status_code, wrong.status_code) == (404, 405)
    assert missing.json() == {
        "error": "HTTPError",
        "message": "Not Found. Paths and methods are listed at /api/docs.",
    }
    assert wrong.headers["allow"] == "POST"
    assert both.headers["allow"] == "DELETE, GET"


async def test_health_needs_no_memory_where_vectors_are_served(tmp_path):
    served = {"memory": tmp_path / "none", "vectors": VectorSettings(folder=tmp_path / "vectors")}
    services, memory, _ = fake_services(settings=Settings(**served))

    def missing():
        raise MemoryMissingError("There is no memory.")

    memory.status = missing
    transport = httpx.ASGITransport(app=create_api(services))
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as http:
        before = await http.get("/healthz")
        assert not (tmp_path / "vectors").exists()
        await http.get("/stats")
        after = await http.get("/healthz")
    services.close()
    assert (before.status_code, after.status_code) == (503, 200)
    assert "no vector collection" in before.json()["detail"]
