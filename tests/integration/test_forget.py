"""`cem-rag forget` against an adversary who reads every byte, kills at every instant, and has the memory open too."""

from __future__ import annotations

import json
import os
import shutil
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from cem_rag_app.persona.rules import HardRules
from cem_rag_app.schema import MemoryItem, Message, Query
from cem_rag_app.settings import Settings
from scripts.processes import cem_rag
from stores import points
from stores.durability.processes import live
from stores.files import writer_lock
from stores.memory import Memory, MemoryProfile, Selection
from tests.fakes.encoders import fake_encoders
from tests.leftovers import leftovers
from tests.serving import HISTORY, write_history

START = 1.7e9
SETTINGS = Settings(pack={"level": 3, "own_dictionary_from": 20, "dictionary_size": 4096})
TEXT = "vexmorqual 住在 drizzenkopf 的楼上"
WORDS = ("vexmorqual", "drizzenkopf")


def opened(path: Path) -> Memory:
    return Memory.open(path, encoders=fake_encoders, settings=SETTINGS)


def chat_of(count: int) -> Iterator[Message]:
    """Exchanges of two lines and a third one here and there: what is to be forgotten, in the middle."""
    for turn in range(count):
        at = START + 3600 * turn
        yield Message("user", "我", f"第{turn}天去哪里玩 {'江河湖海山'[turn % 5]}", at)
        if turn in (7, 31):
            yield Message("assistant", "小雨", f"{TEXT} {turn}", at + 1)
        yield Message("assistant", "小雨", f"去{'海边爬山书店公园影院'[turn % 5 * 2 :][:2]}吧 第{turn}次", at + 2)


class Prepared:
    """A built memory with a secret in it, copied for each who forgets."""

    def __init__(self, path: Path) -> None:
        self.path = path
        profile = MemoryProfile("chat", "fake", HardRules(persona="小雨"))
        with Memory.create(path, profile, encoders=fake_encoders, settings=SETTINGS) as memory:
            memory.import_messages(chat_of(40))
            memory.import_items([MemoryItem("note", "A harmless note. " * 9, START)])
            memory.build()
            memory.remember(Message("user", "我", f"{TEXT}，对吧", START + 1e6), turn_id="t", position=0)
            memory.remember(Message("assistant", "小雨", "对呀", START + 1e6 + 1), turn_id="t", position=1)
            memory.save_record("t", {"message": f"{TEXT}，对吧"})
            memory.recall(Query(TEXT, k=1))
            lines = memory.recent(10_000)
            self.gone = [line.message_id for line in lines if TEXT in line.text]
            self.texts = [line.text for line in lines if line.message_id in self.gone]
            self.kept = [(line.message_id, line.text) for line in lines if line.message_id not in self.gone]
            memory.mark(self.gone[0] + 1, True)
            with memory.database.read() as connection:
                numbers = ",".join(map(str, self.gone))
                rows = connection.exec_driver_sql(f"SELECT chunk_id FROM messages WHERE message_id IN ({numbers})")
                chunks = [row[0] for row in rows]
            self.frames = [stored.frame for stored in memory.frames.frames(chunks).values()]
        self.selection = Selection(messages=tuple((number, number) for number in self.gone))
        assert len(self.gone) == len(self.frames) == 3
        assert leftovers(path, words=WORDS, raw=self.frames)

    def left_in(self, folder: Path) -> list[str]:
        return leftovers(folder, [TEXT, *self.texts], WORDS, self.frames)

    def copy(self, to: Path) -> Path:
        shutil.copytree(self.path, to)
        return to

    def assert_rest_is_there(self, memory: Memory) -> None:
        assert [(line.message_id, line.text) for line in memory.recent(10_000)] == self.kept
        assert memory.marks() == [self.gone[0] + 1]
        assert memory.check().ok
        assert memory.recall(Query("第12天去哪里玩", k=1))[0].text.startswith("第12天")
        segments = [hit.segment for hit in memory.recall(Query(TEXT)) if hit.segment]
        assert segments
        assert not any(TEXT in line.text for segment in segments for line in segment.messages)


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    return Prepared(tmp_path_factory.mktemp("forget") / "memory")


def instants(memory: Path, selection: Selection) -> list[str]:
    """What a forgetting reaches, in order, each name with how often it came before."""
    heard: list[str] = []

    def work(tell: Callable[[str], None]) -> None:
        with opened(memory) as here:
            points.listen(tell)
            here.forget(selection)

    heard += live(work).lines
    return heard


