"""Bad input as a user meets it: the real command, one plain line on stderr, exit code 1, and nothing half done."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.command_line import GOOD, SMALL, cem_rag, lines, refusal, texts

BAD_HISTORIES = {
    "empty": (b"", "the file is empty"),
    "blank lines": (b"\n\n   \n\n", "there is no row in it"),
    "wrong columns": (
        lines({"who": "小满", "what": "你好"}),
        "no column looks like the text. The file has: who, what. Name it with --text-column",
    ),
    "broken JSON on line 7,013 of 10,000": (
        b"".join(
            lines(GOOD) if number != 7013 else b'{"speaker": "\xe5\xb0\x8f' + b"\n" for number in range(1, 10_001)
        ),
        "history:7013: ",
    ),
    "a line of another encoding": (
        lines(GOOD) * 9 + '{"speaker":"A","text":"café à côté"}\n'.encode("latin-1"),
        ":10: ",
    ),
    "UTF-16 without its mark": (lines(GOOD).decode().encode("utf-16-le"), "history:1: the line holds a NUL byte"),
    "half a UTF-16 letter": ("\ufeff".encode("utf-16-le") + "{}\n".encode("utf-16-le") + b"\x7b", "history:2: "),
    "UTF-32": (lines(GOOD).decode().encode("utf-32"), "UTF-32, which is not supported"),
    "a NUL byte": (lines(GOOD) + lines(GOOD).replace("你".encode(), b"\0"), "history:2: the line holds a NUL byte"),
    "deep nesting": (lines(GOOD) + b'{"text":' + b"[" * 90_000 + b"\n", "history:2: the line is no JSON (nested too"),
    "nested texts": (lines(GOOD) + b'{"speaker":"x","text":' + b"[" * 600 + b"]" * 600 + b"}\n", "history:2: "),
    "a number without end": (
        lines(GOOD) + b'{"text":' + b"1" * 5000 + b"}\n",
        "history:2: the line is no JSON (a number",
    ),
    "a list": (b'[{"speaker": "x", "text": "y"}]\n', "history:1: the line holds a JSON list"),
    "no time": (lines({**GOOD, "time": 1e999}), "history:1: column 'time'"),
    "a message of 10 MB": (lines(GOOD, {**GOOD, "text": "x" * 10_000_000}), "history:2: the line is longer than"),
    "a line that grows beyond the limit in UTF-8": (
        '{{"speaker":"小满","text":"{}"}}\n'.format("你好" * 250_000).encode("gb18030"),
        "history:1: the line is longer than",
    ),
    "nobody of that name": (lines({"speaker": "阿宁", "text": "在吗"}) * 3, "Who speaks: 阿宁 (3). Name one of them"),
}


@pytest.mark.parametrize(("content", "said"), BAD_HISTORIES.values(), ids=BAD_HISTORIES)
def test_a_bad_history_is_named_and_leaves_no_trace(tmp_path: Path, content: bytes, said: str) -> None:
    (tmp_path / "history").write_bytes(content)
    made = tmp_path / "memory"
    done = cem_rag("import", tmp_path / "history", "--as", "chat-jsonl", "--persona", "小满", "--memory", made)
    line = refusal(done)
    assert said in line
    assert str(tmp_path / "history") in line
    assert not made.exists()


BAD_TABLES = {
    "an open quote": (b'speaker,text\nA,x\nA,"never closed\nB,x\n', ":3: the record is no CSV"),
    "too many values": (b"speaker,text\nA,x,y\n", ":2: the record has 3 values, the header 2 columns"),
    "no row": (b"speaker,text\n", "no row has both a speaker and a text"),
    "a header of one huge value": (b"speaker,text," + b"x" * 200_000 + b"\nA,x,y\n", ":1: the header is no CSV"),
}


@pytest.mark.parametrize(("content", "said"), BAD_TABLES.values(), ids=BAD_TABLES)
def test_a_bad_table_is_named_and_leaves_no_trace(tmp_path: Path, content: bytes, said: str) -> None:
    (tmp_path / "table.csv").write_bytes(content)
    made = tmp_path / "memory"
    done = cem_rag("import", tmp_path / "table.csv", "--as", "chat-csv", "--persona", "A", "--memory", made)
    assert said in refusal(done)
    assert not made.exists()


def test_half_a_character_in_a_document_is_found_before_anything_is_taken(tmp_path: Path) -> None:
    corpus = tmp_path / "corpus.jsonl"
    good = b"".join(lines({"_id": f"d{number}", "text": "The dome is closed."}) for number in range(600))
    for bad in (
        b'{"_id":"x","text":"\\ud83d"}',
        b'{"_id":"\\ud83d","text":"x"}',
        b'{"_id":"x","text":"x","n":"\\ud83d"}',
    ):
        corpus.write_bytes(good + bad + b"\n")
        done = cem_rag("import", corpus, "--as", "beir", "--memory", tmp_path / "memory")
        assert f"{corpus}:601: the line holds half of a character" in refusal(done)
        assert not (tmp_path / "memory").exists()


@pytest.mark.parametrize("form", ["chat-jsonl", "chat-csv", "beir"])
def test_a_line_of_100_megabytes_is_refused_without_being_read(tmp_path: Path, form: str) -> None:
    file = tmp_path / "corpus.jsonl"
    with file.open("wb") as out:
        out.write({"chat-jsonl": lines(GOOD), "chat-csv": b"speaker,text\n", "beir": b'{"_id":"a","text":"b"}\n'}[form])
        out.write(b'A,"' if form == "chat-csv" else b'{"speaker":"A","text":"')
        for _ in range(100):
            out.write(b"x" * 1_000_000)
        out.write(b'"\n')
    program = (
        "import resource, subprocess, sys\n"
        "code = subprocess.run([sys.executable, '-m', 'ui.cli', *sys.argv[1:]]).returncode\n"
        "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss // 1024)\n"
        "sys.exit(code)"
    )
    made = tmp_path / "memory"
    arguments = [
        "import",
        str(file),
        "--as",
        form,
        *([] if form == "beir" else ["--persona", "A"]),
        "--memory",
        str(made),
    ]
    done = subprocess.run(
        [sys.executable, "-c", program, *arguments], capture_output=True, text=True, timeout=120, check=False
    )
    assert f"{file}:2: the line is longer than 1,048,576 bytes" in refusal(done)
    assert int(done.stdout) < SMALL
    assert not made.exists()


@pytest.mark.parametrize("encoding", ["gb18030", "utf-16"])
def test_other_encodings_come_out_as_they_went_in(tmp_path: Path, encoding: str) -> None:
    said = ["刚到家", "累死了啦", "火锅！就去巷口那家"]
    rows = lines(*({"speaker": "小满", "text": text} for text in said)).decode()
    (tmp_path / "history").write_bytes(rows.encode(encoding))
    done = cem_rag(
        "import", tmp_path / "history", "--as", "chat-jsonl", "--persona", "小满", "--memory", tmp_path / "m"
    )
    assert done.returncode == 0, done.stderr
    assert texts(tmp_path / "m") == said


def test_a_file_glued_together_from_two_encodings_comes_out_right(tmp_path: Path) -> None:
    said = ["刚到家", "累死了啦", "火锅！就去巷口那家", "别迟到哦"]
    rows = [lines({"speaker": "小满", "text": text}).decode() for text in said]
    (tmp_path / "history").write_bytes("".join(rows[:2]).encode() + "".join(rows[2:]).encode("gb18030"))
    done = cem_rag(
        "import", tmp_path / "history", "--as", "chat-jsonl", "--persona", "小满", "--memory", tmp_path / "m"
    )
    assert done.returncode == 0, done.stderr
    assert texts(tmp_path / "m") == said


def test_a_folder_a_missing_and_an_unreadable_file_are_told_apart(tmp_path: Path) -> None:
    locked = tmp_path / "locked.jsonl"
    locked.write_bytes(lines(GOOD))
    locked.chmod(0)
    for file, said in (
        (tmp_path, "this is a folder"),
        (tmp_path / "gone.jsonl", "there is no such file"),
        (locked, "Permission denied"),
    ):
        arguments = ("import", file, "--as", "chat-jsonl", "--persona", "小满", "--memory", tmp_path / "memory")
        line = refusal(cem_rag(*arguments, as_user=True))
        assert f"{file}: " in line
        assert said in line
    assert not (tmp_path / "memory").exists()


def test_who_speaks_is_listed_when_no_persona_is_named(tmp_path: Path) -> None:
    (tmp_path / "history").write_bytes(lines(GOOD, GOOD, {"speaker": "阿宁", "text": "在吗"}))
    done = cem_rag("import", tmp_path / "history", "--as", "chat-jsonl", "--memory", tmp_path / "memory")
    assert "Messages by speaker: 小满 (2), 阿宁 (1). Name one with --persona." in refusal(done)
    assert not (tmp_path / "memory").exists()
