"""The bundled history is what its README says."""

import json
from collections import Counter
from pathlib import Path

import pytest

from cem_rag_app.persona.exchanges import exchanges
from cem_rag_app.persona.history import HistoryReport, read_history
from cem_rag_app.persona.rules import HardRules, violations

EXAMPLES = Path(__file__).parents[3] / "examples"
RULES = HardRules(persona="林夏")


@pytest.fixture(scope="module")
def history():
    return list(read_history(EXAMPLES / "history.zh.jsonl", format="chat-jsonl", persona="林夏"))


def test_it_imports_whole_and_in_order(history):
    report = HistoryReport()
    assert (
        list(read_history(EXAMPLES / "history.zh.jsonl", format="chat-jsonl", persona="林夏", report=report)) == history
    )
    assert report.taken == len(history) == 1057
    assert report.persona_messages == 700
    assert not report.skipped
    assert not report.reordered
    assert Counter(message.speaker for message in history) == {"林夏": 700, "阿宁": 357}
    assert len({message.source_id for message in history}) == len(history)


def test_the_readme_tells_its_size():
    assert "1,057 messages in 112 sittings" in (EXAMPLES / "README.md").read_text(encoding="utf-8")


def test_no_message_and_no_burst_of_the_person_breaks_a_rule(history):
    for exchange in exchanges(history):
        burst = [message.text for message in exchange if message.role == "assistant"]
        assert not burst or violations(burst, RULES) == []
        assert len(burst) <= 4


def test_no_line_is_a_template(history):
    """Fillers aside, the person hardly ever says the same line twice."""
    said = Counter(message.text for message in history if message.role == "assistant" and len(message.text) > 4)
    assert sum(count - 1 for count in said.values()) <= 2


def test_the_questions_are_answered_where_they_say():
    lines = [json.loads(line) for line in (EXAMPLES / "history.zh.jsonl").read_text(encoding="utf-8").splitlines()]
    questions = [
        json.loads(line) for line in (EXAMPLES / "questions.zh.jsonl").read_text(encoding="utf-8").splitlines()
    ]
    assert len(questions) == len({question["id"] for question in questions}) == 30
    for question in questions:
        assert question["evidence"]
        for place in (*question["evidence"], *question["superseded"]):
            assert lines[place["line"] - 1]["text"] == place["text"]
        newest = max(place["line"] for place in question["evidence"])
        assert all(old["line"] < newest for old in question["superseded"])
