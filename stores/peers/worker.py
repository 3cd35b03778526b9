"""One measurement in a process of its own: ``python -m stores.peers.worker create|search|write ...``.

Each store is built, searched and written to in separate processes, so that neither its memory nor its threads nor a
crash reaches another's figures. The result is one JSON object on the last line of standard output.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from dataclasses import replace
from importlib import metadata
from pathlib import Path
from typing import Any

from stores.peers.base import Build, Peer, load_peer
from stores.peers.measure import measure_search
from stores.peers.workload import Workload

WRITES = 5
"""Acknowledged writes whose syncs are counted."""


def main() -> None:
    """Parse, measure, print."""
    parser = argparse.ArgumentParser(prog="stores.peers.worker")
    parser.add_argument("work", choices=("builds", "create", "search", "write"))
    parser.add_argument("peer")
    parser.add_argument("--build", default="")
    parser.add_argument("--workload", type=Path)
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--core", type=int, help="the only core this process and its children may use")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("-k", type=int, default=10)
    given = parser.parse_args()
    if given.core is not None:
        os.sched_setaffinity(0, {given.core})
    peer = load_peer(given.peer)
    works = {"builds": _builds, "create": _create, "search": _search, "write": _write}
    # A peer's libraries print what they like; the last line is ours.
    print("\n" + json.dumps(works[given.work](peer, given)), flush=True)  # noqa: T201
    os._exit(0)  # a peer's threads may never end


def _builds(peer: Peer, given: argparse.Namespace) -> dict[str, Any]:
    return {"builds": [build.label for build in peer.builds]}


def _create(peer: Peer, given: argparse.Namespace) -> dict[str, Any]:
    build = find_build(peer, given.build)
    workload = Workload.open(given.workload)
    rows = workload.rows()
    given.folder.mkdir(parents=True, exist_ok=True)
    started = time.perf_counter()
    peer.create(given.folder, build, rows, workload.vectors)
    return {
        "build_s": round(time.perf_counter() - started, 1),
        "bytes": peer.disk_bytes(given.folder),
        "text_bytes": sum(len(row.text.encode()) for row in rows),
        "rows": len(rows),
        "versions": {package: metadata.version(package) for package in peer.packages},
    }


def _search(peer: Peer, given: argparse.Namespace) -> dict[str, Any]:
    build = find_build(peer, given.build)
    workload = Workload.open(given.workload, with_vectors=False)
    found = measure_search(peer, given.folder, build, workload, k=given.k, rounds=given.rounds)
    return {**found, "queries": len(workload.queries), "load_average": round(os.getloadavg()[0], 2)}


def _write(peer: Peer, given: argparse.Namespace) -> dict[str, Any]:
    """Store five rows one by one between two marks that a tracer sees."""
    build = find_build(peer, given.build)
    workload = Workload.open(given.workload)
    rows = workload.rows()
    peer.open(given.folder, build)
    os.getpriority(os.PRIO_PROCESS, 0)
    for row in rows[:WRITES]:
        peer.add(replace(row, number=len(rows) + row.number), workload.vectors[row.number])
    os.getpriority(os.PRIO_PROCESS, 0)
    peer.close()
    return {"writes": WRITES}


def find_build(peer: Peer, label: str) -> Build:
    """The build of that label, the first one for an empty label."""
    return next(build for build in peer.builds if build.label == label or not label)


if __name__ == "__main__":
    main()
