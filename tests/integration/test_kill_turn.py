"""I9 for a whole turn: the graph is killed at random moments and asked again with the same turn id.

    python -m tests.integration.test_kill_turn --kills 100

A process talks over a real memory: one turn after the other, each told before it starts and when it has returned. It
is killed at a random moment, most often within one of the writes of a turn. Then nothing that had returned may be
missing or different, a second process asks the torn turn again under the same id, and both sides of every turn must be
stored exactly once.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import select
import signal
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from cem_rag_app.persona.rules import HardRules
from cem_rag_app.persona.scoring import character_similarity
from cem_rag_app.schema import Message
from cem_rag_app.settings import Settings
from graphs.persona.chat import PersonaChat
from graphs.persona.offline import OfflineVoice
from stores.memory import Memory, MemoryProfile
from tests.fakes.encoders import fake_encoders
from tests.fakes.histories import short_history

ROOT = Path(__file__).resolve().parents[2]
LONGEST_LIFE_SECONDS = 0.5
LONGEST_WRITE_SECONDS = 0.02
FIRST_TURN_SHARE = 0.1
AIMED_SHARE = 0.6
SAID = ("今天好累啊", "你家猫叫什么来着", "周末去哪吃", "晚安啦", "我对芒果过敏的", "你知道他们几点关门吗")


@dataclass
class Outcome:
    """What happened over all kills."""

    kills: int = 0
    returned: int = 0
    torn: int = 0
    """Kills that hit a turn between its beginning and its return."""
    torn_after: dict[str, int] = field(default_factory=dict)
    """What of the torn turns was stored at the moment of the kill."""
    lost: list[str] = field(default_factory=list)
    doubled: list[str] = field(default_factory=list)
    damaged: list[str] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        return not (self.lost or self.doubled or self.damaged)


def open_memory(path: Path) -> Memory:
    return Memory.open(path, encoders=fake_encoders, settings=Settings())


def chat_over(memory: Memory) -> PersonaChat:
    return PersonaChat(memory, OfflineVoice(memory), Settings(), similarity=character_similarity)


class Aimed(Memory):
    """A memory whose process is killed within one of its writes, or just after: they are a small part of a turn."""

    writes_left = -1
    delay = 0.0

    def _written(self) -> None:
        self.writes_left -= 1
        if self.writes_left == 0:
            threading.Timer(self.delay, os.kill, (os.getpid(), signal.SIGKILL)).start()

    def remember(self, message: Message, *, turn_id: str, position: int) -> Message:
        self._written()
        return super().remember(message, turn_id=turn_id, position=position)

    def save_record(self, turn_id: str, record: dict[str, Any]) -> None:
        self._written()
        super().save_record(turn_id, record)


def talk(path: Path, life: int, writes: int) -> None:
    """The process that is killed: turns without end, each told on stdout."""
    with Aimed.open(path, encoders=fake_encoders, settings=Settings()) as memory:
        assert isinstance(memory, Aimed)
        memory.writes_left = writes
        memory.delay = random.Random(life).uniform(0.0, LONGEST_WRITE_SECONDS)
        chat = chat_over(memory)
        for number in range(1_000_000):
            turn_id, said = f"{life}.{number}", SAID[number % len(SAID)]
            tell({"begins": turn_id, "said": said})
            turn = chat.reply(said, turn_id=turn_id)
            tell({"returned": turn_id, "bubbles": [bubble.text for bubble in turn.bubbles]})


def tell(what: dict[str, object]) -> None:
    os.write(1, (json.dumps(what) + "\n").encode())


def one_life(path: Path, life: int, chance: random.Random) -> list[dict[str, str]]:
    """Start a talker, kill it; returns what it told."""
    aimed = chance.random() < AIMED_SHARE
    writes = chance.randint(1, 12) if aimed else -1
    command = [sys.executable, "-m", "tests.integration.test_kill_turn", "--talk", str(path)]
    command += ["--life", str(life), "--writes", str(writes)]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, bufsize=0)
    assert process.stdout is not None
    assert process.stderr is not None
    # Most lives count from the end of a first turn, which is spent on imports; some are killed within it.
    warm = 1 if chance.random() < FIRST_TURN_SHARE else 2
    told, ended = b"", False
    while not ended and (aimed or told.count(b"\n") < warm):
        piece = process.stdout.read(1 << 16)
        told, ended = told + piece, not piece
    end = time.monotonic() + (0.0 if aimed else chance.uniform(0.0, LONGEST_LIFE_SECONDS))
    while (left := end - time.monotonic()) > 0:
        if select.select([process.stdout], [], [], left)[0]:
            told += process.stdout.read(1 << 16)
    process.send_signal(signal.SIGKILL)
    told += process.stdout.read()
    errors = process.stderr.read().decode()
    if process.wait() != -signal.SIGKILL:
        raise RuntimeError(f"the talker ended by itself: {errors}")
    process.stdout.close()
    process.stderr.close()
    return [json.loads(line) for line in told.decode().split("\n")[:-1]]


def stored(memory: Memory) -> dict[str, list[str]]:
    """Texts of the chat by turn, in the order of their ids."""
    turns: dict[str, list[str]] = {}
    for message in memory.recent(1_000_000):
        if message.source == "chat":
            turns.setdefault(message.source_id.rpartition(":")[0], []).append(message.text)
    return turns


def run_kills(kills: int, seed: int, folder: Path) -> Outcome:
    """Kill ``kills`` talkers over one memory."""
    path = folder / "memory"
    profile = MemoryProfile("chat", "fake", HardRules(persona="小满"))
    with Memory.create(path, profile, encoders=fake_encoders, settings=Settings()) as memory:
        memory.import_messages(short_history())
        memory.build()
    outcome, chance = Outcome(), random.Random(seed)
    expected: dict[str, list[str]] = {}
    for life in range(kills):
        began: dict[str, str] = {}
        for line in one_life(path, life, chance):
            if "begins" in line:
                began[line["begins"]] = line["said"]
            else:
                expected[line["returned"]] = [began.pop(line["returned"]), *line["bubbles"]]
                outcome.returned += 1
        outcome.kills += 1
        with open_memory(path) as memory:
            report = memory.check()
            outcome.damaged += [f"kill {life}: {found}" for found in report.findings if found.severity == "error"]
            held = stored(memory)
            compare(outcome, life, {turn: held.get(turn, []) for turn in expected}, expected)
            for turn_id, said in began.items():
                outcome.torn += 1
                part = held.get(turn_id, [])
                record = memory.record(turn_id)
                planned = 0 if record is None else len(record["reply"])
                stage = f"{len(part)} of {1 + planned} messages" if planned else f"{len(part)} messages, no record"
                outcome.torn_after[stage] = outcome.torn_after.get(stage, 0) + 1
                again = [said, *(bubble.text for bubble in chat_over(memory).reply(said, turn_id=turn_id).bubbles)]
                if part != again[: len(part)]:
                    outcome.lost.append(f"kill {life}: {turn_id}: {part} became {again}")
                expected[turn_id] = again
            compare(outcome, life, stored(memory), expected)
    return outcome


def compare(outcome: Outcome, life: int, held: dict[str, list[str]], expected: dict[str, list[str]]) -> None:
    for turn_id in held.keys() | expected.keys():
        have, want = held.get(turn_id, []), expected.get(turn_id, [])
        if have != want:
            where = outcome.doubled if len(have) > len(want) else outcome.lost
            where.append(f"kill {life}: {turn_id}: stored {have}, expected {want}")


def test_ten_kills_in_turns_lose_nothing_and_store_nothing_twice(tmp_path: Path) -> None:
    outcome = run_kills(10, 10, tmp_path)
    assert outcome.kills == 10
    assert outcome.torn > 0
    assert (outcome.lost, outcome.doubled, outcome.damaged) == ([], [], [])


def main() -> int:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--talk", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--life", type=int, default=0, help=argparse.SUPPRESS)
    parser.add_argument("--writes", type=int, default=-1, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.talk is not None:
        talk(arguments.talk, arguments.life, arguments.writes)
    with tempfile.TemporaryDirectory(prefix="cem-rag-kill-turn-") as folder:
        outcome = run_kills(arguments.kills, arguments.seed, Path(folder))
    sys.stdout.write(json.dumps(asdict(outcome), ensure_ascii=False) + "\n")
    return 0 if outcome.ok else 1


if __name__ == "__main__":
    sys.exit(main())
