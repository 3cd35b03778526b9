"""kill -9 at random moments against an outside record of what was acknowledged (I9).

    python -m tests.integration.killing --kills 100

A writer process remembers turns, imports messages and documents, builds and compacts, and reports every
acknowledgement through a pipe. It is killed at a random moment; then the memory must open, pass its check, hold every
acknowledged text letter by letter, and recall one of them. The next writer goes on with the same memory.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import re
import select
import shutil
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path

from cem_rag_app.errors import MemoryMissingError
from cem_rag_app.schema import MemoryItem, Message, Query
from cem_rag_app.settings import Settings
from stores.documents import read_items
from stores.memory import Memory, MemoryProfile
from tests.fakes.encoders import fake_encoders

LONGEST_LIFE_SECONDS = 1.5
KILLS_A_MEMORY = 10
WORDS = (*"火雨周影猫班铁生糕旅", "boundary", "layer", "pressure", "wing", "shock", "plate", "heat")


@dataclass
class Outcome:
    """What happened over all kills."""

    kills: int = 0
    acknowledged: int = 0
    lost: list[str] = field(default_factory=list)
    unopened: list[str] = field(default_factory=list)
    damaged: list[str] = field(default_factory=list)
    unrecalled: list[str] = field(default_factory=list)
    killed_while: dict[str, int] = field(default_factory=dict)

    @property
    def ok(self) -> bool:
        return not (self.lost or self.unopened or self.damaged or self.unrecalled)


def settings() -> Settings:
    """Small thresholds, so that short lives see training, repacking and several transactions."""
    return Settings(pack={"level": 3, "own_dictionary_from": 150, "dictionary_size": 8192, "chunk_target": 120})


def run_kills(kills: int, seed: int, folder: Path, say: Callable[[str], None] = lambda _: None) -> Outcome:
    """Kill a writer ``kills`` times; returns what was lost, which must be nothing."""
    outcome = Outcome()
    chance = random.Random(seed)
    acknowledged: dict[str, str] = {}
    path = folder
    for number in range(kills):
        if number % KILLS_A_MEMORY == 0:
            if path.exists():
                shutil.rmtree(path)
            path = folder / f"memory-{number // KILLS_A_MEMORY}"
            acknowledged = {}
        before = len(acknowledged)
        activity = _one_life(path, number, chance, acknowledged)
        outcome.acknowledged += len(acknowledged) - before
        outcome.kills += 1
        outcome.killed_while[activity] = outcome.killed_while.get(activity, 0) + 1
        _verify(path, number, chance, acknowledged, outcome)
        say(f"{outcome.kills}/{kills} killed while: {activity}; {len(acknowledged)} texts acknowledged")
    return outcome


def _one_life(path: Path, number: int, chance: random.Random, acknowledged: dict[str, str]) -> str:
    """Fork a writer, kill it, take in what it had acknowledged; returns what it was doing."""
    reader, writer = os.pipe()
    life = chance.uniform(0.0, LONGEST_LIFE_SECONDS)
    child = os.fork()
    if child == 0:
        os.close(reader)
        try:
            _write_until_killed(path, number, lambda line: os.write(writer, line.encode() + b"\n"))
        except BaseException as error:
            os.write(writer, f"!{error!r}\n".encode())
        os._exit(1)
    os.close(writer)
    received = bytearray()
    _read_until(reader, received, lambda: b"\n" in received, None)  # it has begun
    _read_until(reader, received, lambda: False, life)
    os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    _read_until(reader, received, lambda: False, None)
    os.close(reader)
    complete = received.decode().split("\n")[:-1]
    if not os.WIFSIGNALED(status):
        raise RuntimeError(f"the writer failed by itself: {complete[-1]}")
    activity = "start"
    for line in complete:
        if line.startswith("+"):
            key, _, text = line[1:].partition("=")
            acknowledged[key] = json.loads(text)
        else:
            activity = line
    return activity


def _read_until(descriptor: int, received: bytearray, done: Callable[[], bool], seconds: float | None) -> None:
    """Collect what arrives until ``done``, the end of the pipe, or the moment to kill."""
    import time

    end = None if seconds is None else time.monotonic() + seconds
    while not done():
        left = None if end is None else max(0.0, end - time.monotonic())
        ready, _, _ = select.select([descriptor], [], [], left)
        if not ready:
            return
        piece = os.read(descriptor, 1 << 16)
        if not piece:
            return
        received += piece


def _write_until_killed(path: Path, number: int, tell: Callable[[str], object]) -> None:
    """The writer's whole life: one activity after the other, each acknowledged thing told at once."""
    chance = random.Random(f"writer {number}")
    tell("create" if not path.exists() else "open")
    try:
        memory = Memory.open(path, encoders=fake_encoders, settings=settings())
    except MemoryMissingError:
        profile = MemoryProfile("chat", "fake", language="zh")
        memory = Memory.create(path, profile, encoders=fake_encoders, settings=settings())
    activities = [_remember, _import_messages, _import_items, _build, _compact]
    for step in range(1_000_000):
        activity = chance.choices(activities, weights=[4, 3, 2, 2, 1])[0]
        tell(activity.__name__.strip("_").replace("_", " "))
        activity(memory, f"{number}.{step}", chance, tell)


