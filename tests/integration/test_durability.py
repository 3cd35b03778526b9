"""What docs/durability.md promises: other processes, full disks, damaged files. Kills are in test_kill.py."""

from __future__ import annotations

import json
import random
import shutil
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest

from cem_rag_app.errors import DiskFullError, MemoryCorruptError, StoreError
from cem_rag_app.persona.rules import HardRules
from cem_rag_app.schema import MemoryItem, Message, Query
from cem_rag_app.settings import Settings
from stores.memory import Memory, MemoryProfile
from tests.fakes.encoders import fake_encoders

ROOT = Path(__file__).resolve().parents[2]


def line(text: str, at: float = 0.0) -> Message:
    return Message("user", "我", text, 1.7e9 + at)


@pytest.fixture
def memory(tmp_path: Path) -> Iterator[Memory]:
    profile = MemoryProfile("chat", "fake", HardRules(persona="小雨"))
    with Memory.create(tmp_path / "memory", profile, encoders=fake_encoders, settings=Settings()) as made:
        yield made


def in_another_process(path: Path, body: str) -> str:
    """Run code with ``memory`` open in a process of its own; returns what it printed."""
    program = textwrap.dedent(
        """
        import sys
        from cem_rag_app.schema import MemoryItem, Message, Query
        from cem_rag_app.settings import Settings
        from stores.memory import Memory
        from tests.fakes.encoders import fake_encoders
        with Memory.open(sys.argv[1], encoders=fake_encoders, settings=Settings()) as memory:
        """
    ) + textwrap.indent(textwrap.dedent(body), "    ")
    done = subprocess.run(
        [sys.executable, "-c", program, str(path)], cwd=ROOT, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_a_second_process_sees_a_write_in_its_next_recall_and_the_other_way_round(memory: Memory) -> None:
    memory.import_messages([line("昨天看的电影"), line("公司年会抽奖", 86_400)])
    memory.build()
    assert memory.recall(Query("蓝色的鹦鹉", k=1))[0].text != "蓝色的鹦鹉"
    body = """
        assert memory.recall(Query("公司年会", k=1))[0].text == "公司年会抽奖"
        memory.remember(Message("user", "他", "蓝色的鹦鹉", 1.7e9 + 99), turn_id="other", position=0)
    """
    in_another_process(memory.path, body)
    assert memory.recall(Query("蓝色的鹦鹉", k=1))[0].text == "蓝色的鹦鹉"
    memory.remember(line("绿色的乌龟", 100), turn_id="mine", position=0)
    assert in_another_process(memory.path, 'print(memory.recall(Query("绿色的乌龟", k=1))[0].text)') == "绿色的乌龟"


def test_a_reader_goes_on_while_another_process_packs_everything_anew(memory: Memory) -> None:
    memory.import_messages([line(f"第{n}句话", n) for n in range(50)])
    memory.build()
    assert len(memory.recent(100)) == 50
    in_another_process(memory.path, "memory.compact()")
    assert not (memory.path / "packs" / "000001.zpkg").exists()
    assert [message.text for message in memory.recent(100)] == [f"第{n}句话" for n in range(50)]
    assert len(memory.recall(Query("第7句话", k=1))) == 1


def test_a_full_disk_is_named_and_what_was_acknowledged_stays(tmp_path: Path) -> None:
    """A file system of four megabytes, filled for good."""
    place = tmp_path / "small"
    place.mkdir()
    mounted = shutil.which("mount") and subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(place)], capture_output=True, check=False
    )
    if not mounted or mounted.returncode != 0:
        pytest.skip("needs the right to mount a small file system")
    try:
        profile = MemoryProfile("chat", "fake")
        memory = Memory.create(place / "memory", profile, encoders=fake_encoders, settings=Settings())
        acknowledged: list[str] = []
        chance = random.Random(0)
        with pytest.raises(DiskFullError, match="Free some space"):
            for number in range(10_000):
                text = f"第{number}句 {chance.randbytes(20_000).hex()}"
                memory.remember(line(text, number), turn_id=str(number), position=0)
                acknowledged.append(text)
        assert len(acknowledged) > 20
        assert [message.text for message in memory.recent(100_000)] == acknowledged
        with pytest.raises(DiskFullError):
            memory.build()
        assert [message.text for message in memory.recent(100_000)] == acknowledged
        assert memory.check().ok
        assert memory.recall(Query(acknowledged[33], k=1))[0].text == acknowledged[33]
        memory.close()
        subprocess.run(["mount", "-o", "remount,size=64m", str(place)], check=True, capture_output=True)
        again = Memory.open(place / "memory", encoders=fake_encoders, settings=Settings())
        assert [message.text for message in again.recent(100_000)] == acknowledged
        again.remember(line("又有地方了"), turn_id="after", position=0)
        again.build()
        assert again.check().findings == ()
        again.close()
    finally:
        subprocess.run(["umount", "-l", str(place)], check=False, capture_output=True)


