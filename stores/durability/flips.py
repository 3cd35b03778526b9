"""Single bits flipped in every region of every file of a memory, and what becomes of each.

One memory holds something of everything. It is kept in two states: closed, and as kill -9 leaves it, with a write-ahead
log. For each flip a copy is damaged and looked at by a child that opens it, checks it, reads everything in it and asks
it questions. A flip is

========  ======================================================================================================
open      named when the memory is opened
use       named when something is read or asked
check     named by ``cem-rag check`` (the index mends itself: it is rebuilt, and a note says so)
harmless  everything is as it was: every text and column, the answer to a question about every text, and all of that
          again after another turn and a build
silent    none of these: the one verdict that must not occur
========  ======================================================================================================
"""

from __future__ import annotations

import json
import random
import shutil
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final, Literal

from cem_rag_app.errors import CemRagError, StoreError
from cem_rag_app.schema import Hit, Query
from stores.durability import workload
from stores.durability.processes import Tell, live
from stores.durability.regions import Region, regions
from stores.memory import Memory

Verdict = Literal["open", "use", "check", "harmless", "silent"]
CLOSED, KILLED = "closed", "killed"
NOW: Final = 1.8e9
_QUESTIONS: Final = 4
_TOGETHER: Final = 6
"""Texts a question speaks of, and hits of its answer; the scores of these depend on all candidates."""


@dataclass
class FlipReport:
    """What became of all flips."""

    flips: int = 0
    verdicts: dict[str, int] = field(default_factory=dict)
    by_region: dict[str, dict[str, int]] = field(default_factory=dict)
    silent: list[str] = field(default_factory=list)
    unnamed: list[str] = field(default_factory=list)
    """Named by an error that is not this project's: detected, but not told well."""
    unchecked: list[str] = field(default_factory=list)
    """Named in use, but not by ``check``."""
    served: int = 0
    """Of those found by ``check``: how many had changed an answer before it ran."""

    @property
    def ok(self) -> bool:
        """Whether every flip was detected or harmless, and told by an error of this project."""
        return not (self.silent or self.unnamed)

    def add(self, other: FlipReport) -> None:
        """Take in the flips of another shard."""
        self.flips += other.flips
        self.served += other.served
        self.verdicts = dict(Counter(self.verdicts) + Counter(other.verdicts))
        for region, counts in other.by_region.items():
            self.by_region[region] = dict(Counter(self.by_region.get(region, {})) + Counter(counts))
        for name in ("silent", "unnamed", "unchecked"):
            getattr(self, name).extend(getattr(other, name))


@dataclass(frozen=True, slots=True)
class Specimen:
    """The memory that is damaged, in both states, and what it answers when it is sound."""

    folder: Path
    held: dict[str, str]
    answers: list[str]
    """To questions about every text; the first few are asked of every copy."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What a child saw of a damaged copy."""

    opened: str = ""
    """The error of opening; empty when it opened."""
    used: str = ""
    """The error of reading or asking."""
    unnamed: bool = False
    """Whether one of the errors is not this project's."""
    found: tuple[str, ...] = ()
    """What ``check`` found."""
    changed: str = ""
    """Something that is not as it was."""

    def verdict(self) -> Verdict:
        """See the module docstring."""
        if self.opened:
            return "open"
        if self.used:
            return "use"
        if self.found:
            return "check"
        return "silent" if self.changed else "harmless"


