"""What models write around their JSON is forgiven; what is missing is not invented."""

from __future__ import annotations

import pytest
from langchain_core.messages import AIMessage

from graphs.persona.answers import content_of, read_answer, refusal_of
from graphs.persona.llm import Draft
from graphs.persona.voice import Critique, Plan


@pytest.mark.parametrize(
    "text",
    [
        '{"bubbles": ["好", "走"]}',
        '```json\n{"bubbles": ["好", "走"]}\n```',
        '好的，这是回复：{"bubbles": ["好", "走"]} 希望你喜欢{}',
        '{"thought": 1} {"bubbles": ["好", "走"], "extra": true}',
        '{"bubbles": "好\n走"}',
    ],
)
def test_an_answer_is_found_among_fences_and_talk(text: str) -> None:
    answer = read_answer(text, Draft)
    assert isinstance(answer, Draft)
    assert answer.bubbles == ("好", "走")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "no JSON object"),
        ("好的", "no JSON object"),
        ('{"bubbles": ["好", ', "broken JSON"),
        ('{"bubbles": []}', "bubbles: Tuple should have at least 1 item"),
        ('{"text": "好"}', "bubbles: Field required"),
        ("[1, 2]", "no JSON object"),
    ],
)
def test_an_answer_that_cannot_be_read_says_why(text: str, told: str) -> None:
    answer = read_answer(text, Draft)
    assert isinstance(answer, str)
    assert told in answer


def test_numbers_out_of_bounds_are_brought_back() -> None:
    plan = read_answer('{"intent": "x", "candidates": 99, "bubbles": 0}', Plan)
    assert isinstance(plan, Plan)
    assert (plan.candidates, plan.bubbles) == (16, 1)


@pytest.mark.parametrize(("fit", "read"), [(0.8, 0.8), (8, 0.8), (85, 0.85), (1, 1.0)])
def test_a_fit_out_of_ten_or_a_hundred_is_read_as_a_share(fit: float, read: float) -> None:
    critique = read_answer(f'{{"verdicts": [{{"index": 0, "fit": {fit}}}]}}', Critique)
    assert isinstance(critique, Critique)
    assert critique.fit(0) == pytest.approx(read)
    assert critique.fit(1) is None


def test_content_may_come_in_parts() -> None:
    assert content_of(AIMessage(content=["a", {"type": "text", "text": "b"}, {"type": "thinking"}])) == "ab"


def test_a_model_that_answers_by_a_tool_call_is_read_too() -> None:
    message = AIMessage(content="", tool_calls=[{"name": "Draft", "args": {"bubbles": ["好"]}, "id": "1"}])
    assert read_answer(content_of(message), Draft) == Draft(bubbles=("好",))


@pytest.mark.parametrize(
    ("content", "metadata", "reason"),
    [
        ("", {"finish_reason": "SAFETY"}, "SAFETY"),
        ("", {"prompt_feedback": {"block_reason": "PROHIBITED_CONTENT"}}, "prompt blocked: PROHIBITED_CONTENT"),
        ("", {"finish_reason": "STOP"}, ""),
        ("{}", {"finish_reason": "stop"}, ""),
        ("", {}, ""),
    ],
)
def test_a_refusal_is_told_from_an_empty_answer(content: str, metadata: dict[str, object], reason: str) -> None:
    assert refusal_of(AIMessage(content=content, response_metadata=metadata)) == reason
