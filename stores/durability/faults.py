"""A disk that is full or broken, at every kind of step of every activity: once, or from then on.

Each case is a child that does one thing with a copy of a sound memory while a write, sync, rename or removal fails. It
must get an error of this project or none; where the disk recovers, it must be able to go on; and afterwards, on a sound
disk, the memory must hold everything acknowledged before and during the trouble, and pass its check.
"""

from __future__ import annotations

import random
import shutil
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from cem_rag_app.errors import CemRagError
from stores.durability import workload
from stores.durability.intercept import Order, intercept
from stores.durability.kills import CREATE, Losses, census, make, verify
from stores.durability.processes import Tell, live
from stores.durability.record import Record

_LEFT_OUT: Final = (CREATE, "build beside turns")
"""There is nothing yet to be lost; two writers, of whom one is a thread of the other."""
_ORDERS: Final = (Order.NO_SPACE, Order.BROKEN)


@dataclass
class FaultReport(Losses):
    """What happened over all faults."""

    faults: int = 0
    outcomes: dict[str, int] = field(default_factory=dict)
    """Name of the error that the caller got, or ``none``, -> cases."""
    unnamed: list[str] = field(default_factory=list)
    """Errors that are not this project's."""
    stuck: list[str] = field(default_factory=list)
    """Memories that could not go on in the same process when the disk was sound again."""

    def add(self, other: FaultReport) -> None:
        """Take in the faults of another shard."""
        self.add_losses(other)
        self.faults += other.faults
        self.outcomes = dict(Counter(self.outcomes) + Counter(other.outcomes))
        self.unnamed.extend(other.unnamed)
        self.stuck.extend(other.stuck)


@dataclass(frozen=True, slots=True)
class Fault:
    """What fails, when, and for how long."""

    activity: str
    step: str
    occurrence: int
    order: Order
    lasting: bool


def run_faults(faults: int, seed: int, folder: Path, say: Callable[[str], None] = lambda _: None) -> FaultReport:
    """Let ``faults`` steps fail, one a memory; memories are made in ``folder``.

    Raises:
        StoreError: an activity failed on a sound disk, so that nothing would be proved.
    """
    report = FaultReport()
    chance = random.Random(seed)
    points = census(folder, seed)
    steps = [
        (activity, step, most)
        for activity, passed in sorted(points.items())
        for step, most in sorted(passed.items())
        if step.endswith((": write", ": sync", ": rename", ": remove", ": truncate")) and activity not in _LEFT_OUT
    ]
    sound, copy, start = folder / "sound", folder / "copy", Record()
    make(sound, start)
    for number in range(faults):
        activity, step, most = chance.choice(steps)
        fault = Fault(activity, step, chance.randint(1, most), chance.choice(_ORDERS), chance.random() < 0.5)
        shutil.copytree(sound, copy)
        record = start.copy()
        suffered = live(lambda tell, f=fault, n=number: _suffer(copy, f"{seed}.{n}", f, tell))  # type: ignore[misc]
        report.faults += 1
        _take(suffered.lines, suffered.crashed, fault, record, report)
        verify(copy, f"fault {number}, {fault}", record, chance, report)
        shutil.rmtree(copy)
        say(f"{report.faults}/{faults} {fault}")
    return report


def _take(lines: tuple[str, ...], crashed: str, fault: Fault, record: Record, report: FaultReport) -> None:
    record.take(line for line in lines if not line.startswith(("error ", "stuck ")))
    errors = [line.split(" ", 2) for line in lines if line.startswith("error ")]
    name = errors[0][1] if errors else "none"
    report.outcomes[name] = report.outcomes.get(name, 0) + 1
    report.stuck += [f"{fault}: {line}" for line in lines if line.startswith("stuck ")]
    if crashed:
        report.unnamed.append(f"{fault}: {crashed}")


def _suffer(path: Path, name: str, fault: Fault, tell: Tell) -> None:
    """What the child does: an error that is not this project's ends it, and is told by that."""
    seen = 0
    broken = False

    def observe(step: str) -> Order:
        nonlocal seen
        if not broken or step != fault.step:
            return Order.GO_ON
        seen += 1
        hit = seen >= fault.occurrence if fault.lasting else seen == fault.occurrence
        return fault.order if hit else Order.GO_ON

    intercept(observe)
    with workload.reopen(path) as memory:
        writer = workload.Writer(memory, tell, random.Random(name))
        broken = True
        try:
            workload.ACTIVITIES[fault.activity](writer, name)
        except CemRagError as error:
            tell(f"error {type(error).__name__} {error}".replace("\n", " "))
        broken = False
        try:
            writer.turn(f"{name} afterwards")
        except CemRagError as error:
            tell(f"stuck {error}".replace("\n", " "))
