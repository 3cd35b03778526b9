"""A call of a model is bounded, retried where that helps, and fails in plain words."""

from __future__ import annotations

import threading

import httpx
import pytest
from langchain_core.exceptions import ModelAPIError, ModelConnectionError
from langchain_core.runnables import RunnableLambda

from cem_rag_app.errors import ChatModelError, MissingKeyError
from graphs.calls import LONGEST_WAIT_SECONDS, call_model, redact


class ProviderError(Exception):
    """What SDKs raise: a status code and the response it came with."""

    def __init__(self, status_code: int, message: str = "no", retry_after: str | None = None) -> None:
        super().__init__(message)
        self.status_code = status_code
        headers = {} if retry_after is None else {"Retry-After": retry_after}
        self.response = httpx.Response(status_code, headers=headers)


def _model(*outcomes: object) -> tuple[RunnableLambda, list[object]]:
    left = list(outcomes)

    def answer(prompt: object) -> object:
        outcome = left.pop(0)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    return RunnableLambda(answer), left


def _call(model: RunnableLambda, waits: list[float] | None = None, timeout: float = 60.0) -> object:
    return call_model(model, "?", timeout_seconds=timeout, sleep=(waits if waits is not None else []).append)


def test_an_answer_is_returned_as_it_is() -> None:
    model, _ = _model("好")
    assert _call(model) == "好"


def test_a_rate_limit_is_waited_out_as_long_as_the_provider_asks() -> None:
    model, _ = _model(ProviderError(429, retry_after="7"), "好")
    waits: list[float] = []
    assert _call(model, waits) == "好"
    assert waits == [7.0]


def test_a_wait_too_long_for_someone_at_a_screen_is_told_instead() -> None:
    model, left = _model(ProviderError(429, retry_after="120"), "never")
    waits: list[float] = []
    assert LONGEST_WAIT_SECONDS < 120
    with pytest.raises(ChatModelError, match="Try again in 120 seconds"):
        _call(model, waits)
    assert (waits, left) == ([], ["never"])


def test_a_wait_beyond_the_calls_own_limit_is_told_instead() -> None:
    model, left = _model(ProviderError(429, retry_after="7"), "never")
    with pytest.raises(ChatModelError, match="Try again in 7 seconds"):
        _call(model, timeout=5.0)
    assert left == ["never"]


@pytest.mark.parametrize("status", [500, 502, 503, 504])
def test_a_failing_provider_is_asked_once_more_and_then_named(status: int) -> None:
    model, left = _model(ProviderError(status), ProviderError(status), "never")
    with pytest.raises(ChatModelError, match=f"provider failed .{status}."):
        _call(model)
    assert left == ["never"]


@pytest.mark.parametrize("error", [ModelAPIError("overloaded"), ModelConnectionError("refused")])
def test_langchains_own_retryable_errors_are_retried(error: Exception) -> None:
    model, _ = _model(error, "好")
    assert _call(model) == "好"


@pytest.mark.parametrize(("status", "told"), [(400, "failed .400."), (404, "not found")])
def test_what_another_attempt_cannot_mend_is_not_tried_again(status: int, told: str) -> None:
    model, left = _model(ProviderError(status), "never")
    with pytest.raises(ChatModelError, match=told):
        _call(model)
    assert left == ["never"]


@pytest.mark.parametrize("status", [401, 403])
def test_a_refused_key_is_a_missing_key(status: int) -> None:
    with pytest.raises(MissingKeyError, match="refused the API key"):
        _call(_model(ProviderError(status))[0])


def test_no_key_is_in_an_error_or_in_its_cause() -> None:
    key = "AIzaSyTestKeyThatMustNeverBeShown1234567"
    with pytest.raises(ChatModelError) as caught:
        _call(_model(ProviderError(400, f"bad request to https://x/?key={key} with {key}"))[0])
    assert key not in str(caught.value)
    assert caught.value.__cause__ is None and caught.value.__suppress_context__


@pytest.mark.parametrize(
    "secret",
    ["AIzaSyB-1234567890abcdef", "sk-proj-abcdefgh12345678", "Bearer eyJhbGciOi.J9abc", "https://h/p?key=s3cret&x"],
)
def test_what_looks_like_a_key_is_taken_out(secret: str) -> None:
    assert "[key]" in redact(f"told {secret} so")
    assert "s3cret" not in redact(secret) and "12345678" not in redact(secret) and "eyJ" not in redact(secret)


def test_a_call_that_never_returns_is_given_up() -> None:
    never = threading.Event()
    with pytest.raises(ChatModelError, match=r"did not answer within 0\.05 seconds"):
        call_model(RunnableLambda(lambda _: never.wait()), "?", timeout_seconds=0.05)
    never.set()