def _remember(memory: Memory, name: str, chance: random.Random, tell: Callable[[str], object]) -> None:
    for turn in range(5):
        for position, role in enumerate(("user", "assistant", "assistant")):
            text = _text(chance)
            message = Message(role, role, text, 1.7e9 + turn)
            stored = memory.remember(message, turn_id=f"{name}.{turn}", position=position)
            tell(f"+m{stored.message_id}={json.dumps(text)}")
        memory.recall(Query(text, k=2))


def _import_messages(memory: Memory, name: str, chance: random.Random, tell: Callable[[str], object]) -> None:
    history = [
        Message("user" if n % 3 == 0 else "assistant", "x", _text(chance), 1.6e9 + n, source=name, source_id=str(n))
        for n in range(chance.choice((30, 900)))
    ]
    told = 0

    def progress(_stage: str, done: int, _total: int) -> None:
        nonlocal told
        for message in history[told:done]:
            tell(f"+s{name}/{message.source_id}={json.dumps(message.text)}")
        told = done

    memory.import_messages(history, progress)


def _import_items(memory: Memory, name: str, chance: random.Random, tell: Callable[[str], object]) -> None:
    # A few ids come again with another content: replacing must never leave neither.
    items = [MemoryItem(f"{name}.{n}", " ".join(_text(chance) for _ in range(8))) for n in range(40)]
    memory.import_items(items)
    for item in items:
        tell(f"+d{item.mem_id}={json.dumps(item.text)}")


def _build(memory: Memory, _name: str, _chance: random.Random, _tell: Callable[[str], object]) -> None:
    memory.build()


def _compact(memory: Memory, _name: str, _chance: random.Random, _tell: Callable[[str], object]) -> None:
    memory.compact()


def _text(chance: random.Random) -> str:
    """Unlike every other text, sometimes with newlines in it."""
    return chance.choice((" ", "\n", "，")).join(
        [*chance.choices(WORDS, k=chance.randint(1, 9)), f"{chance.getrandbits(40):x}"]
    )


def _verify(path: Path, number: int, chance: random.Random, acknowledged: dict[str, str], outcome: Outcome) -> None:
    try:
        memory = Memory.open(path, encoders=fake_encoders, settings=settings())
    except Exception as error:  # whatever it is, it is what this looks for
        if acknowledged or not isinstance(error, MemoryMissingError):
            outcome.unopened.append(f"kill {number}: {error!r}")
        return
    with memory:
        report = memory.check()
        outcome.damaged += [f"kill {number}: {f.file}: {f.problem}" for f in report.findings if f.severity == "error"]
        held = dict(_everything(memory))
        for key, text in acknowledged.items():
            if held.get(key) != text:
                outcome.lost.append(f"kill {number}: {key}: {text!r} is now {held.get(key)!r}")
        if acknowledged:
            key = chance.choice(sorted(acknowledged))
            rare = re.split(r"\W", acknowledged[key])[-1]  # a word of no other text: it must be among the candidates
            found = memory.recall(Query(rare, k=128))
            texts = "\n".join(
                "\n".join(line.text for line in hit.segment.messages) if hit.segment else hit.text for hit in found
            )
            if rare not in texts:
                outcome.unrecalled.append(f"kill {number}: {key}: {acknowledged[key]!r}")


def _everything(memory: Memory) -> Iterator[tuple[str, str]]:
    """All texts by the keys the writer told them under."""
    for message in memory.recent(1_000_000):
        yield f"m{message.message_id}", message.text
        yield f"s{message.source}/{message.source_id}", message.text
    with memory.database.read() as connection:
        item_ids = list(connection.exec_driver_sql("SELECT item_id FROM items").scalars())
    for item in read_items(memory.database, memory.frames, item_ids, limit=1 << 20):
        yield f"d{item.mem_id}", item.text


def main() -> int:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="cem-rag-kill-") as folder:
        say = (lambda _: None) if arguments.json else (lambda line: print(line, flush=True))
        outcome = run_kills(arguments.kills, arguments.seed, Path(folder), say)
    print(json.dumps(asdict(outcome), ensure_ascii=False))
    return 0 if outcome.ok else 1


if __name__ == "__main__":
    sys.exit(main())