def test_a_file_that_may_not_grow_is_named_too(memory: Memory) -> None:
    """The same without the right to mount: the process may not write beyond what the files already have."""
    for number in range(20):
        memory.remember(line(f"第{number}句话", number), turn_id=str(number), position=0)
    body = """
        import json, random, resource, signal
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        most = 100_000 + max(file.stat().st_size for file in memory.path.iterdir())
        resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))
        kept, error = [], None
        try:
            for n in range(5000):
                text = random.Random(n).randbytes(4000).hex()
                memory.remember(Message("user", "x", text, 1.7e9), turn_id=f"m{n}", position=0)
                kept.append(text)
        except Exception as failed:
            error = type(failed).__name__
        print(json.dumps([error, kept]))
    """
    error, kept = json.loads(in_another_process(memory.path, body))
    assert error in (DiskFullError.__name__, StoreError.__name__)
    assert kept
    assert [message.text for message in memory.recent(10_000)] == [f"第{n}句话" for n in range(20)] + kept
    assert memory.check().ok


@pytest.mark.parametrize("share", [0.0, 0.05, 0.5])
def test_a_torn_catalog_is_named_and_never_read_silently(memory: Memory, share: float) -> None:
    memory.import_messages([line(f"第{n}句话", n) for n in range(400)])
    memory.database.shrink()
    memory.close()
    file = memory.path / "catalog.sqlite"
    whole = file.read_bytes()
    file.write_bytes(b"not a database at all" * 99 if share == 0.0 else whole[: int(len(whole) * share)])
    with (
        pytest.raises((MemoryCorruptError, StoreError), match="catalog"),
        Memory.open(memory.path, encoders=fake_encoders, settings=Settings()) as again,
    ):
        assert not again.check().ok
        again.recent(1_000)


def test_a_torn_write_ahead_log_loses_only_its_torn_tail(memory: Memory, tmp_path: Path) -> None:
    """SQLite checks every frame of the log: the prefix of whole transactions is what opens."""
    texts = [f"第{n}句话" for n in range(12)]
    for number, text in enumerate(texts):
        memory.remember(line(text, number), turn_id=str(number), position=0)
    log = (memory.path / "catalog.sqlite-wal").read_bytes()
    for cut in range(0, len(log), max(1, len(log) // 25)):
        copy = tmp_path / f"cut-{cut}"
        shutil.copytree(memory.path, copy)
        (copy / "catalog.sqlite-wal").write_bytes(log[:cut])
        (copy / "catalog.sqlite-shm").unlink(missing_ok=True)
        try:
            with Memory.open(copy, encoders=fake_encoders, settings=Settings()) as again:
                found = [message.text for message in again.recent(100)]
                assert found == texts[: len(found)]
                assert again.check().ok
        except StoreError as error:
            assert "no memory" in str(error)  # cut before the creation was committed
        shutil.rmtree(copy)


def test_commits_are_synced_to_the_disk(memory: Memory) -> None:
    with memory.database.write() as connection:
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
        assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == 2  # FULL


def test_an_import_that_breaks_half_way_keeps_what_it_reported_and_goes_on(memory: Memory) -> None:
    reported: list[int] = []

    def broken() -> Iterator[MemoryItem]:
        for number in range(600):
            if number == 599:
                raise ValueError("line 600 is broken")
            yield MemoryItem(f"d{number}", f"the wing number {number}")

    with pytest.raises(ValueError, match="line 600"):
        memory.import_items(broken(), lambda _stage, done, _total: reported.append(done))
    assert memory.status()["counts"]["items"] == reported[-1] == 512
    report = memory.import_items(MemoryItem(f"d{n}", f"the wing number {n}") for n in range(600))
    assert (report.added, report.duplicates) == (88, 512)
