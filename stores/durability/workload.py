"""What a writer does until it is killed, and what a memory is asked for afterwards.

A writer tells each thing it begins and each that has been acknowledged; a thing is named by a key and has a value,
both text: every column that a caller gave, not the words alone.

====================  ==============================================================
``? key=value``       a write of this value has begun
``+ key``             it has been acknowledged
``- key``             a removal has begun
``_ key``             it has been acknowledged
====================  ==============================================================
"""

from __future__ import annotations

import json
import random
import shutil
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from cem_rag_app.persona.rules import HardRules
from cem_rag_app.schema import MemoryItem, Message, Query, Role
from cem_rag_app.settings import Settings
from cem_rag_app.zpkg.compress import Compressor
from cem_rag_app.zpkg.dictionary import Dictionary
from stores.catalog.identifiers import unpacked
from stores.documents import read_items
from stores.durability.encoder import NAME, hashed_encoders
from stores.durability.processes import Tell
from stores.memory import Memory, MemoryProfile, Selection

WORDS = (*"火雨周影猫班铁生糕旅", "boundary", "layer", "pressure", "wing", "shock", "plate", "heat")
EVERYTHING = 1_000_000
_LIMIT = 1 << 20


def settings() -> Settings:
    """Small thresholds, so that short lives see training, repacking and several packs."""
    return Settings(pack={"level": 3, "own_dictionary_from": 150, "dictionary_size": 8192, "chunk_target": 120})


def create(path: Path) -> Memory:
    """Make an empty memory of a person with hard rules."""
    profile = MemoryProfile("chat", NAME, HardRules(persona="小雨"), language="zh")
    return Memory.create(path, profile, encoders=hashed_encoders, settings=settings())


def reopen(path: Path) -> Memory:
    """Open a memory again."""
    return Memory.open(path, encoders=hashed_encoders, settings=settings())


def warm_up(folder: Path) -> None:
    """Go through a whole life once, so that children find everything imported and compiled when they are forked."""
    path = folder / "warm"
    with create(path) as memory:
        writer = Writer(memory, lambda _: None, random.Random(0))
        writer.import_messages("warm", 30)
        writer.import_items("warm")
        memory.build()
        writer.turn("warm")
        memory.check()
        dict(held(memory))
    shutil.rmtree(path)


def phrase(chance: random.Random) -> str:
    """Words unlike every other phrase, sometimes with newlines in it."""
    separator = chance.choice((" ", "\n", "，"))
    return separator.join([*chance.choices(WORDS, k=chance.randint(1, 9)), f"{chance.getrandbits(40):x}"])


def held(memory: Memory) -> Iterator[tuple[str, str]]:
    """Everything in a memory that a caller gave, by the keys that the writer told it under.

    Raises:
        CemRagError: something is damaged.
    """
    names: dict[int, str] = {}
    for message in memory.recent(EVERYTHING):
        names[message.message_id] = f"message {message.source}/{message.source_id}"
        yield names[message.message_id], _message_value(message)
    for number in memory.marks():
        yield f"mark {names.get(number, number)}", "good"
    with memory.database.read() as connection:
        item_ids = [unpacked(one) for one in connection.exec_driver_sql("SELECT item_id FROM items").scalars()]
        keys = list(connection.exec_driver_sql("SELECT key FROM preferences").scalars())
        turns = list(connection.exec_driver_sql("SELECT turn_id FROM turn_records").scalars())
    for item in read_items(memory.database, memory.frames, item_ids, limit=_LIMIT):
        yield f"item {item.mem_id}", _item_value(item)
    for key in keys:
        yield f"preference {key}", _json(memory.get_state(key))
    for turn in turns:
        yield f"record {turn}", _json(memory.record(turn))
    yield "profile", _json([repr(memory.profile)])