def test_a_kill_at_any_instant_leaves_nothing_once_the_memory_has_been_opened_again(
    prepared: Prepared, tmp_path: Path
) -> None:
    reached = instants(prepared.copy(tmp_path / "rehearsal"), prepared.selection)
    assert reached.index("forget: erased") < reached.index("forget: database scrubbed")
    last = {name: number for number, name in enumerate(reached)}
    chosen = sorted({*last.values(), *map(reached.index, last)})  # each name's first time and last
    assert len(chosen) > 12
    forgotten = 0
    for number in chosen:
        memory = prepared.copy(tmp_path / f"killed-{number}")

        def work(_tell: Callable[[str], None], memory: Path = memory, number: int = number) -> None:
            left = [number]

            def die(_name: str) -> None:
                if left[0] == 0:
                    os.kill(os.getpid(), signal.SIGKILL)
                left[0] -= 1

            with opened(memory) as here:
                points.listen(die)
                here.forget(prepared.selection)

        assert live(work).killed, reached[number]
        with opened(memory) as again:
            if again.forgotten == 0:  # the one transaction was not committed, nor was its success told
                assert again.forget(prepared.selection).messages == 3
            else:
                forgotten += 1
            assert prepared.left_in(memory) == [], reached[number]
            prepared.assert_rest_is_there(again)
        assert prepared.left_in(memory) == [], reached[number]
        shutil.rmtree(memory)
    assert forgotten > len(chosen) // 2


def test_a_build_finishes_what_an_open_could_not(prepared: Prepared, tmp_path: Path) -> None:
    memory = prepared.copy(tmp_path / "memory")

    def work(_tell: Callable[[str], None]) -> None:
        def die(name: str) -> None:
            if name == "forget: erased":
                os.kill(os.getpid(), signal.SIGKILL)

        with opened(memory) as here:
            points.listen(die)
            here.forget(prepared.selection)

    assert live(work).killed
    with writer_lock(memory):
        again = opened(memory)  # somebody else is writing: it opens, answers without it, and is not done
    prepared.assert_rest_is_there(again)
    assert prepared.left_in(memory)
    again.build()
    assert prepared.left_in(memory) == []
    again.close()


def test_a_message_said_in_another_process_meanwhile_does_not_bring_the_old_dictionary_back(
    prepared: Prepared, tmp_path: Path
) -> None:
    memory = prepared.copy(tmp_path / "memory")

    def work(tell: Callable[[str], None]) -> None:
        with opened(memory) as here, opened(memory) as other:
            other.remember(Message("user", "我", "先说一句", START + 2e6), turn_id="u", position=0)

            def speak(name: str) -> None:
                if name == "forget: erased":
                    other.remember(Message("user", "我", "又说一句", START + 2e6 + 1), turn_id="u", position=1)

            points.listen(speak)
            here.forget(prepared.selection)
            for line in other.recent(2):
                tell(line.text)

    assert live(work).lines == ("先说一句", "又说一句")
    assert prepared.left_in(memory) == []
    with opened(memory) as again:
        assert again.check().ok


def report(*arguments: str | Path, code: int = 0) -> dict:
    done = cem_rag(*arguments, "--json")
    assert done.returncode == code, done.stderr
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def with_a_guest(tmp_path_factory: pytest.TempPathFactory) -> Path:
    lines = (*HISTORY, ("老方", "vexmorqual 借我"), ("小满", "不借哦"), ("老方", "drizzenkopf 呢"))
    folder = tmp_path_factory.mktemp("command")
    history = write_history(folder / "chat.jsonl", lines)
    memory = folder / "memory"
    for arguments in (("import", history, "--as", "chat-jsonl", "--persona", "小满"), ("build",)):
        done = cem_rag(*arguments, "--memory", memory)
        assert done.returncode == 0, done.stderr
    return memory


@pytest.fixture
def imported(with_a_guest: Path, tmp_path: Path) -> Path:
    return shutil.copytree(with_a_guest, tmp_path / "memory")


def test_the_command_asks_and_then_forgets_a_person(imported: Path) -> None:
    declined = cem_rag("forget", "--person", "老方", "--memory", imported, said="n\n")
    assert declined.returncode == 1
    assert "2 messages will be forgotten for good" in declined.stderr
    assert leftovers(imported, words=WORDS)
    done = cem_rag("forget", "--person", "老方", "--memory", imported, said="y\n")
    assert done.returncode == 0, done.stderr
    assert "2 messages forgotten." in done.stdout
    assert "importing them again brings it back" in done.stderr
    assert leftovers(imported, ["老方"], WORDS) == []
    assert report("check", "--memory", imported)["ok"]
    assert report("status", "--memory", imported)["counts"]["messages"] == 19


def test_the_command_takes_ids_ranges_and_all(imported: Path) -> None:
    assert report("forget", "--message", "2", "--messages", "20..21", "--yes", "--memory", imported)["messages"] == 3
    assert report("forget", "--all", "--yes", "--memory", imported)["messages"] == 18
    assert report("status", "--memory", imported)["counts"]["messages"] == 0
    assert leftovers(imported, [text for _, text in HISTORY if len(text) > 3], WORDS) == []


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ((), "Nothing is named that could be forgotten."),
        (("--person", "nobody"), "Nothing stored is meant by that."),
        (("--messages", "7"), "'7' is no range of messages. Write it like this: --messages 120..140"),
        (("--messages", "9..7"), "ends before it begins"),
    ],
)
def test_a_command_that_means_nothing_is_told_so(imported: Path, arguments: tuple[str, ...], told: str) -> None:
    done = cem_rag("forget", *arguments, "--yes", "--memory", imported)
    assert done.returncode == 1
    assert told in done.stderr
    assert done.stderr.count("\n") == 1
