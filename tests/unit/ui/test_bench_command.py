"""`bench encode` from the command line, with the encoder that needs no transformer."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from ui.cli import main

TEXTS = ("昨天晚上我们一起去吃了火锅，你说太辣了。", "今天天气真好，下午要不要出去走走？", "宝贝晚安，明天见。")


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    path = tmp_path / "corpus.jsonl"
    records = ({"_id": str(number), "title": "", "text": text} for number, text in enumerate(TEXTS))
    path.write_text("\n".join(json.dumps(record) for record in records), encoding="utf-8")
    return path


def test_every_figure_is_in_the_json_under_its_kept_name(corpus):
    answer = CliRunner().invoke(
        main, ["bench", "encode", "--corpus", str(corpus), "--rounds", "1", "--batch", "2", "--json"]
    )
    assert answer.exit_code == 0, answer.output
    report = json.loads(answer.stdout)
    metrics = report["metrics"]
    assert list(metrics) == [
        "chunks_per_second", "chunks_per_second_median", "speedup", "speedups",
        "threads", "by_length", "by_sequences", "by_batch",
    ]  # fmt: skip
    assert list(metrics["chunks_per_second"]) == ["cem-ngram", "cem-ngram-single", "teacher", "teacher-single"]
    assert metrics["speedup"] == metrics["speedups"]["cem-ngram"]
    assert report["settings"]["cem"]["checkpoint"] == "cem-mini-zh"
    assert report["settings"]["teacher"] == {"name": "embedded-zh", "chunks": 3}


def test_a_person_reads_a_table_and_the_brief_one_has_no_growth(corpus):
    whole = CliRunner().invoke(main, ["bench", "encode", "--corpus", str(corpus), "--rounds", "1"])
    assert "cem-ngram, reading" in whole.stdout
    assert "chunks a second, by sequences" in whole.stdout
    brief = CliRunner().invoke(main, ["bench", "encode", "--corpus", str(corpus), "--rounds", "1", "--brief"])
    assert [line.split()[0] for line in brief.stdout.splitlines()] == [
        "chunks", "cem-ngram", "cem-ngram-single", "teacher", "teacher-single", "cem-ngram",
    ]  # fmt: skip
    assert brief.stdout.splitlines()[-1].endswith("times the teacher")


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (["--device", "cuda:7"], "cuda:7"),
        (["--student", "cem-mini-en"], "--encoder minilm-en"),
        (["--student", "nowhere"], "nowhere"),
        (["--rounds", "0"], "rounds"),
        (["--batch", "0"], "batch"),
    ],
)
def test_what_cannot_be_measured_is_refused_by_name(corpus, options, complaint):
    answer = CliRunner().invoke(main, ["bench", "encode", "--corpus", str(corpus), *options])
    assert answer.exit_code != 0
    assert complaint in answer.stderr
