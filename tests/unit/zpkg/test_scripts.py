"""The commands that train general dictionaries and measure storage."""

from __future__ import annotations

from pathlib import Path

from click.testing import CliRunner

from cem_rag_app.zpkg.dictionary import Dictionary
from scripts import measure_storage, train_general_dictionaries
from scripts.train_general_dictionaries import samples


def test_lines_are_joined_to_chunks_of_about_the_target() -> None:
    lines = ["aaaa", "bbbb", "cccc", "dddd", "eeee"]
    assert list(samples(lines, 8)) == [b"aaaa\nbbbb", b"cccc\ndddd", b"eeee"]


def test_lines_that_may_identify_somebody_stay_out() -> None:
    lines = ["我的电话是13800138000你记一下", "see https://example.org/x", "me@example.org", "@you"]
    lines += ["in 1969", "order 123456"]
    assert list(samples(lines, 1)) == [b"in 1969", b"order 123456"]


def test_the_same_files_train_the_same_dictionary(tmp_path: Path, texts: list[bytes]) -> None:
    source = tmp_path / "lines.txt"
    source.write_bytes(b"\n".join(texts))
    made = []
    for name in ("a.dict", "b.dict"):
        output = tmp_path / name
        command = [str(source), "--output", str(output), "--size", "4096", "--share", "20000"]
        result = CliRunner().invoke(train_general_dictionaries.main, command)
        assert result.exit_code == 0, result.output
        made.append(Dictionary(output.read_bytes()).digest)
        assert made[-1] in result.output
    assert made[0] == made[1]


def test_the_storage_table_has_a_row_for_each_choice(tmp_path: Path, texts: list[bytes]) -> None:
    source = tmp_path / "documents.txt"
    source.write_bytes(b"\n".join(texts))
    command = [str(source), "--level", "3", "--dictionary-size", "0", "--dictionary-size", "4096", "--first", "100"]
    result = CliRunner().invoke(measure_storage.main, command)
    assert result.exit_code == 0, result.output
    rows = [line.split("|")[1:4] for line in result.output.splitlines()[2:]]
    assert [[cell.strip() for cell in row] for row in rows] == [["3", "0", "100"], ["3", "4,096", "100"]]
