"""Reading what a model wrote: tolerant of fences, talk around the JSON and other small sins, never inventive."""

from __future__ import annotations

import json
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

Answer = TypeVar("Answer", bound=BaseModel)

_FINE_FINISHES = frozenset({"", "STOP", "END_TURN", "MAX_TOKENS", "LENGTH", "FINISH_REASON_UNSPECIFIED"})


def read_answer(text: str, schema: type[Answer]) -> Answer | str:
    """The first JSON object in a text that fits the schema.

    Args:
        text: A model's output: a bare object, one in a code fence, or one with talk around it.
        schema: What it must be.

    Returns:
        The answer, or in a few words why there is none.
    """
    decoder = json.JSONDecoder(strict=False)  # models put real line ends inside strings
    problem = "no JSON object in it"
    at = text.find("{")
    while at >= 0:
        try:
            value, end = decoder.raw_decode(text, at)
        except json.JSONDecodeError as error:
            problem = f"broken JSON: {error.msg}"
            at = text.find("{", at + 1)
            continue
        try:
            return schema.model_validate(value)
        except ValidationError as error:
            first = error.errors()[0]
            problem = f"{'.'.join(str(part) for part in first['loc'])}: {first['msg']}"
        at = text.find("{", end)
    return problem


def content_of(message: Any) -> str:
    """The text of a chat message: a string, a list of parts, or the arguments of the tool call it answered with."""
    content = getattr(message, "content", message)
    if not isinstance(content, str):
        content = "".join(part if isinstance(part, str) else part.get("text", "") for part in content)
    calls = getattr(message, "tool_calls", None)
    if not content.strip() and calls:
        return json.dumps(calls[0]["args"], ensure_ascii=False)
    return content


def refusal_of(message: Any) -> str:
    """Why the provider withheld an answer (SAFETY, RECITATION, a blocked prompt); empty when it did not."""
    metadata = getattr(message, "response_metadata", None) or {}
    feedback = metadata.get("prompt_feedback") or {}
    blocked = feedback.get("block_reason") if isinstance(feedback, dict) else None
    if blocked:
        return f"prompt blocked: {getattr(blocked, 'name', blocked)}"
    finish = str(getattr(metadata.get("finish_reason"), "name", metadata.get("finish_reason") or ""))
    return "" if finish.upper() in _FINE_FINISHES or content_of(message).strip() else finish
