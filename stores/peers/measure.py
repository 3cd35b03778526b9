"""Measures one build of one store: size, opening, time, recall, memory, and how often it syncs."""

from __future__ import annotations

import importlib
import os
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stores.peers.base import Build, Peer, Setting
from stores.peers.workload import SCOPES, Judge, Workload, digest

WARM = 30
"""Queries before the clock counts."""
SPEND_SECONDS = 25.0
"""A setting so slow that its first round took this long is timed once."""


@dataclass(frozen=True, slots=True)
class Timed:
    """One setting, timed."""

    p50_ms: float
    p95_ms: float
    cpu_ms: float
    """Mean processor time a query, all threads and servers: what other jobs on the machine hardly change."""
    answers: list[list[bytes]]
    """Digests of the texts, query by query."""


def measure_search(
    peer: Peer, folder: Path, build: Build, workload: Workload, *, k: int, rounds: int
) -> dict[str, Any]:
    """Open a store and search it with every setting.

    Returns:
        ``open_ms`` (opened and a first query answered), ``rss_mb`` (this process and the store's servers after all
        queries, before anything of the measuring is loaded), ``rss_library_mb`` (this process with the store's packages
        imported, before opening), ``curve`` and ``filters``: lists of settings, timed.
    """
    for module in peer.modules:
        importlib.import_module(module)
    library = resident_mb()
    started = time.perf_counter()
    peer.open(folder, build)
    peer.search(workload.queries[0], k, build.settings[0])
    opened = time.perf_counter() - started
    curve = [(setting, timed(peer, workload, setting, "all", k, rounds)) for setting in build.settings]
    filters = [
        (scope, mode, setting, timed(peer, workload, setting, scope, k, rounds))
        for scope in SCOPES[1:]
        for mode, setting in (("default", build.default_filter), ("tuned", build.tuned_filter))
    ]
    resident = resident_mb() + sum(resident_mb(server, shared=False) for server in peer.servers())
    peer.close()
    judge = Judge(Workload.open(workload.folder))
    return {
        "open_ms": round(opened * 1e3, 2),
        "rss_mb": round(resident, 1),
        "rss_library_mb": round(library, 1),
        "curve": [{"setting": dict(s), **_figures(t, judge.recall(t.answers, "all", k))} for s, t in curve],
        "filters": [
            {"scope": scope, "mode": mode, "setting": dict(s), **_figures(t, judge.recall(t.answers, scope, k))}
            for scope, mode, s, t in filters
        ],
    }


def timed(peer: Peer, workload: Workload, setting: Setting, scope: str, k: int, rounds: int) -> Timed:
    """Time every query alone, several rounds over; the round with the best median counts, answers are the first's."""
    for number in range(min(WARM, len(workload.queries))):
        peer.search(workload.queries[number], k, setting, workload.only(number, scope))
    best: list[float] = []
    cpu = float("inf")
    answers: list[list[bytes]] = []
    for turn in range(rounds):
        spent: list[float] = []
        busy = cpu_seconds(peer)
        for number, query in enumerate(workload.queries):
            only = workload.only(number, scope)
            started = time.perf_counter()
            texts = peer.search(query, k, setting, only)
            spent.append(time.perf_counter() - started)
            if turn == 0:
                answers.append([digest(text) for text in texts])
        cpu = min(cpu, (cpu_seconds(peer) - busy) / len(workload.queries))
        if not best or statistics.median(spent) < statistics.median(best):
            best = spent
        if sum(spent) > SPEND_SECONDS:
            break
    return Timed(statistics.median(best) * 1e3, percentile(best, 0.95) * 1e3, cpu * 1e3, answers)


def cpu_seconds(peer: Peer) -> float:
    """Processor time spent so far by this process and the store's servers."""
    ticks = 0
    for server in peer.servers():
        fields = Path(f"/proc/{server}/stat").read_text().rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])
    return time.process_time() + ticks / os.sysconf("SC_CLK_TCK")


def percentile(values: Sequence[float], share: float) -> float:
    """The value that a share of all does not exceed (nearest rank)."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def resident_mb(process: int | None = None, *, shared: bool = True) -> float:
    """Resident memory in MB (1e6 bytes); without ``shared``, pages shared with others count in part."""
    place = Path("/proc/self" if process is None else f"/proc/{process}")
    name = "Rss" if shared else "Pss"
    try:
        lines = (place / "smaps_rollup").read_text().splitlines()
    except (FileNotFoundError, ProcessLookupError):
        return 0.0
    return sum(int(line.split()[1]) for line in lines if line.startswith(f"{name}:")) * 1024 / 1e6


def _figures(timing: Timed, recall: float) -> dict[str, float]:
    return {
        "p50_ms": round(timing.p50_ms, 3),
        "p95_ms": round(timing.p95_ms, 3),
        "cpu_ms": round(timing.cpu_ms, 3),
        "recall": round(recall, 4),
    }
