"""The real command, run as a user runs it, and what it left behind."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from cem_rag_app.settings import Settings
from stores.memory import Memory
from tests.fakes.encoders import fake_encoders

Done = subprocess.CompletedProcess[str]
SMALL = 300
"""Megabytes of memory that refusing a file may take at most, interpreter and libraries included."""


def cem_rag(
    *arguments: str | Path,
    said: str = "",
    before: Callable[[], object] | None = None,
    as_user: bool = False,
    **environment: str,
) -> Done:
    """Run one command; ``as_user`` takes away root's right to read and write everything."""
    command = [sys.executable, "-m", "ui.cli", *map(str, arguments)]
    if as_user and os.geteuid() == 0:
        if shutil.which("setpriv") is None:
            pytest.skip("root may read everything, and setpriv is not here to change that")
        command = ["setpriv", "--bounding-set=-dac_override,-dac_read_search", "--", *command]
    return subprocess.run(
        command, capture_output=True, text=True, timeout=120, check=False, input=said, preexec_fn=before,
        env={**os.environ, "PYTHONUTF8": "1", **environment},
    )  # fmt: skip


def refusal(done: Done) -> str:
    """The one line of a refused command."""
    lines = [line for line in done.stderr.splitlines() if not line.startswith("New memory")]
    assert (done.returncode, len(lines)) == (1, 1), done.stderr
    assert lines[0].startswith("cem-rag: ")
    return lines[0]


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def texts(memory: Path) -> list[str]:
    with Memory.open(memory, encoders=fake_encoders, settings=Settings()) as opened:
        assert opened.check().ok
        return [message.text for message in opened.recent(100_000)]


def lines(*rows: dict[str, object]) -> bytes:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode()


GOOD = {"speaker": "小满", "text": "你好呀"}
