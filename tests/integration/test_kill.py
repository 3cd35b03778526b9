"""I9: an acknowledged write survives kill -9, a bad disk and a flipped bit. The full run: cem-rag bench durability."""

from __future__ import annotations

import json
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def run(program: str, *arguments: str) -> str:
    """Run a program in a process of its own: one that forks must not have pytest's threads."""
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program), *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.slow
def test_kills_flips_and_a_bad_disk_lose_nothing_acknowledged_and_nothing_silently(tmp_path: Path) -> None:
    counts = ["--kills", "12", "--flips", "24", "--faults", "12", "--seed", "20"]
    arguments = ["bench", "durability", *counts, "--json", "--scratch"]
    report = json.loads(run("from ui.cli import main; main()", *arguments, str(tmp_path)))
    metrics, details = report["metrics"], report["metrics"]["details"]
    assert (metrics["kills"], metrics["flips"], metrics["faults"]) == (12, 24, 12)
    assert metrics["acknowledged"] > 0
    assert metrics["lost"] == 0, details
    assert metrics["silent"] == 0, details["flips"]["silent"]
    assert metrics["unnamed"] == 0, details
    assert details["flips"]["unchecked"] == []
    assert details["faults"]["stuck"] == []
    assert sum(metrics["verdicts"].values()) == 24


def test_an_acknowledgement_before_its_write_is_found_out(tmp_path: Path) -> None:
    """The harness itself: a writer that lies is caught at the first kill between the lie and the commit."""
    program = """
        import random, sys
        from pathlib import Path
        from stores.durability import workload
        from stores.durability.intercept import Order, intercept
        from stores.durability.kills import Losses, make, verify
        from stores.durability.processes import live
        from stores.durability.record import Record

        path, record = Path(sys.argv[1]) / "memory", Record()
        make(path, record)

        def lie(tell):
            intercept(lambda step: Order.DIE if step == "log: sync" else Order.GO_ON)
            with workload.reopen(path) as memory:
                tell('? preference mood="a lie"')
                tell("+ preference mood")
                tell('? record told too early=[]')
                tell("+ record told too early")
                memory.remember(workload.Message("user", "x", "never", 1.0), turn_id="t", position=0)

        life = live(lie)
        assert life.killed, life
        record.take(life.lines)
        found = Losses()
        verify(path, "the lie", record, random.Random(0), found)
        assert found.total >= 2, found
        print(len(found.lost))
    """
    assert int(run(program, str(tmp_path))) >= 2
