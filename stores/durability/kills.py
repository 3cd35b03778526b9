"""kill -9 at named points, against a record of what was acknowledged that lies outside the memory (I9).

Each life is a forked child that opens a memory and does one thing with it. The child is killed at a chosen point: a
named instant of :mod:`stores.points`, or a write, sync, rename or removal just before it happens, or half-way through
a write. Which points an activity passes, and how often, is counted first; each of them is then as likely as any other,
however seldom it is passed. One life in eight ends at a random moment instead. After each death another child opens the
memory, checks it, compares everything in it with the record, and recalls; the next life goes on with the same memory.
"""

from __future__ import annotations

import json
import random
import shutil
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from cem_rag_app.errors import CemRagError, MemoryMissingError, StoreError
from cem_rag_app.schema import Query
from stores.durability import workload
from stores.durability.intercept import Order, die, intercept
from stores.durability.processes import Tell, live
from stores.durability.record import Record
from stores.memory import Memory
from stores.points import listen

KILLS_A_MEMORY: Final = 12
RANDOM_SHARE: Final = 0.125
LONGEST_LIFE: Final = 0.6
"""Seconds until a random moment."""
TEAR_SHARE: Final = 0.5
_TRIES: Final = 3
"""How often an activity is repeated until its point is reached."""

CREATE, MIGRATE = "create", "migrate"
OLD_MEMORIES: Final = Path(__file__).resolve().parents[2] / "tests" / "golden" / "memories"
"""Kept memories of older releases."""


@dataclass
class Losses:
    """What should not be: empty when promises hold."""

    lost: list[str] = field(default_factory=list)
    """Acknowledged things that are gone or changed, and things that nobody wrote."""
    unopened: list[str] = field(default_factory=list)
    damaged: list[str] = field(default_factory=list)
    unrecalled: list[str] = field(default_factory=list)

    @property
    def total(self) -> int:
        """How many there are."""
        return len(self.lost) + len(self.unopened) + len(self.damaged) + len(self.unrecalled)

    def add_losses(self, other: Losses) -> None:
        """Take in those of another shard."""
        for name in ("lost", "unopened", "damaged", "unrecalled"):
            getattr(self, name).extend(getattr(other, name))


@dataclass
class KillReport(Losses):
    """What happened over all kills."""

    kills: int = 0
    acknowledged: int = 0
    unreached: int = 0
    """Lives that ended before their point came: not counted as kills."""
    killed_at: dict[str, int] = field(default_factory=dict)
    """``activity / point`` -> kills."""

    def add(self, other: KillReport) -> None:
        """Take in the kills of another shard."""
        self.add_losses(other)
        self.kills += other.kills
        self.acknowledged += other.acknowledged
        self.unreached += other.unreached
        self.killed_at = dict(Counter(self.killed_at) + Counter(other.killed_at))


@dataclass(frozen=True, slots=True)
class Target:
    """Where a life ends."""

    activity: str
    point: str
    """Empty for a random moment."""
    occurrence: int
    tear: bool
    """Half-way through the write, not before it."""


def run_kills(kills: int, seed: int, folder: Path, say: Callable[[str], None] = lambda _: None) -> KillReport:
    """Kill ``kills`` writers; memories are made in ``folder``.

    Migrations are killed where memories of older releases are at hand, which they are in a checkout.

    Raises:
        StoreError: a writer failed by itself, so that nothing was proved.
    """
    report = KillReport()
    chance = random.Random(seed)
    old = {path.name: _held_by(path, folder) for path in OLD_MEMORIES.glob("v*")}
    points = census(folder, seed, sorted(old))
    path, record = folder / "memory", Record()
    life = 0
    while report.kills < kills:
        if life % KILLS_A_MEMORY == 0:
            path, record = folder / f"memory-{life}", Record()
            make(path, record)
        target = _choose(points, chance)
        where, known = path, record
        if target.activity in (CREATE, MIGRATE):
            where, known = folder / f"another-{life}", Record()
        if target.activity == MIGRATE:
            version = chance.choice(sorted(old))
            shutil.copytree(OLD_MEMORIES / version, where)
            known.expect(old[version])
        _one_life(where, f"{seed}.{life}", target, known, chance, report)
        verify(where, f"kill {report.kills}, {target}", known, chance, report)
        if where != path or life % KILLS_A_MEMORY == KILLS_A_MEMORY - 1:
            shutil.rmtree(where, ignore_errors=True)
        life += 1
        say(f"{report.kills}/{kills} {target.activity}: {target.point or 'a random moment'}")
    return report


