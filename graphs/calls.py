"""One call of a chat model: bounded in time, retried where that can help, its failures told in plain words.

Whatever a provider raises becomes a :class:`cem_rag_app.errors.ChatModelError`. Keys are taken out of every
message before it is shown or logged.
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from cem_rag_app.errors import CemRagError, ChatModelError, MissingKeyError

if TYPE_CHECKING:
    from langchain_core.runnables import Runnable

ATTEMPTS = 2
FIRST_WAIT_SECONDS = 1.0
LONGEST_WAIT_SECONDS = 20.0
"""A longer Retry-After is reported, not waited for: someone sits before the screen."""

_TRANSIENT = frozenset({408, 429, 500, 502, 503, 504})
_KEY = re.compile(r"(?:AIza|sk-|key-|Bearer )[\w\-.]{8,}|(?<=key=)[^&\s'\"]+", re.IGNORECASE)
_MESSAGE_CHARACTERS = 300


def call_model(
    model: Runnable[Any, Any],
    prompt: Any,
    *,
    timeout_seconds: float,
    sleep: Callable[[float], None] = time.sleep,
) -> Any:
    """Call a chat model, or a runnable made of one.

    Args:
        model: Anything with ``invoke``.
        prompt: What it is given.
        timeout_seconds: For the whole call, retries and waits included.
        sleep: Waits before a retry.

    Returns:
        What ``invoke`` returned.

    Raises:
        ChatModelError: It failed, refused, or did not answer in time.
        MissingKeyError: The provider did not accept the key.
    """
    deadline = time.monotonic() + timeout_seconds
    for attempt in range(1, ATTEMPTS + 1):
        try:
            return _within(lambda: model.invoke(prompt), deadline - time.monotonic(), timeout_seconds)
        except CemRagError:
            raise
        except Exception as error:  # noqa: BLE001 - the border: every provider raises classes of its own
            wait = _wait_before_retry(error, attempt)
            if attempt == ATTEMPTS or wait is None or time.monotonic() + wait >= deadline:
                raise plain_error(error) from None  # the cause may quote a key in its request
            sleep(wait)
    raise AssertionError("unreachable")


def plain_error(error: BaseException) -> ChatModelError | MissingKeyError:
    """A provider's error in plain words, with what to do next."""
    status = _status(error)
    told = redact(_first_line(error))
    if status in (401, 403):
        return MissingKeyError(
            f"The chat model's provider refused the API key ({status}): {told}",
            remedy="Set a valid key, or CEM_RAG_CHAT__MODEL=offline to chat without a model.",
        )
    if status == 429:
        wait = _retry_after(error)
        return ChatModelError(
            f"The chat model is over its quota or rate limit (429): {told}",
            remedy=f"Try again in {wait:.0f} seconds." if wait else "Try again in a minute.",
        )
    if status == 404:
        return ChatModelError(
            f"The chat model was not found (404): {told}", remedy="Check the model's name in the settings."
        )
    if status is not None and status >= 500:
        return ChatModelError(f"The chat model's provider failed ({status}): {told}", remedy="Try again.")
    if any("timeout" in type(link).__name__.lower() for link in _chain(error)):
        return ChatModelError(f"The chat model did not answer in time: {told}", remedy="Try again.")
    if any("connect" in type(link).__name__.lower() for link in _chain(error)):
        return ChatModelError(
            f"The chat model cannot be reached: {told}", remedy="Check the network and the model's address."
        )
    code = f" ({status})" if status is not None else ""
    return ChatModelError(f"The chat model failed{code}: {told}", remedy="Try again, or choose another model.")


def redact(text: str) -> str:
    """A text with everything that looks like a key taken out."""
    return _KEY.sub("[key]", text)


def _within(call: Callable[[], Any], seconds: float, allowed: float) -> Any:
    """Run a call in a thread and wait no longer than ``seconds``: a provider's own timeout is per read, not in all."""
    outcome: list[Any] = []
    failure: list[BaseException] = []

    def run() -> None:
        try:
            outcome.append(call())
        except BaseException as error:  # noqa: BLE001 - carried over to the waiting thread and raised there
            failure.append(error)

    thread = threading.Thread(target=run, daemon=True, name="chat-model-call")
    thread.start()
    thread.join(max(0.0, seconds))
    if thread.is_alive():
        raise ChatModelError(
            f"The chat model did not answer within {allowed:g} seconds.",
            remedy="Try again, or raise CEM_RAG_CHAT__TIMEOUT_SECONDS.",
        )
    if failure:
        raise failure[0]
    return outcome[0]


def _wait_before_retry(error: BaseException, attempt: int) -> float | None:
    """Seconds to wait before another attempt; None when another would not help."""
    status = _status(error)
    if status not in _TRANSIENT if status is not None else not _is_retryable(error):
        return None
    wait = _retry_after(error)
    if wait is None:
        wait = FIRST_WAIT_SECONDS * 2 ** (attempt - 1)
    return wait if wait <= LONGEST_WAIT_SECONDS else None


def _is_retryable(error: BaseException) -> bool:
    return any(
        getattr(link, "is_retryable", False) is True or "connect" in type(link).__name__.lower()
        for link in _chain(error)
    )


def _chain(error: BaseException) -> Iterator[BaseException]:
    link: BaseException | None = error
    for _ in range(8):
        if link is None:
            return
        yield link
        link = link.__cause__ or link.__context__


def _status(error: BaseException) -> int | None:
    for link in _chain(error):
        for name in ("status_code", "code"):
            value = getattr(link, name, None)
            if isinstance(value, int) and 400 <= value < 600:
                return value
    return None


def _retry_after(error: BaseException) -> float | None:
    for link in _chain(error):
        headers = getattr(getattr(link, "response", None), "headers", None)
        value = headers.get("retry-after") if headers is not None else None
        if value is not None and re.fullmatch(r"\d+(?:\.\d+)?", str(value).strip()):
            return float(value)
    return None


def _first_line(error: BaseException) -> str:
    text = " ".join(str(error).split()) or type(error).__name__
    return text if len(text) <= _MESSAGE_CHARACTERS else text[:_MESSAGE_CHARACTERS] + "…"
