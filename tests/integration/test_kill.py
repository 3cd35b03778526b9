"""I9: an acknowledged write survives kill -9 at any moment. The full run: python -m tests.integration.killing."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_nothing_acknowledged_is_lost_in_twenty_kills() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.integration.killing", "--kills", "20", "--seed", "20", "--json"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    outcome = json.loads(done.stdout.splitlines()[-1])
    assert outcome["kills"] == 20
    assert outcome["acknowledged"] > 0
    assert (outcome["lost"], outcome["unopened"], outcome["damaged"], outcome["unrecalled"]) == ([], [], [], [])
    assert done.returncode == 0, done.stderr
