"""The HTTP API over a fake memory: what each route answers, and what each error says."""

from __future__ import annotations

import httpx
import pytest

from cem_rag_app import errors
from cem_rag_app.settings import ServerSettings, Settings
from tests.fakes.services import fake_services
from ui.api.app import create_api
from ui.api.errors import status_of

TALK = (("user", "吃火锅吗"), ("assistant", "好呀"), ("user", "几点"), ("assistant", "七点"))


def browser(services, host="127.0.0.1:8501"):
    transport = httpx.ASGITransport(app=create_api(services), raise_app_exceptions=False)
    return httpx.AsyncClient(transport=transport, base_url=f"http://{host}")


async def test_preview_returns_the_anchor_its_lines_and_every_part_of_the_score():
    services, _, _ = fake_services(TALK)
    async with browser(services) as http:
        answer = await http.get("/rag/preview", params={"q": "火锅", "k": 1})
    assert answer.status_code == 200
    (hit,) = answer.json()["hits"]
    assert hit["anchor_text"] == "吃火锅吗"
    assert [line["text"] for line in hit["lines"]] == ["吃火锅吗"]
    assert (hit["semantic_score"], hit["lexical_score"], hit["retrieval_score"]) == (0.9, 0.5, 0.763)


async def test_a_turn_is_answered_with_several_bubbles_and_the_record_of_how_they_came_about():
    services, memory, _ = fake_services(TALK, bubbles=("在呢", "怎么啦"))
    async with browser(services) as http:
        answer = (await http.post("/chat", json={"text": " 在吗 "})).json()
    assert [bubble["text"] for bubble in answer["bubbles"]] == ["在呢", "怎么啦"]
    assert answer["offline"] is True
    assert memory.messages[-3].text == "在吗"
    assert "hits" in answer["record"]


async def test_the_same_turn_sent_twice_is_answered_once():
    services, memory, _ = fake_services(TALK)
    async with browser(services) as http:
        first = (await http.post("/chat", json={"text": "在吗", "turn_id": "t1"})).json()
        again = (await http.post("/chat", json={"text": "在吗", "turn_id": "t1"})).json()
    assert first["bubbles"] == again["bubbles"]
    assert len(memory.messages) == len(TALK) + 3


async def test_a_mark_shows_on_the_message_and_can_be_taken_back():
    services, _, _ = fake_services(TALK)
    async with browser(services) as http:
        await http.post("/feedback", json={"message_id": 2})
        marked = (await http.get("/messages")).json()
        await http.post("/feedback", json={"message_id": 2, "good": False})
        unmarked = (await http.get("/messages")).json()
    assert [m["message_id"] for m in marked["messages"] if m["marked"]] == [2]
    assert not any(m["marked"] for m in unmarked["messages"])


async def test_messages_come_in_windows_and_say_when_there_are_earlier_ones():
    services, _, _ = fake_services(TALK)
    async with browser(services) as http:
        last = (await http.get("/messages", params={"limit": 2})).json()
        before = (await http.get("/messages", params={"limit": 2, "before_id": 3})).json()
    assert [m["text"] for m in last["messages"]] == ["几点", "七点"]
    assert (last["more"], last["persona"], last["offline"]) == (True, "小满", True)
    assert [m["text"] for m in before["messages"]] == ["吃火锅吗", "好呀"]
    assert before["more"] is False


async def test_status_and_build_pass_the_memorys_own_figures_on():
    services, _, _ = fake_services(TALK)
    async with browser(services) as http:
        status = (await http.get("/rag/index/status")).json()
        built = (await http.post("/rag/index/build", json={"limit": 5, "batch_size": 7})).json()
    assert status["counts"]["messages"] == 4
    assert built == {"added": 2, "limit": 5, "batch_size": 7}


