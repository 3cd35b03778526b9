"""Document files: read whole or refused with the line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from cem_rag_app.corpora.beir import read_documents
from cem_rag_app.errors import EmptyInputError, InputError, MalformedLineError


def corpus(folder: Path, *lines: object) -> Path:
    file = folder / "corpus.jsonl"
    written = [line if isinstance(line, str) else json.dumps(line, ensure_ascii=False) for line in lines]
    file.write_text("\n".join(written) + "\n", encoding="utf-8")
    return file


def test_a_title_is_the_first_line_and_other_keys_are_metadata(tmp_path: Path) -> None:
    file = corpus(tmp_path, {"_id": 7, "title": "Dome", "text": "It turns.", "year": 1961}, {"_id": "b", "text": "雨"})
    first, second = read_documents(file)
    assert (first.mem_id, first.text, first.meta) == ("7", "Dome\nIt turns.", {"year": 1961, "title": "Dome"})
    assert (second.mem_id, second.text, second.meta) == ("b", "雨", {})
    assert list(read_documents(tmp_path)) == [first, second]


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ('{"_id": "b", "text": ', "corpus.jsonl:2"),
        ({"_id": "b"}, "corpus.jsonl:2: the line has no id or no text"),
        ({"text": "b"}, "corpus.jsonl:2: the line has no id or no text"),
        ({"_id": "a", "text": "again"}, "corpus.jsonl:2: the id 'a' stands in the file twice"),
    ],
)
def test_a_line_that_cannot_be_taken_is_named_before_anything_is_given(tmp_path: Path, line: object, told: str) -> None:
    with pytest.raises(MalformedLineError, match=told):
        read_documents(corpus(tmp_path, {"_id": "a", "text": "x"}, line))


def test_an_empty_and_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(EmptyInputError):
        read_documents(corpus(tmp_path))
    with pytest.raises(InputError, match="no such file"):
        read_documents(tmp_path / "nothing.jsonl")
