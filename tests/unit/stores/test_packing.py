"""Packs: when they are written, with which dictionary, and what a crash in between leaves."""

from __future__ import annotations

from pathlib import Path

import pytest

from cem_rag_app.errors import DiskFullError, MemoryCorruptError
from cem_rag_app.schema import MemoryItem, Query
from stores.files import named_disk_errors
from stores.frames import FrameStore
from stores.memory import Memory
from stores.packing import Packing
from tests.unit.stores.conftest import MakeMemory, history, said

OWN = {"level": 3, "own_dictionary_from": 100, "dictionary_size": 4096}


def all_texts(memory: Memory) -> list[str]:
    return [line.text for line in memory.recent(10_000)]


def test_a_small_memory_keeps_the_shipped_dictionary_and_stores_it_once(memory: Memory) -> None:
    memory.import_messages(history(20))
    report = memory.build()
    assert (report.packed, report.own_dictionary) == (20, False)
    with memory.database.read() as connection:
        held = connection.exec_driver_sql("SELECT count(*), count(data) FROM dictionaries").one()
    assert tuple(held) == (1, 0)  # its bytes lie in the pack
    assert memory.status()["counts"]["fresh_chunks"] == 0


def test_a_grown_memory_trains_its_own_dictionary_and_packs_everything_anew(make_memory: MakeMemory) -> None:
    memory = make_memory(pack=OWN)
    memory.import_messages(history(60))
    memory.build()
    small = memory.status()
    assert small["dictionary"]["own"] is False
    memory.import_messages(history(200))
    report = memory.build()
    assert (report.packed, report.own_dictionary) == (200, True)
    grown = memory.status()
    assert grown["dictionary"]["digest"] != small["dictionary"]["digest"]
    assert grown["counts"]["packs"] == 1
    assert [file.name for file in (memory.path / "packs").iterdir()] == ["000002.zpkg"]
    assert all_texts(memory) == [line.text for line in history(200)]
    assert memory.check().findings == ()


def test_texts_too_alike_to_learn_from_keep_the_shipped_dictionary(make_memory: MakeMemory) -> None:
    memory = make_memory(kind="documents", pack=OWN)
    memory.import_items([MemoryItem(f"d{n}", "ok") for n in range(200)])
    report = memory.build()
    assert (report.packed, report.own_dictionary) == (200, False)
    assert memory.build().packed == 0
    assert memory.check().findings == ()


def test_a_few_fresh_chunks_wait_in_the_catalog(memory: Memory) -> None:
    memory.import_messages(history(40))
    memory.build()
    memory.remember(said("user", "新的一句"), turn_id="a", position=0)
    assert memory.build().packed == 0
    assert memory.status()["counts"]["fresh_chunks"] == 1
    assert memory.compact().packed == 41
    assert memory.status()["counts"]["fresh_chunks"] == 0


def test_packs_are_split_before_their_limit(memory: Memory) -> None:
    memory.import_messages(history(60))
    dictionary_size = len(memory.frames.compressor()[1].dictionary.data)
    packing = Packing(
        memory.path, memory.database, memory.frames, memory.settings.pack, largest=dictionary_size + 32 + 700
    )
    packed = packing.run()
    assert packed.chunks == 60
    assert packed.packs > 1
    assert all(file.stat().st_size <= dictionary_size + 732 for file in (memory.path / "packs").iterdir())
    assert all_texts(memory) == [line.text for line in history(60)]
    assert memory.check().ok


def test_a_message_remembered_during_a_repack_keeps_its_dictionary(make_memory: MakeMemory) -> None:
    memory = make_memory(pack=OWN)
    memory.import_messages(history(120))

    def speak(stage: str, done: int, total: int) -> None:
        if stage == "pack" and done == total:
            memory.remember(said("user", "趁打包的时候说一句"), turn_id="a", position=0)

    report = memory.build(progress=speak)
    assert report.own_dictionary
    assert memory.status()["counts"]["fresh_chunks"] == 1
    assert all_texts(memory)[-1] == "趁打包的时候说一句"
    assert memory.recall(Query("趁打包的时候", k=1))[0].text == "趁打包的时候说一句"
    assert memory.check().findings == ()
    memory.compact()
    with memory.database.read() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM dictionaries").scalar() == 1
    assert all_texts(memory)[-1] == "趁打包的时候说一句"


def test_a_reader_with_the_old_packs_open_survives_a_repack_by_another(make_memory: MakeMemory) -> None:
    writer = make_memory(pack=OWN)
    writer.import_messages(history(60))
    writer.build()
    reader = make_memory(pack=OWN)
    assert len(all_texts(reader)) == 180
    writer.import_messages(history(200))
    writer.build()
    assert all_texts(reader) == [line.text for line in history(200)]
    assert reader.recall(Query("第150天吃什么", k=1))[0].text == "第150天吃什么"


