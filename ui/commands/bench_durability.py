"""`bench durability`: kill -9 and flipped bits."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from ui.commands.common import json_option, note, print_report


@click.command("durability")
@click.option("--kills", default=1_000, show_default=True, type=click.IntRange(0), help="Writers killed.")
@click.option("--flips", default=1_000, show_default=True, type=click.IntRange(0), help="Bits flipped, one a copy.")
@click.option("--faults", default=100, show_default=True, type=click.IntRange(0), help="Steps with a bad disk.")
@click.option("--seed", default=0, show_default=True, help="The same seed chooses the same points and places.")
@click.option("--jobs", default=1, show_default=True, type=click.IntRange(1, 64), help="Processes at once.")
@click.option(
    "--scratch",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Folder for the memories that are killed.  [default: the system's folder for temporary files]",
)
@json_option
def durability(kills: int, flips: int, faults: int, seed: int, jobs: int, scratch: Path | None, as_json: bool) -> None:
    """Kill writers, flip bits, break the disk; say what was lost."""
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # processes that fork keep no pool of threads
    from stores.durability.bench import bench_durability

    say = note if sys.stderr.isatty() else lambda _: None
    report = bench_durability(kills=kills, flips=flips, faults=faults, seed=seed, jobs=jobs, folder=scratch, say=say)
    print_report(report, as_json=as_json, lines=lambda: _lines(report.metrics))


def _lines(metrics: dict[str, Any]) -> Iterator[str]:
    yield f"{metrics['kills']:,} writers killed, {metrics['acknowledged']:,} acknowledgements, {metrics['lost']} losses"
    yield f"{metrics['flips']:,} bits flipped, {metrics['silent']} of them silent"
    for verdict, count in sorted(metrics["verdicts"].items()):
        yield f"  {verdict:10}{count:8,}"
    yield f"{metrics['faults']:,} steps on a full or broken disk, {metrics['unnamed']} errors without a name of ours"
    details = metrics["details"]
    for part in ("kills", "faults"):
        for kind in ("lost", "unopened", "damaged", "unrecalled"):
            yield from details[part][kind]
    yield from details["flips"]["silent"]
    yield from details["flips"]["unnamed"]
    yield from details["faults"]["unnamed"]
