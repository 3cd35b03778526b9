"""Collections are read as their publishers ship them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from cem_rag_app.errors import EmptyInputError, InputError, MalformedLineError
from cem_rag_app.evaluation.collections import load_collection

EXAMPLES = Path(__file__).resolve().parents[3] / "examples" / "documents"


def write(folder: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text.encode())
    return folder


CRANFIELD = {
    "cran.all.1400": ".I 1\r\n.T\r\nwings\r\n.A\r\nsomebody\r\n.W\r\nwings\r\n  lift .\r\n.I 2\r\n.T\r\n.W\r\n",
    "cran.qry": ".I 001\r\n.W\r\nwhat lifts .\r\n.I 004\r\n.W\r\nwhat\r\nburns .\r\n",
    "cranqrel": "1 1 1 \r\n1 2 -1\r\n2 2 4\r\n3 1 1\r\n",
}


def test_cranfield_queries_go_by_position_and_codes_become_gains(tmp_path: Path) -> None:
    collection = load_collection("cranfield", write(tmp_path, CRANFIELD))
    assert collection.corpus == {"1": "wings\nwings\nlift .", "2": ""}
    assert collection.queries == {"1": "what lifts .", "2": "what\nburns ."}
    assert collection.qrels == {"1": {"1": 4, "2": 0}, "2": {"2": 1}}


def test_the_folder_above_may_be_given(tmp_path: Path) -> None:
    write(tmp_path / "cranfield", CRANFIELD)
    assert len(load_collection("cranfield", tmp_path).queries) == 2


def test_an_unknown_relevance_code_names_its_line(tmp_path: Path) -> None:
    folder = write(tmp_path, CRANFIELD | {"cranqrel": "1 1 1\n1 2 7\n"})
    with pytest.raises(MalformedLineError, match="cranqrel:2: '7' is no relevance code"):
        load_collection("cranfield", folder)


def test_cisi_keeps_judged_queries(tmp_path: Path) -> None:
    files = {
        "CISI.ALL": ".I 1\n.T\nDewey\n.A\nC\n.W\n   A study.\n.X\n1 2\n",
        "CISI.QRY": ".I 1\n.W\nWhat of Dewey?\n.I 2\n.T\nTitle\n.A\nB\n.W\nUnjudged\n",
        "CISI.REL": "     1      1\t0\t0.000000\n",
    }
    collection = load_collection("cisi", write(tmp_path, files))
    assert collection.corpus == {"1": "Dewey\nA study."}
    assert collection.queries == {"1": "What of Dewey?"}
    assert collection.qrels == {"1": {"1": 1}}


def test_a_madial_query_is_the_eight_turns_before_the_test_turn(tmp_path: Path) -> None:
    turns = ["<BOD>\n", *[f'<Bart>:"第{number}句"\n' for number in range(1, 12)], "<EOD>\n"]
    dialogue = {"dialogue": turns, "test-turn": [10, 11], "relevant-id": [7], "id": 0}
    memory = {"7": {"event": "Bart跳舞"}}
    files = {
        "MADial-Bench-zh-dialogue.json": json.dumps(dialogue, ensure_ascii=False) + "\n",
        "MADial-Bench-zh-memory.json": json.dumps(memory, ensure_ascii=False) + "\n",
    }
    collection = load_collection("madial-zh", write(tmp_path, files))
    assert collection.corpus == {"7": "Bart跳舞"}
    assert collection.queries == {"0": "\n".join(f"Bart: 第{number}句" for number in range(2, 10))}
    assert collection.qrels == {"0": {"7": 1}}


def test_drcd_judges_the_paragraph_a_question_was_written_on(tmp_path: Path) -> None:
    paragraph = {"id": "1-1", "context": "梵語", "qas": [{"id": "1-1-1", "question": "何語？"}]}
    data = {"data": [{"paragraphs": [paragraph]}]}
    collection = load_collection("drcd", write(tmp_path, {"DRCD_dev.json": json.dumps(data)}))
    assert (collection.corpus, collection.queries) == ({"1-1": "梵語"}, {"1-1-1": "何語？"})
    assert collection.qrels == {"1-1-1": {"1-1": 1}}


def test_the_example_documents_are_a_beir_collection_whose_questions_all_have_an_answer() -> None:
    collection = load_collection(EXAMPLES)
    assert (len(collection.corpus), len(collection.queries)) == (29, 38)
    assert collection.qrels["q05"] == {"handbook-04": 2}
    assert collection.corpus["handbook-01"].startswith("Getting to Skarholm\nSkarholm Observatory stands")


BEIR = {
    "corpus.jsonl": '{"_id": "a", "title": "", "text": "x"}\n',
    "queries.jsonl": '{"_id": "q", "text": "x?"}\n',
    "qrels/test.tsv": "query-id\tcorpus-id\tscore\nq\ta\t1\n",
}


@pytest.mark.parametrize(
    ("file", "text", "told"),
    [
        ("corpus.jsonl", '{"_id": "a", "text": "x"}\n{"_id": ', "corpus.jsonl:2"),
        ("queries.jsonl", '\n{"text": "x?"}\n', "queries.jsonl:2: The line has no _id"),
        ("queries.jsonl", "[]\n", "queries.jsonl:1: The line is not a JSON object"),
        ("qrels/test.tsv", "q\ta\t1\nq a 1\n", "test.tsv:2: The line is no judgement"),
    ],
)
def test_a_broken_line_is_named(tmp_path: Path, file: str, text: str, told: str) -> None:
    with pytest.raises(MalformedLineError, match=told):
        load_collection(write(tmp_path, BEIR | {file: text}))


def test_judgements_of_unknown_documents_are_left_out_and_none_left_is_an_error(tmp_path: Path) -> None:
    folder = write(tmp_path, BEIR | {"qrels/test.tsv": "query-id\tcorpus-id\tscore\nq\tnobody\t1\n"})
    with pytest.raises(EmptyInputError, match="No query has a relevant document"):
        load_collection(folder)


def test_what_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no collection 'nothing'"):
        load_collection("nothing", tmp_path)
    with pytest.raises(InputError, match="--data DIR"):
        load_collection("cranfield")
    with pytest.raises(InputError, match=r"cran\.all\.1400: There is no such file"):
        load_collection("cranfield", tmp_path)