def census(folder: Path, seed: int, old: Sequence[str] = ()) -> dict[str, dict[str, int]]:
    """Which points each activity passes, and how often at most in two goes.

    Args:
        folder: for the memories it needs.
        seed: of what the writers write.
        old: names of memories of older releases.
    """
    path = folder / "census"
    make(path, Record())
    points: dict[str, dict[str, int]] = {}
    for activity in (CREATE, *([MIGRATE] if old else []), *workload.ACTIVITIES):
        where = folder / f"census-{activity}" if activity in (CREATE, MIGRATE) else path
        if activity == MIGRATE:
            shutil.copytree(OLD_MEMORIES / old[0], where)
        told = live(lambda tell, a=activity, w=where: _counted(w, a, seed, tell))  # type: ignore[misc]
        if told.crashed:
            raise StoreError(f"Counting the points of {activity!r} failed: {told.crashed}", remedy="Mend that first.")
        points[activity] = json.loads(next(line for line in told.lines if line.startswith("{")))
    for made in folder.glob("census*"):
        shutil.rmtree(made)
    return points


def _held_by(old: Path, folder: Path) -> dict[str, str]:
    """What a memory of an older release holds, looked at in a copy."""
    copy = folder / "old"
    shutil.copytree(old, copy)
    looked = live(lambda tell: tell(json.dumps(_look(copy, 0.5), ensure_ascii=False)))
    shutil.rmtree(copy)
    if looked.crashed:
        raise StoreError(f"{old} does not open: {looked.crashed}", remedy="Mend that first.")
    found: dict[str, str] = json.loads(looked.lines[-1])["held"]
    return found


def _counted(path: Path, activity: str, seed: int, tell: Tell) -> None:
    counts: Counter[str] = Counter()

    def observe(point: str) -> Order:
        counts[point] += 1
        return Order.GO_ON

    intercept(observe)
    listen(lambda point: counts.update([point]))
    most: Counter[str] = Counter()
    with _opened(path, activity) as memory:
        if activity in (CREATE, MIGRATE):
            most = counts.copy()
        else:
            for go in range(2):
                counts.clear()
                writer = workload.Writer(memory, tell, random.Random(seed + go))
                workload.ACTIVITIES[activity](writer, f"census {activity} {go}")
                most |= counts
    tell(json.dumps(most))


def make(path: Path, record: Record) -> None:
    """A memory with something of everything in it, made by a child that lives."""

    def work(tell: Tell) -> None:
        with workload.create(path) as memory:
            writer = workload.Writer(memory, lambda _: None, random.Random(str(path.name)))
            writer.import_items("first")
            writer.turn("first")
            memory.build()
            tell(json.dumps(dict(workload.held(memory)), ensure_ascii=False))

    made = live(work)
    if made.crashed:
        raise StoreError(f"The memory to be killed could not be made: {made.crashed}", remedy="Mend that first.")
    record.expect(json.loads(made.lines[-1]))


def _choose(points: dict[str, dict[str, int]], chance: random.Random) -> Target:
    activity = chance.choice(sorted(points))
    if chance.random() < RANDOM_SHARE:
        return Target(activity, "", 0, tear=False)
    point = chance.choice(sorted(points[activity]))
    occurrence = chance.randint(1, points[activity][point])
    return Target(activity, point, occurrence, tear=point.endswith("write") and chance.random() < TEAR_SHARE)


