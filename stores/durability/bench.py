"""``cem-rag bench durability``: kills and flips, in as many processes as asked for, and what they came to."""

from __future__ import annotations

import json
import os
import tempfile
import traceback
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from cem_rag_app.errors import StoreError
from cem_rag_app.evaluation.report import Report
from stores.durability.faults import FaultReport, run_faults
from stores.durability.flips import FlipReport, run_flips
from stores.durability.kills import KillReport, run_kills
from stores.durability.workload import warm_up

Say = Callable[[str], None]
_AnyReport = KillReport | FlipReport | FaultReport


def bench_durability(
    *,
    kills: int,
    flips: int,
    faults: int = 0,
    seed: int = 0,
    jobs: int = 1,
    folder: Path | None = None,
    say: Say = lambda _: None,
) -> Report:
    """Kill writers, flip bits, and let the disk be full or broken.

    Args:
        kills: writers killed.
        flips: bits flipped.
        faults: steps that fail for want of space or with an I/O error.
        seed: of everything chosen; the same seed chooses the same points and places.
        jobs: processes at once.
        folder: where the memories are made; None is the system's folder for temporary files.
        say: called with a line a death or flip.

    Returns:
        ``metrics``: ``kills``, ``lost`` (after kills and faults: acknowledged things gone, changed or invented,
        memories that do not open, are damaged or do not recall), ``flips``, ``silent`` (flips neither detected nor
        harmless), ``faults``, ``unnamed`` (errors that are not this project's) and ``details``.

    Raises:
        StoreError: a writer failed by itself, so that nothing was proved.
    """
    killed, flipped, failed = KillReport(), FlipReport(), FaultReport()
    with tempfile.TemporaryDirectory(prefix="cem-rag-durability-", dir=folder) as place:
        warm_up(Path(place))
        for part in _sharded(jobs, kills, seed, Path(place), run_kills, say):
            killed.add(KillReport(**part))
        for part in _sharded(jobs, flips, seed, Path(place), run_flips, say):
            flipped.add(FlipReport(**part))
        for part in _sharded(jobs, faults, seed, Path(place), run_faults, say):
            failed.add(FaultReport(**part))
    return Report(
        metrics={
            "kills": killed.kills,
            "lost": killed.total + failed.total,
            "flips": flipped.flips,
            "silent": len(flipped.silent),
            "faults": failed.faults,
            "unnamed": len(flipped.unnamed) + len(failed.unnamed),
            "acknowledged": killed.acknowledged,
            "verdicts": flipped.verdicts,
            "details": {"kills": asdict(killed), "flips": asdict(flipped), "faults": asdict(failed)},
        },
        settings={"kills": kills, "flips": flips, "faults": faults, "seed": seed, "jobs": jobs},
    )


def _sharded(
    jobs: int,
    count: int,
    seed: int,
    folder: Path,
    run: Callable[[int, int, Path, Say], _AnyReport],
    say: Say,
) -> list[dict[str, Any]]:
    """Share ``count`` among forked processes, each with a folder and a seed of its own; their reports as mappings.

    A shard is a process because it forks: threads and forks do not go together.
    """
    shares = [count // jobs + (number < count % jobs) for number in range(jobs)]
    started = []
    for number, share in enumerate(shares):
        if share:
            where = folder / f"{run.__name__}-{number}"
            where.mkdir()
            result = where.with_suffix(".json")
            child = os.fork()
            if child == 0:
                _shard(lambda s=share, n=number, w=where: run(s, seed * 1000 + n, w, say), result)  # type: ignore[misc]
            started.append((child, result))
    for child, _ in started:
        os.waitpid(child, 0)
    reports = []
    for _, result in started:
        if not result.exists():
            raise StoreError("A part of the measurement died.", remedy="Look at its last lines above.")
        report = json.loads(result.read_text(encoding="utf-8"))
        if "failed" in report:
            raise StoreError(report["failed"], remedy="Mend that first: nothing was proved.")
        reports.append(report)
    return reports


def _shard(run: Callable[[], _AnyReport], result: Path) -> None:
    """A shard's whole life; it ends here, whatever happens."""
    try:
        try:
            report = asdict(run())
        except StoreError as error:
            report = {"failed": str(error)}
        result.write_text(json.dumps(report, ensure_ascii=False), encoding="utf-8")
    except BaseException:  # noqa: BLE001 - told, and then this process has to end
        traceback.print_exc()
    finally:
        os._exit(0)
