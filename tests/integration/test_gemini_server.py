"""Gemini for real, over a socket: whatever the server does, the user gets an answer or a plain error, never a hang."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable

import pytest

from cem_rag_app.errors import ChatModelError, MissingKeyError
from cem_rag_app.persona.rules import HardRules
from cem_rag_app.persona.scoring import character_similarity
from cem_rag_app.settings import ChatSettings, Settings
from graphs.persona.chat import PersonaChat, Turn
from graphs.persona.voices import voice_for
from tests.fakes.chat_models import PLAN, step_of
from tests.fakes.gemini_server import GeminiServer, Request, Response, blocked_answer, blocked_prompt, failed, said
from tests.fakes.histories import short_history
from tests.fakes.memory import FakeMemory

pytest.importorskip("langchain_google_genai", reason="the extra `gemini` is not installed")
pytestmark = pytest.mark.enable_socket

KEY = "AIzaSyTestKeyThatMustNeverBeShown1234567"
ANSWERS = {
    "plan": json.dumps(PLAN, ensure_ascii=False),
    "generate": '{"bubbles": ["抱抱", "怎么啦"]}',
    "criticise": '{"verdicts": [{"index": 0, "fit": 0.9, "reason": "接得住"}]}',
    "repair": '{"bubbles": ["晚安宝贝"]}',
}


def _normal(request: Request) -> Response:
    return said(ANSWERS[step_of(request.prompt)])


def _only(step: str, *responses: Response) -> Callable[[Request], Response]:
    """Normal, save that this step gets these responses in turn; the last one stays."""
    left = list(responses)

    def answer(request: Request) -> Response:
        if step_of(request.prompt) != step:
            return _normal(request)
        return left.pop(0) if len(left) > 1 else left[0]

    return answer


def _talk(server: GeminiServer, *, timeout: float = 20.0) -> Turn:
    settings = Settings(
        chat=ChatSettings(model="gemini", timeout_seconds=timeout, candidates=2),
        google_api_key=KEY,
        google_base_url=server.url,
        _env_file=None,
    )
    memory = FakeMemory(HardRules(persona="小满"), short_history())
    chat = PersonaChat(memory, voice_for(memory, settings), settings, similarity=character_similarity)
    return chat.reply("今天好累")


def test_a_turn_plans_with_pro_writes_with_flash_and_criticises_with_pro() -> None:
    drafts = iter(['{"bubbles": ["抱抱", "怎么啦"]}', '{"bubbles": ["辛苦啦"]}'])

    def answer(request: Request) -> Response:
        return said(next(drafts)) if step_of(request.prompt) == "generate" else _normal(request)

    with GeminiServer(answer) as server:
        turn = _talk(server)
    assert [line.text for line in turn.bubbles] in (["抱抱", "怎么啦"], ["辛苦啦"])
    asked = [(step_of(request.prompt), request.path.split("/models/")[1]) for request in server.requests]
    assert asked == [
        ("plan", "gemini-3.1-pro-preview:generateContent"),
        ("generate", "gemini-3.8-flash:generateContent"),
        ("generate", "gemini-3.8-flash:generateContent"),
        ("criticise", "gemini-3.1-pro-preview:generateContent"),
    ]
    assert {request.key for request in server.requests} == {KEY}


def test_the_request_asks_for_json_of_the_schema_and_sets_no_temperature() -> None:
    with GeminiServer(_normal) as server:
        _talk(server)
    config = server.requests[0].body["generationConfig"]
    assert config["responseMimeType"] == "application/json"
    assert "temperature" not in config
    assert "needs_facts" in json.dumps(config)


def test_tokens_and_the_prompts_version_are_on_record() -> None:
    with GeminiServer(_normal) as server:
        calls = _talk(server).record.calls
    assert {(call.step, call.input_tokens, call.output_tokens) for call in calls} == {
        ("plan", 100, 20),
        ("generate", 100, 20),
    }
    assert all(call.prompt == f"persona/{call.step}" and call.prompt_version and call.prompt_hash for call in calls)


def test_a_rate_limit_with_retry_after_is_waited_out_once() -> None:
    with GeminiServer(_only("plan", failed(429, "RESOURCE_EXHAUSTED", "0"), said(ANSWERS["plan"]))) as server:
        assert _talk(server).bubbles[0].text == "抱抱"
    assert [step_of(request.prompt) for request in server.requests].count("plan") == 2


def test_a_long_retry_after_is_told_and_not_waited_for() -> None:
    with (
        GeminiServer(_only("plan", failed(429, "RESOURCE_EXHAUSTED", "3600"))) as server,
        pytest.raises(ChatModelError, match=r"quota or rate limit .429.*Try again in 3600 seconds"),
    ):
        _talk(server)
    assert len(server.requests) == 1


@pytest.mark.parametrize("status", [500, 503])
def test_a_server_error_is_tried_twice_and_then_named(status: int) -> None:
    with (
        GeminiServer(_only("plan", failed(status, "INTERNAL", "0"))) as server,
        pytest.raises(ChatModelError, match=f"provider failed .{status}."),
    ):
        _talk(server)
    assert len(server.requests) == 2


@pytest.mark.parametrize("status", [401, 403])
def test_a_refused_key_is_named_and_never_shown(status: int, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    with (
        GeminiServer(lambda request: failed(status, f"PERMISSION_DENIED for {request.key}")) as server,
        pytest.raises(MissingKeyError, match="refused the API key") as caught,
    ):
        _talk(server)
    assert KEY not in str(caught.value)
    assert not any(KEY in record.getMessage() for record in caplog.records if record.name.startswith("graphs"))


@pytest.mark.parametrize(
    ("response", "told"),
    [
        (blocked_prompt(), "declined to answer .prompt blocked: .*PROHIBITED_CONTENT"),
        (blocked_answer(), "declined to answer .SAFETY"),
    ],
)
def test_a_safety_block_is_told_as_one(response: Response, told: str) -> None:
    with GeminiServer(_only("plan", response)) as server, pytest.raises(ChatModelError, match=told):
        _talk(server)


@pytest.mark.parametrize("body", [{}, {"candidates": []}, {"candidates": [{"finishReason": "STOP", "index": 0}]}])
def test_an_empty_answer_is_asked_for_once_more_and_then_named(body: dict[str, object]) -> None:
    with (
        GeminiServer(_only("plan", Response(body=body))) as server,
        pytest.raises(ChatModelError, match="cannot be read, twice: no JSON object"),
    ):
        _talk(server)
    assert len(server.requests) == 2


def test_truncated_json_is_asked_for_once_more() -> None:
    cut = said('{"intent": "statement", "candi', finish="MAX_TOKENS")
    with GeminiServer(_only("plan", cut, said(ANSWERS["plan"]))) as server:
        assert _talk(server).bubbles[0].text == "抱抱"
    assert "只输出一个完整的 JSON" in server.requests[1].prompt


def test_json_that_stays_truncated_is_a_plain_error() -> None:
    with (
        GeminiServer(_only("plan", said('{"intent": "stat', finish="MAX_TOKENS"))) as server,
        pytest.raises(ChatModelError, match="cannot be read, twice: broken JSON"),
    ):
        _talk(server)


def test_one_failing_candidate_does_not_cost_the_other() -> None:
    with GeminiServer(_only("generate", failed(400, "INVALID_ARGUMENT"), said(ANSWERS["generate"]))) as server:
        turn = _talk(server)
    assert [line.text for line in turn.bubbles] == ["抱抱", "怎么啦"]
    assert any(call.output.startswith("error: ") for call in turn.record.calls)


def test_candidates_that_all_fail_are_a_plain_error() -> None:
    with (
        GeminiServer(_only("generate", failed(400, "INVALID_ARGUMENT"))) as server,
        pytest.raises(ChatModelError, match=r"failed .400."),
    ):
        _talk(server)


def test_a_blocked_critic_costs_its_opinion_and_not_the_reply() -> None:
    drafts = iter(['{"bubbles": ["抱抱"]}', '{"bubbles": ["嗯嗯"]}'])

    def answer(request: Request) -> Response:
        step = step_of(request.prompt)
        return (
            said(next(drafts)) if step == "generate" else blocked_answer() if step == "criticise" else _normal(request)
        )

    with GeminiServer(answer) as server:
        turn = _talk(server)
    assert turn.bubbles
    assert "The critic failed" in turn.record.reason


def test_a_pet_name_is_repaired_by_the_generator() -> None:
    with GeminiServer(_only("generate", said('{"bubbles": ["亲爱的晚安"]}'))) as server:
        turn = _talk(server)
    assert (turn.record.choice, turn.record.reply) == ("repaired", ("晚安宝贝",))


def test_a_server_that_never_answers_is_given_up_in_time() -> None:
    with GeminiServer(lambda _: Response(hang=True)) as server, pytest.raises(ChatModelError, match="not answer"):
        _talk(server, timeout=0.4)


def test_a_server_that_is_not_there_is_named() -> None:
    with GeminiServer(_normal) as server:
        pass
    with pytest.raises(ChatModelError, match="cannot be reached"):
        _talk(server)