def test_files_no_chunk_lies_in_are_noted_and_removed_by_the_next_build(memory: Memory) -> None:
    memory.import_messages(history(5))
    memory.build()
    stray = memory.path / "packs" / "000099.zpkg"
    stray.write_bytes(b"left by a crash")
    report = memory.check()
    assert report.ok
    assert [finding.file for finding in report.findings] == [str(stray)]
    memory.build()
    assert not stray.exists()


def test_a_full_disk_while_packing_leaves_the_memory_as_it_was(memory: Memory, monkeypatch: pytest.MonkeyPatch) -> None:
    memory.import_messages(history(20))

    def full(*_: object, **__: object) -> None:
        with named_disk_errors(memory.path / "packs"):
            raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("stores.packing.PackWriter.seal", full)
        with pytest.raises(DiskFullError, match="Free some space"):
            memory.build()
    assert all_texts(memory) == [line.text for line in history(20)]
    assert list((memory.path / "packs").iterdir()) == []
    assert memory.build().packed == 20


def test_a_flipped_byte_in_a_pack_is_found_by_check_and_raises_on_read(memory: Memory) -> None:
    memory.import_messages(history(20))
    memory.build()
    memory.close()
    (pack,) = (memory.path / "packs").iterdir()
    sound = pack.read_bytes()
    damaged = bytearray(sound)
    damaged[-3] ^= 1  # in the last frame
    pack.write_bytes(damaged)
    again = Memory.open(memory.path, encoders=memory._factory, settings=memory.settings)
    report = again.check()
    assert not report.ok
    assert {finding.file for finding in report.findings if finding.severity == "error"} == {str(pack)}
    with pytest.raises(MemoryCorruptError, match=pack.name):
        again.recent(1)
    assert [line.text for line in again.recent(1, before_id=3)] == [history(1)[1].text]  # the rest is readable
    again.close()


@pytest.mark.parametrize("place", [0, 5, 40, 5_000, 112_700])
def test_a_flipped_byte_anywhere_in_a_pack_never_becomes_text(memory: Memory, place: int) -> None:
    """Header, dictionary and offset table as well: a damaged dictionary would turn sound frames into other words."""
    memory.import_messages(history(20))
    memory.build()
    memory.close()
    (pack,) = (memory.path / "packs").iterdir()
    damaged = bytearray(pack.read_bytes())
    place = min(place, len(damaged) - 200)
    damaged[place] ^= 0x10
    pack.write_bytes(damaged)
    again = Memory.open(memory.path, encoders=memory._factory, settings=memory.settings)
    assert not again.check().ok
    with pytest.raises(MemoryCorruptError, match=pack.name):
        again.recent(100)
    again.close()


def test_a_missing_pack_is_named(memory: Memory) -> None:
    memory.import_messages(history(5))
    memory.build()
    memory.close()
    (pack,) = (memory.path / "packs").iterdir()
    pack.unlink()
    again = Memory.open(memory.path, encoders=memory._factory, settings=memory.settings)
    assert [finding.file for finding in again.check().findings if finding.file == str(pack)]
    with pytest.raises(MemoryCorruptError, match="000001"):
        again.recent(1)
    again.close()


def test_a_flipped_byte_in_a_fresh_frame_raises_and_names_the_catalog(memory: Memory) -> None:
    memory.remember(said("user", "完整的一句话"), turn_id="a", position=0)
    with memory.database.write() as connection:
        connection.exec_driver_sql("UPDATE chunks SET frame = CAST(frame || x'00' AS BLOB)")
    with pytest.raises(MemoryCorruptError, match="catalog"):
        memory.recent(1)
    assert not memory.check().ok


def test_frames_of_chunks_that_do_not_exist_are_left_out(memory: Memory) -> None:
    memory.import_messages(history(2))
    store: FrameStore = memory.frames
    assert sorted(store.frames([2, 77, 1])) == [1, 2]


def test_status_tells_sizes_that_are_on_the_disk(make_memory: MakeMemory, tmp_path: Path) -> None:
    memory = make_memory(kind="documents", pack=OWN)
    memory.import_items([MemoryItem(f"d{n}", f"Wing number {n} in supersonic flow. " * 5) for n in range(150)])
    memory.build()
    sizes = memory.status()["bytes"]
    files = [file for file in memory.path.rglob("*") if file.is_file() and not file.name.endswith("-shm")]
    assert sizes["total"] == sum(file.stat().st_size for file in files)
    assert sizes["total"] == sizes["packs"] + sizes["catalog"] + sizes["lexical"] + sizes["index"]
    assert sizes["plain_text"] == sum(len(f"Wing number {n} in supersonic flow. " * 5) for n in range(150))
    assert memory.status()["index"]["state"] == "current"
