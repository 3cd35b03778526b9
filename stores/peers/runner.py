"""Runs every store in processes of its own and keeps what was found, so that one can be measured again alone."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cem_rag_app.errors import StoreError
from stores.peers.base import OURS
from stores.peers.preparing import small_workload
from stores.peers.workload import Workload

SMALL = 1_000
"""Rows of the store whose writes are traced."""
_SYNCS = ("fsync", "fdatasync", "sync_file_range", "msync", "syncfs", "sync")
_MARK = "getpriority"
_ONE_THREAD = {
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "RAYON_NUM_THREADS": "1",
    "TOKENIZERS_PARALLELISM": "0",
}
Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Runner:
    """Measures stores under one workspace: ``workload/``, ``stores/PEER/BUILD/``, ``results/PEER/BUILD.json``.

    Args:
        workspace: its files are kept between runs.
        workload: the load.
        python: an interpreter that has the peers' packages; our own row always runs in this one.
        rounds: of which the one with the best median counts.
        k: hits a query.
        say: told what is being done.
    """

    workspace: Path
    workload: Workload
    python: str = sys.executable
    rounds: int = 3
    k: int = 10
    say: Say = field(default=lambda _: None)

    def measure(self, peer: str, *, again: bool = False) -> list[dict[str, Any]]:
        """Measure every build of a peer; what is there already is read, and with ``again`` searched once more.

        Returns:
            One result a build; one that could not be measured has ``error`` instead of figures.
        """
        try:
            labels = self._run(peer, "builds")["builds"]
        except StoreError as error:
            return [{"peer": peer, "build": "", "error": str(error)}]
        return [self._build(peer, label, again=again) for label in labels]

    def _build(self, peer: str, label: str, *, again: bool) -> dict[str, Any]:
        slug = re.sub(r"[^A-Za-z0-9]+", "-", label)
        kept = self.workspace / "results" / peer / f"{slug}.json"
        found: dict[str, Any] = json.loads(kept.read_text()) if kept.exists() else {"peer": peer, "build": label}
        place = self.workspace / "stores" / peer / slug
        load = ("--workload", str(self.workload.folder), "--build", label, "--folder", str(place))
        try:
            if "bytes" not in found or not place.exists():
                self.say(f"{peer}, {label}: building")
                shutil.rmtree(place, ignore_errors=True)
                found = {"peer": peer, "build": label, **self._run(peer, "create", *load)}
                self._keep(kept, found)
            if again or "curve" not in found:
                self.say(f"{peer}, {label}: searching")
                core = str(max(os.sched_getaffinity(0)))
                search = ("--core", core, "--rounds", str(self.rounds), "-k", str(self.k))
                found |= self._run(peer, "search", *load, *search)
                self._keep(kept, found)
            if "syncs" not in found and shutil.which("strace"):
                self.say(f"{peer}, {label}: counting syncs")
                found["syncs"] = self.count_syncs(peer, label)
                self._keep(kept, found)
        except StoreError as error:
            found["error"] = str(error)
        return found

    def count_syncs(self, peer: str, label: str) -> dict[str, float]:
        """Syncs that the system sees while five rows are stored one by one, per row, and those of closing.

        Returns:
            ``per_write`` and ``at_close``.
        """
        small = small_workload(self.workload, self.workspace / "small", SMALL)
        with tempfile.TemporaryDirectory(dir=self.workspace) as folder:
            load = ("--workload", str(small.folder), "--build", label, "--folder", f"{folder}/store")
            self._run(peer, "create", *load)
            trace = Path(folder) / "trace"
            calls = ",".join((*_SYNCS, _MARK))
            writes = self._run(
                peer, "write", *load, before=("strace", "-f", "-qq", "-e", f"trace={calls}", "-o", str(trace))
            )["writes"]
            return sync_counts(trace.read_text(errors="replace"), writes)

    def _run(self, peer: str, *arguments: str, before: Sequence[str] = ()) -> dict[str, Any]:
        """Run the worker; its last line is its answer."""
        python = sys.executable if peer == OURS else self.python
        work, *rest = arguments
        command = [*before, python, "-m", "stores.peers.worker", work, peer, *rest]
        environment = {**os.environ, **(_ONE_THREAD if work != "create" else {}), "PYTHONPATH": str(_source())}
        done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment, errors="replace")
        lines = done.stdout.strip().splitlines()
        if done.returncode or not lines:
            last = (done.stderr.strip() or done.stdout.strip() or "it said nothing").splitlines()[-1]
            raise StoreError(f"{peer} failed at {work}: {last[:300]}")
        answer: dict[str, Any] = json.loads(lines[-1])
        return answer

    def _keep(self, path: Path, found: dict[str, Any]) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(found, ensure_ascii=False, indent=1))


def sync_counts(trace: str, writes: int) -> dict[str, float]:
    """Count the syncs in what strace wrote, between the two marks and after the second."""
    between = after = marks = 0
    for line in trace.splitlines():
        call = re.search(r"^\d*\s*(\w+)\(", line)
        if call is None:  # "resumed" lines: counted where the call began
            continue
        if call[1] == _MARK:
            marks += 1
        elif call[1] in _SYNCS:
            between += marks == 1
            after += marks > 1
    return {"per_write": between / writes, "at_close": float(after)}


def _source() -> Path:
    return Path(__file__).resolve().parents[2]
