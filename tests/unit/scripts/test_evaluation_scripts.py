"""The scripts of the evaluation: thin doors to what is tested elsewhere."""

from __future__ import annotations

import runpy
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from cem_rag_app.evaluation.static import StaticEncoder
from scripts import make_static
from tests.unit.evaluation.encoders import Letters


def test_a_table_is_made_from_the_lines_of_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = {}

    def teacher(name: str, **options: object) -> Letters:
        asked[name] = options
        return Letters()

    monkeypatch.setattr(make_static, "load_teacher", teacher)
    texts = tmp_path / "texts.txt"
    texts.write_text("the wind\n" * 6 + "the sheep\n" * 6 + "the dome\n" * 6)
    options = [str(texts), "--output", str(tmp_path / "table"), "--limit", "12", "--words", "2"]
    done = CliRunner().invoke(make_static.main, options)
    assert done.exit_code == 0, done.output
    # The dome stands beyond the twelfth line; of the others two words are kept, the most common first.
    assert StaticEncoder.load(tmp_path / "table").words == ("the", "sheep")
    assert asked == {"minilm-en": {"device": "cpu", "batch_size": 256}}


def test_the_script_of_longembed_is_the_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["--model", "random", "--tasks", "passkey", "--lengths", "64", "--output-dir", str(tmp_path)]
    monkeypatch.setattr(sys, "argv", ["longembed_eval.py", *options])
    with pytest.raises(SystemExit) as ended:
        runpy.run_module("scripts.longembed_eval", run_name="__main__")
    assert ended.value.code in {0, None}
    assert "passkey" in capsys.readouterr().out
    assert (tmp_path / "passkey" / "64.json").is_file()
