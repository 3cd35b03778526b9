"""QMSum's meetings as one document each, asked for by their summaries or by questions."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from cem_rag_app.errors import InputError, MalformedLineError
from cem_rag_app.evaluation.longembed.qmsum import load_qmsum


def meeting(topic: str) -> dict[str, object]:
    return {
        "meeting_transcripts": [
            {"speaker": "Grad A", "content": f"So {{disfmarker}} the {topic} , it 's late ."},
            {"speaker": "Grad B", "content": "Yes <vocalsound> ."},
        ],
        "general_query_list": [{"query": "Summarize the whole meeting.", "answer": f"They met about the {topic} ."}],
        "specific_query_list": [
            {"query": f"Who spoke of the {topic}?", "answer": f"Grad A spoke of the {topic} ."},
            {"query": "What was late?", "answer": f"The {topic} was late."},
        ],
    }


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "val.jsonl").write_text(json.dumps(meeting("budget")) + "\n\n" + json.dumps(meeting("robot")) + "\n")
    (tmp_path / "test.jsonl").write_text(json.dumps(meeting("sheep")) + "\n")
    return tmp_path


def test_a_meeting_is_its_turns_with_their_speakers_without_marks(folder: Path) -> None:
    corpus = load_qmsum(folder).corpus
    assert list(corpus) == ["val-01", "val-03", "test-01"]
    assert corpus["test-01"] == "Grad A: So the sheep, it 's late.\nGrad B: Yes."


def test_every_summary_asks_for_its_meeting(folder: Path) -> None:
    collection = load_qmsum(folder)
    assert collection.name == "qmsum"
    assert len(collection.queries) == 9
    asked = {text: collection.qrels[query] for query, text in collection.queries.items()}
    assert asked["Grad A spoke of the robot."] == {"val-03": 1}
    assert asked["They met about the sheep."] == {"test-01": 1}


def test_equal_questions_are_one_query_and_a_general_one_asks_for_nothing(folder: Path) -> None:
    collection = load_qmsum(folder, ask="query")
    asked = {text: collection.qrels[query] for query, text in collection.queries.items()}
    assert asked == {
        "Who spoke of the budget?": {"val-01": 1},
        "What was late?": {"val-01": 1, "val-03": 1, "test-01": 1},
        "Who spoke of the robot?": {"val-03": 1},
        "Who spoke of the sheep?": {"test-01": 1},
    }


def test_a_missing_file_and_a_line_that_is_no_meeting_are_named(folder: Path) -> None:
    (folder / "test.jsonl").write_text('{"meeting_transcripts": [{"speaker": "A"}]}\n')
    with pytest.raises(MalformedLineError, match=r"test\.jsonl:1: The line is no meeting"):
        load_qmsum(folder)
    (folder / "test.jsonl").unlink()
    with pytest.raises(InputError, match=r"test\.jsonl: There is no such file.* --data DIR"):
        load_qmsum(folder)