def _one_life(path: Path, name: str, target: Target, record: Record, chance: random.Random, report: KillReport) -> None:
    """Let a writer live and die; its acknowledgements go into the record."""
    moment = None if target.point else chance.uniform(0.0, LONGEST_LIFE)
    ended = live(lambda tell: _write(path, name, target, tell), kill_after=moment)
    if ended.crashed:
        raise StoreError(f"The writer of {target} failed by itself: {ended.crashed}", remedy="Mend that first.")
    before = record.acknowledged
    record.take(ended.lines)
    report.acknowledged += record.acknowledged - before
    if not ended.killed:
        report.unreached += 1
        return
    report.kills += 1
    where = f"{target.activity} / {target.point or 'random moment'}{', half of it' if target.tear else ''}"
    report.killed_at[where] = report.killed_at.get(where, 0) + 1


def _write(path: Path, name: str, target: Target, tell: Tell) -> None:
    """A writer's whole life."""
    left = target.occurrence
    armed = target.activity in (CREATE, MIGRATE)

    def observe(point: str) -> Order:
        nonlocal left
        if armed and point == target.point:
            left -= 1
            if left == 0:
                return Order.TEAR if target.tear else Order.DIE
        return Order.GO_ON

    def passed(point: str) -> None:
        if observe(point) is not Order.GO_ON:
            die()

    intercept(observe)
    listen(passed)
    tell("begins")
    with _opened(path, target.activity) as memory:
        armed = True
        writer = workload.Writer(memory, tell, random.Random(name))
        for go in range(0 if target.activity in (CREATE, MIGRATE) else _TRIES):
            workload.ACTIVITIES[target.activity](writer, f"{name}.{go}")


def _opened(path: Path, activity: str) -> Memory:
    return workload.create(path) if activity == CREATE else workload.reopen(path)


def verify(path: Path, life: str, record: Record, chance: random.Random, report: Losses) -> None:
    """Look at a memory in a process of its own."""
    looked = live(lambda tell: tell(json.dumps(_look(path, chance.random()), ensure_ascii=False)))
    if looked.crashed:
        report.unopened.append(f"{life}: {looked.crashed}")
        return
    found = json.loads(looked.lines[-1])
    if "missing" in found:
        report.lost += [f"{life}: {wrong}" for wrong in record.compare({})]
        return
    report.damaged += [f"{life}: {problem}" for problem in found["damaged"]]
    report.unrecalled += [f"{life}: {problem}" for problem in found["unrecalled"]]
    if not record.knows("profile"):  # of a memory that was killed while it was made
        record.expect({"profile": found["held"]["profile"]})
    report.lost += [f"{life}: {wrong}" for wrong in record.compare(found["held"])]


def _look(path: Path, share: float) -> dict[str, object]:
    """Open, check, read everything, and recall one thing; ``share`` chooses which."""
    try:
        memory = workload.reopen(path)
    except MemoryMissingError:
        return {"missing": True}
    with memory:
        checked = memory.check()
        damaged = [f"{one.file}: {one.problem}" for one in checked.findings if one.severity == "error"]
        everything = dict(workload.held(memory))
        return {
            "held": everything,
            "damaged": damaged,
            "unrecalled": _unrecalled(memory, everything, checked.chunks, share),
        }


def _unrecalled(memory: Memory, everything: dict[str, str], chunks: int, share: float) -> list[str]:
    keys = sorted(key for key in everything if key.startswith(("message", "item")))
    if not keys:
        return []
    key = keys[int(share * len(keys))]
    text = str(json.loads(everything[key])[2 if key.startswith("message") else 0])
    try:
        found = memory.recall(Query(text, k=128))
    except CemRagError as error:
        return [f"{key}: {error}"]
    told = {line.text for hit in found for line in (hit.segment.messages if hit.segment else ())}
    items = {f"item {hit.item_id}" for hit in found if hit.kind == "document"}
    wrong = [] if text in told or key in items else [f"{key}: {text!r} is not recalled"]
    if len(memory.index) != chunks:
        wrong.append(f"the index holds {len(memory.index)} of {chunks} chunks")
    return wrong
