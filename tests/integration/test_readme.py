"""The READMEs are true: their commands run as written, their Python runs, their links lead somewhere."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
READMES = ("README.md", "README.zh.md")


def _blocks(name: str, language: str) -> list[str]:
    text = (ROOT / name).read_text(encoding="utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```", text, flags=re.MULTILINE | re.DOTALL)


def _run(arguments: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    run = subprocess.run(
        arguments,
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
        env={**os.environ, "PATH": path},
    )
    assert run.returncode == 0, f"{shlex.join(arguments)}\n{run.stdout}\n{run.stderr}"
    return run


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A folder that looks like a checkout to someone who types the README's commands in it."""
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    return tmp_path


def test_the_commands_of_the_english_readme_run_and_answer(checkout: Path) -> None:
    commands = [line for block in _blocks("README.md", "bash") for line in block.splitlines() if line.strip()]
    outputs = {command: _run(shlex.split(command), checkout).stdout for command in commands}
    recalled = next(out for command, out in outputs.items() if "preview" in command)
    answered = next(out for command, out in outputs.items() if " ask " in command)
    assert "莽莽" in recalled
    assert "[1]" in answered


def test_both_readmes_name_the_same_commands() -> None:
    english, chinese = ("\n".join(_blocks(name, "bash")) for name in READMES)
    assert english == chinese


def test_the_python_of_the_english_readme_runs(checkout: Path) -> None:
    for block in _blocks("README.md", "python"):
        _run([sys.executable, "-c", block], checkout)


PAGES = [*READMES, "CONTRIBUTING.md", *sorted(f"docs/{page.name}" for page in (ROOT / "docs").glob("*.md"))]


@pytest.mark.parametrize("name", PAGES)
def test_links_lead_to_files_that_exist(name: str) -> None:
    page = ROOT / name
    targets = re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8"))
    missing = [t for t in targets if "://" not in t and not (page.parent / t).exists()]
    assert missing == []