def run_flips(flips: int, seed: int, folder: Path, say: Callable[[str], None] = lambda _: None) -> FlipReport:
    """Flip ``flips`` bits, one a copy; copies are made in ``folder``.

    Raises:
        StoreError: the sound memory did not answer twice alike, so that nothing would be proved.
    """
    specimen = make_specimen(folder)
    report = FlipReport()
    chance = random.Random(seed)
    for state, region, place in places(specimen, flips, chance):
        bit = chance.randrange(8)
        copy = folder / "copy"
        shutil.copytree(specimen.folder / state, copy)
        with (copy / region.file).open("r+b") as file:
            file.seek(place)
            byte = file.read(1)[0]
            file.seek(place)
            file.write(bytes([byte ^ 1 << bit]))
        seen = examine(copy, specimen)
        shutil.rmtree(copy)
        where = f"{region.file} ({state}), {region.name}, byte {place}, bit {bit}"
        _count(report, f"{region.file}: {region.name}", where, seen)
        say(f"{report.flips}/{flips} {where}: {seen.verdict()}")
    return report


def places(specimen: Specimen, count: int, chance: random.Random) -> list[tuple[str, Region, int]]:
    """Where to flip: half of the places go round all regions by name, the other half falls on any byte alike."""
    known: dict[tuple[str, str, str], list[Region]] = {}
    for state in (CLOSED, KILLED):
        for region in regions(specimen.folder / state):
            live_log = region.file.endswith(("-wal", "-shm"))
            if live_log == (state == KILLED):
                known.setdefault((state, region.file, region.name), []).append(region)
    names = sorted(known)
    sizes = [sum(len(region) for region in known[name]) for name in names]
    chance.shuffle(order := list(names))
    chosen = [order[number % len(order)] for number in range(count // 2)]
    chosen += chance.choices(names, weights=sizes, k=count - len(chosen))
    found = []
    for name in chosen:
        some = known[name]
        region = chance.choices(some, weights=[len(one) for one in some])[0]
        found.append((name[0], region, chance.randrange(region.start, region.end)))
    return found


def make_specimen(folder: Path) -> Specimen:
    """A memory with packs, fresh frames, deletions, marks, records and preferences, closed and as if killed.

    Raises:
        StoreError: it does not answer twice alike.
    """
    made = live(lambda tell: _make(folder, tell))
    if made.crashed:
        raise StoreError(f"The memory to be damaged could not be made: {made.crashed}", remedy="Mend that first.")
    held, answers = json.loads(made.lines[-1])
    specimen = Specimen(folder, held, answers)
    for state in (CLOSED, KILLED):
        copy = folder / "copy"
        shutil.copytree(folder / state, copy)
        seen = examine(copy, specimen)
        shutil.rmtree(copy)
        if seen != Seen():
            raise StoreError(f"The sound memory ({state}) is not as it was made: {seen}", remedy="Mend that first.")
    return specimen


def examine(copy: Path, specimen: Specimen) -> Seen:
    """Let a child look at a copy. A child that crashes has at least not stayed silent."""
    looked = live(lambda tell: tell(json.dumps(asdict(_look(copy, specimen)))))
    if looked.crashed or not looked.lines:
        return Seen(opened=looked.crashed or "killed", unnamed=True)
    seen: dict[str, Any] = json.loads(looked.lines[-1])
    return Seen(**{**seen, "found": tuple(seen["found"])})


def _make(folder: Path, tell: Tell) -> None:
    memory = workload.create(folder / CLOSED)
    writer = workload.Writer(memory, lambda _: None, random.Random(7))
    writer.import_messages("first", 90)
    writer.import_items("first")
    writer.add_compressed("frames")
    writer.turn("before")
    memory.build()
    writer.delete_items("second")
    for number in range(4):
        writer.turn(f"after.{number}")
    shutil.copytree(folder / CLOSED, folder / KILLED)
    held = dict(workload.held(memory))
    answers = [_answer(memory, question) for question in questions(held)]
    memory.close()
    tell(json.dumps([held, answers], ensure_ascii=False))


def questions(held: dict[str, str]) -> list[Query]:
    """Questions that between them speak of every text, so that every term, frame and vector counts in an answer."""
    keys = [key for key in sorted(held, key=lambda key: key[::-1]) if key.startswith(("message", "item"))]
    texts = [str(json.loads(held[key])[2 if key.startswith("message") else 0]) for key in keys]
    filters: list[dict[str, Any]] = [{}, {"kind": "document"}, {"label": "a"}, {}]
    groups = [" ".join(texts[start : start + _TOGETHER]) for start in range(0, len(texts), _TOGETHER)]
    return [Query(group, k=_TOGETHER, filters=filters[n % 4], now=NOW) for n, group in enumerate(groups)]


def _look(copy: Path, specimen: Specimen) -> Seen:
    try:
        memory = workload.reopen(copy)
    except CemRagError as error:
        return Seen(opened=str(error))
    except Exception as error:  # noqa: BLE001 - that is what is looked for
        return Seen(opened=repr(error), unnamed=True)
    found: tuple[str, ...] = ()
    unnamed = False
    try:
        found = tuple(f"{one.file}: {one.problem}" for one in memory.check().findings)
    except CemRagError as error:
        found = (str(error),)
    except Exception as error:  # noqa: BLE001
        found, unnamed = (repr(error),), True
    try:
        changed = _changed(memory, specimen, thorough=not found)
    except CemRagError as error:
        return Seen(used=str(error), found=found, unnamed=unnamed)
    except Exception as error:  # noqa: BLE001
        return Seen(used=repr(error), found=found, unnamed=True)
    return Seen(found=found, unnamed=unnamed, changed=changed)


def _changed(memory: Memory, specimen: Specimen, *, thorough: bool) -> str:
    """The first thing that is not as it was; empty when everything is."""
    different = _difference(dict(workload.held(memory)), specimen.held)
    if different:
        return different
    asked = questions(specimen.held)
    for number, question in enumerate(asked if thorough else asked[:_QUESTIONS]):
        if _answer(memory, question) != specimen.answers[number]:
            return f"the answer to {question.text[:40]!r}"
    if not thorough:
        return ""
    workload.Writer(memory, lambda _: None, random.Random(8)).turn("later")
    memory.build()
    later = dict(workload.held(memory))
    kept = {key: value for key, value in later.items() if "later" not in key and "later" not in value}
    expected = {key: value for key, value in specimen.held.items() if key != "preference mood"}
    different = _difference(kept, expected)
    if different:
        return f"after another turn {different}"
    problems = [f"{one.file}: {one.problem}" for one in memory.check().findings]
    if problems:
        raise StoreError(f"After another turn: {problems}", remedy="Restore the memory from a copy.")
    return ""


def _difference(found: dict[str, str], expected: dict[str, str]) -> str:
    for key in sorted(found.keys() | expected.keys()):
        if found.get(key) != expected.get(key):
            return f"{key}: {expected.get(key)!r:.80} is now {found.get(key)!r:.80}"
    return ""


def _answer(memory: Memory, question: Query) -> str:
    return json.dumps([_plain(hit) for hit in memory.recall(question)], ensure_ascii=False, default=str)


def _plain(hit: Hit) -> list[object]:
    scores = (hit.semantic_score, hit.lexical_score, hit.recency_score, hit.retrieval_score)
    lines = [] if hit.segment is None else [asdict(line) for line in hit.segment.messages]
    return [hit.chunk_id, hit.kind, hit.text, [round(score, 5) for score in scores], hit.item_id, hit.timestamp,
            hit.metadata, lines]  # fmt: skip


def _count(report: FlipReport, region: str, where: str, seen: Seen) -> None:
    verdict = seen.verdict()
    report.flips += 1
    report.verdicts[verdict] = report.verdicts.get(verdict, 0) + 1
    counts = report.by_region.setdefault(region, {})
    counts[verdict] = counts.get(verdict, 0) + 1
    report.served += verdict == "check" and bool(seen.changed)
    if verdict == "silent":
        report.silent.append(f"{where}: {seen.changed}")
    if seen.unnamed:
        report.unnamed.append(f"{where}: {seen.opened or seen.used or seen.found}")
    if verdict == "use" and not seen.found:
        report.unchecked.append(f"{where}: {seen.used}")