@pytest.mark.parametrize(
    ("method", "path", "body", "said"),
    [
        ("POST", "/chat", {"text": "   "}, "body.text: String should have at least 1 character"),
        ("POST", "/chat", {"text": "长" * 4001}, "body.text: String should have at most 4000 characters"),
        ("POST", "/chat", {"text": "hi", "voice": "loud"}, "body.voice: Extra inputs are not permitted"),
        ("POST", "/chat", {"text": "hi", "turn_id": "../x"}, "body.turn_id: String should match pattern"),
        ("GET", "/rag/preview", None, "query.q: Field required"),
        ("GET", "/messages?limit=0", None, "query.limit: Input should be greater than or equal to 1"),
        ("POST", "/feedback", {"message_id": 0}, "body.message_id: Input should be greater than or equal to 1"),
    ],
)
async def test_an_invalid_request_is_told_which_field_and_where_the_form_is_documented(method, path, body, said):
    services, _, _ = fake_services(TALK)
    async with browser(services) as http:
        answer = await http.request(method, path, json=body)
    assert answer.status_code == 422
    assert answer.json()["error"] == "InvalidRequest"
    assert answer.json()["message"].startswith(said)
    assert "/api/docs" in answer.json()["message"]


async def test_an_error_of_ours_keeps_its_name_and_its_remedy_over_http():
    missing = errors.MissingKeyError("Gemini needs a key.", remedy="Set CEM_RAG_GOOGLE_API_KEY.")
    services, memory, _ = fake_services(TALK, failures=[missing])
    async with browser(services) as http:
        answer = await http.post("/chat", json={"text": "在吗"})
    assert answer.status_code == 503
    assert answer.json() == {
        "error": "MissingKeyError",
        "message": "Gemini needs a key. Set CEM_RAG_GOOGLE_API_KEY.",
    }
    assert len(memory.messages) == len(TALK)


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (errors.ColumnError("x"), 422),
        (errors.MemoryMissingError("x"), 404),
        (errors.PersonaError("x"), 409),
        (errors.MemoryBusyError("x"), 503),
        (errors.ChatModelError("x"), 502),
        (errors.DiskFullError("x"), 507),
        (errors.MemoryCorruptError("x"), 500),
    ],
)
def test_the_status_tells_whose_turn_it_is(error, status):
    assert status_of(error) == status


async def test_a_body_beyond_the_limit_is_refused_whether_declared_or_streamed():
    services, memory, _ = fake_services(TALK, settings=Settings(server=ServerSettings(max_body_bytes=1024)))
    body = b'{"text": "' + b"x" * 2000 + b'"}'

    async def pieces():
        for start in range(0, len(body), 100):
            yield body[start : start + 100]

    headers = {"content-type": "application/json"}
    async with browser(services) as http:
        declared = await http.post("/chat", content=body, headers=headers)
        streamed = await http.post("/chat", content=pieces(), headers=headers)
    for answer in (declared, streamed):
        assert answer.status_code == 413
        assert answer.json()["message"] == "A request may have 1024 bytes. Send less at once."
    assert len(memory.messages) == len(TALK)


async def test_a_page_of_another_site_cannot_reach_a_local_service_under_its_own_name():
    services, _, _ = fake_services(TALK)
    async with browser(services, host="evil.example") as http:
        answer = await http.get("/messages")
    assert answer.status_code == 400


async def test_a_form_post_from_another_site_is_no_chat_message():
    services, memory, _ = fake_services(TALK)
    async with browser(services) as http:
        answer = await http.post("/chat", content=b'{"text": "hi"}', headers={"content-type": "text/plain"})
    assert answer.status_code == 422
    assert len(memory.messages) == len(TALK)


async def test_health_says_why_the_memory_cannot_be_read():
    services, memory, _ = fake_services(TALK)
    async with browser(services) as http:
        well = await http.get("/healthz")

        def broken():
            raise errors.MemoryCorruptError("packs/000001.zpkg is damaged.", remedy="Run cem-rag check.")

        memory.status = broken
        ill = await http.get("/healthz")
    assert (well.status_code, well.json()["status"]) == (200, "ok")
    assert (ill.status_code, ill.json()) == (
        503,
        {"status": "unavailable", "detail": "packs/000001.zpkg is damaged. Run cem-rag check."},
    )


async def test_every_route_is_documented():
    services, _, _ = fake_services()
    api = create_api(services)
    for path, operations in api.openapi()["paths"].items():
        for method, operation in operations.items():
            assert operation.get("description"), f"{method} {path} has no description"
    assert set(api.openapi()["paths"]) == {
        "/rag/preview", "/rag/index/status", "/rag/index/build", "/chat", "/feedback", "/messages", "/healthz",
        "/vectors", "/vectors/{id}", "/search", "/stats", "/metrics",
    }  # fmt: skip