@dataclass
class Writer:
    """One process's hand on a memory."""

    memory: Memory
    tell: Tell
    chance: random.Random

    def turn(self, name: str) -> None:
        """Two messages, what was thought in between, a mark and a preference: the writes of one turn of a chat."""
        sides: tuple[Role, ...] = ("user", "assistant")
        for position, role in enumerate(sides):
            said_id = f"{name}:{position}"
            said = Message(role, role, phrase(self.chance), 1.7e9 + position, source="chat", source_id=said_id)
            key = f"message chat/{said_id}"
            self._begin(key, _message_value(said))
            kept = self.memory.remember(said, turn_id=name, position=position)
            self.tell(f"+ {key}")
            if role == "user":
                record = {"seen": [hit.text for hit in self.memory.recall(Query(said.text, k=2))]}
                self._begin(f"record {name}", _json(record))
                self.memory.save_record(name, record)
                self.tell(f"+ record {name}")
            else:
                self._begin(f"mark {key}", "good")
                self.memory.mark(kept.message_id, True)
                self.tell(f"+ mark {key}")
        self._begin("preference mood", _json(name))
        self.memory.set_state("mood", name)
        self.tell("+ preference mood")

    def import_messages(self, name: str, count: int = 0) -> None:
        """A history; what a progress call has counted is acknowledged. ``count`` 0 leaves the length to chance."""
        history = [
            Message(_role(n), "x", phrase(self.chance), 1.6e9 + n, source=name, source_id=str(n))
            for n in range(count or self.chance.choice((30, 60, 900)))
        ]
        told = 0
        for message in history:
            self._begin(f"message {name}/{message.source_id}", _message_value(message))

        def progress(_stage: str, done: int, _total: int) -> None:
            nonlocal told
            for message in history[told:done]:
                self.tell(f"+ message {name}/{message.source_id}")
            told = done

        self.memory.import_messages(history, progress)

    def import_items(self, name: str) -> None:
        """Documents, each in several chunks; some replace what an earlier import brought."""
        items = [self._item(f"{name}.{n}" if n % 4 else f"known.{n}", self.chance.randint(1, 8)) for n in range(24)]
        for item in items:
            self._begin(f"item {item.mem_id}", _item_value(item))
        self.memory.import_items(items)
        for item in items:
            self.tell(f"+ item {item.mem_id}")

    def add_compressed(self, name: str) -> None:
        """Documents that arrive as frames."""
        items = [self._item(f"{name}.{n}", 1) for n in range(6)]
        dictionary = Dictionary(b"")
        compressor = Compressor(dictionary, 3)
        frames = [compressor.compress(item.text.encode()) for item in items]
        for item in items:
            self._begin(f"item {item.mem_id}", _item_value(item))
        self.memory.add_compressed(frames, dictionary, items, raw_sizes=[len(item.text.encode()) for item in items])
        for item in items:
            self.tell(f"+ item {item.mem_id}")

    def delete_items(self, name: str) -> None:
        """Documents that come and go."""
        self.import_items(name)
        gone = [f"known.{n}" for n in range(0, 24, 8)] + [f"{name}.1"]
        for item_id in gone:
            self.tell(f"- item {item_id}")
        self.memory.delete_items(gone)
        for item_id in gone:
            self.tell(f"_ item {item_id}")

    def build(self, name: str) -> None:
        """Pack, embed and index something new."""
        self.turn(name)
        self.memory.build()

    def compact(self, name: str) -> None:
        """Write everything anew."""
        self.delete_items(name)
        self.memory.compact()

    def forget(self, name: str) -> None:
        """Documents and a message that come, and are forgotten for good."""
        self.import_items(name)
        self.turn(name)
        gone = [f"{name}.{n}" for n in (2, 3)]
        said = next(m for m in reversed(self.memory.recent(50)) if m.source_id == f"{name}:1")
        lost = [*(f"item {item_id}" for item_id in gone), f"message chat/{name}:1", f"mark message chat/{name}:1"]
        with self.memory.database.read() as connection:
            turns = connection.exec_driver_sql("SELECT turn_id FROM turn_records").scalars().all()
        # Records that show some of it go as well, and what was learned may: these may be found afterwards or not.
        for key in (*lost, *(f"record {turn}" for turn in turns), "preference mood"):
            self.tell(f"- {key}")
        self.memory.forget(Selection(items=tuple(gone), messages=((said.message_id, said.message_id),)))
        for key in lost:
            self.tell(f"_ {key}")

    def build_beside_turns(self, name: str) -> None:
        """Somebody talks while the memory is packed."""
        talking = threading.Thread(target=self._turns, args=(name, 3))
        talking.start()
        self.memory.compact()
        talking.join()

    def _turns(self, name: str, count: int) -> None:
        for number in range(count):
            self.turn(f"{name}.{number}")

    def _item(self, item_id: str, phrases: int) -> MemoryItem:
        text = ". ".join(phrase(self.chance) for _ in range(phrases))
        label = {"label": self.chance.choice("abc")}
        return MemoryItem(item_id, text, float(self.chance.randint(1, 1 << 30)), "shelf", label)

    def _begin(self, key: str, value: str) -> None:
        self.tell(f"? {key}={value}")


ACTIVITIES: dict[str, Callable[[Writer, str], None]] = {
    "turn": Writer.turn,
    "import messages": Writer.import_messages,
    "import items": Writer.import_items,
    "add compressed": Writer.add_compressed,
    "delete items": Writer.delete_items,
    "build": Writer.build,
    "compact": Writer.compact,
    "build beside turns": Writer.build_beside_turns,
    "forget": Writer.forget,
}
"""What a writer that has opened a memory can be killed in."""


def _role(number: int) -> Role:
    return "user" if number % 3 == 0 else "assistant"


def _message_value(message: Message) -> str:
    return _json([message.role, message.speaker, message.text, message.timestamp, message.conversation])


def _item_value(item: MemoryItem) -> str:
    return _json([item.text, item.created_at, item.source, item.meta])


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, sort_keys=True)
