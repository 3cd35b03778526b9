"""What a memory promises to the rooms above it."""

from __future__ import annotations

import sqlite3
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from sqlalchemy import text as sql

from cem_rag_app.errors import (
    CheckpointError,
    DimensionError,
    EncodingError,
    InputError,
    MemoryBusyError,
    MemoryMissingError,
    MemoryVersionError,
    PersonaError,
    StoreError,
)
from cem_rag_app.persona.rules import HardRules
from cem_rag_app.schema import MemoryItem, Query
from cem_rag_app.settings import Settings
from stores.files import writer_lock
from stores.memory import Encoders, Memory, MemoryProfile
from tests.fakes.encoders import HashedTextEncoder, SeeThroughEncoder, fake_encoders
from tests.unit.stores.conftest import MakeMemory, history, said


def test_messages_come_back_letter_by_letter(memory: Memory) -> None:
    lines = [
        said("user", "一行\n两行\n"),
        said("assistant", ""),
        said("assistant", "𠮷野家 👩‍👩‍👧 \x00 ok"),
        said("user", "  spaces  "),
    ]
    memory.import_messages(lines)
    assert [line.text for line in memory.recent(10)] == [line.text for line in lines]
    memory.build()
    assert [line.text for line in memory.recent(10)] == [line.text for line in lines]


def test_importing_the_same_history_again_adds_nothing(memory: Memory) -> None:
    lines = history(20)
    assert memory.import_messages(lines).added == 60
    again = memory.import_messages(lines)
    assert (again.added, again.duplicates) == (0, 60)
    assert memory.status()["counts"]["messages"] == 60


def test_a_grown_history_adds_only_what_is_new(memory: Memory) -> None:
    memory.import_messages(history(10))
    report = memory.import_messages(history(12))
    assert (report.added, report.duplicates) == (6, 30)


def test_identical_lines_without_ids_are_kept_apart_and_recognised(memory: Memory) -> None:
    lines = [said("user", "嗯"), said("user", "嗯"), said("user", "嗯", 5)]
    assert memory.import_messages(lines).added == 3
    assert memory.import_messages(lines).added == 0


def test_an_exchange_is_one_chunk_and_its_text_is_nowhere_in_the_folder(memory: Memory) -> None:
    memory.import_messages(history(20))
    assert memory.status()["counts"]["by_kind"] == {"segment": 20}
    memory.build()
    memory.close()
    secret = "馄饨店第7家".encode()
    assert not [file for file in memory.path.rglob("*") if file.is_file() and secret in file.read_bytes()]


def test_a_recalled_segment_has_the_window_of_the_blueprint(memory: Memory) -> None:
    memory.import_messages(history(20))
    memory.build()
    (hit,) = memory.recall(Query("第7天吃什么", k=1))
    assert hit.text == "第7天吃什么"
    assert hit.kind == "segment"
    assert hit.segment is not None
    lines = [line.text for line in hit.segment.messages]
    assert lines[:6] == ["第5天吃什么", "吃烤鱼", "烤鱼店第5家\n好不好", "第6天吃什么", "吃披萨", "披萨店第6家\n好不好"]
    assert lines[6] == "第7天吃什么"
    assert len(lines) == 15  # six before, the anchor, eight after
    assert [line.text for line in hit.segment.reply] == ["吃馄饨", "馄饨店第7家\n好不好"]
    assert hit.item_id == str(hit.segment.anchor.message_id)


def test_both_messages_of_a_turn_are_recallable_in_the_next(memory: Memory) -> None:
    memory.import_messages(history(20))
    memory.build()
    memory.remember(said("user", "我养了一只蓝色的鹦鹉", 1e5), turn_id="a", position=0)
    memory.remember(said("assistant", "它会说话吗", 1e5 + 1), turn_id="a", position=1)
    (hit,) = memory.recall(Query("蓝色的鹦鹉", k=1))
    assert (hit.kind, hit.text) == ("online", "我养了一只蓝色的鹦鹉")
    assert hit.segment is not None
    assert [line.text for line in hit.segment.reply] == ["它会说话吗"]
    (hit,) = memory.recall(Query("它会说话吗", k=1))
    assert hit.segment is not None
    assert hit.segment.anchor.text == "我养了一只蓝色的鹦鹉"  # an answer belongs to what was asked


def test_two_chunks_of_one_exchange_are_one_hit(memory: Memory) -> None:
    memory.remember(said("user", "鹦鹉叫什么名字"), turn_id="a", position=0)
    memory.remember(said("assistant", "鹦鹉叫小蓝"), turn_id="a", position=1)
    assert [hit.text for hit in memory.recall(Query("鹦鹉叫", k=8))] == ["鹦鹉叫什么名字"]


def test_the_line_that_was_found_is_shown_even_in_a_long_burst(memory: Memory) -> None:
    asked = [said("user", f"第{number}句 {word}") for number, word in enumerate("甲乙丙丁戊己庚辛壬癸")]
    answered = [said("assistant", f"回{number} {word}") for number, word in enumerate("东南西北春夏秋冬梅兰竹菊" * 2)]
    memory.import_messages([*asked, *answered])
    for line in (*asked, *answered):
        hits = memory.recall(Query(line.text, k=8))
        assert any(shown.text == line.text for hit in hits if hit.segment for shown in hit.segment.messages), line.text


def test_remembering_a_place_of_a_turn_twice_stores_it_once(memory: Memory) -> None:
    first = memory.remember(said("user", "你好"), turn_id="a", position=0)
    assert memory.remember(said("user", "别的"), turn_id="a", position=0) == first
    assert [line.text for line in memory.recent(10)] == ["你好"]


def test_recent_is_oldest_first_pages_backwards_and_keeps_to_its_conversation(memory: Memory) -> None:
    for number in range(6):
        conversation = "default" if number % 2 else "other"
        memory.remember(said("user", str(number), conversation=conversation), turn_id=str(number), position=0)
    assert [line.text for line in memory.recent(2)] == ["3", "5"]
    last = memory.recent(2)[0].message_id
    assert [line.text for line in memory.recent(2, before_id=last)] == ["1"]
    assert [line.text for line in memory.recent(9, conversation="other")] == ["0", "2", "4"]


def test_messages_of_one_side_are_sampled_over_the_whole_history(memory: Memory) -> None:
    memory.import_messages(history(20))
    memory.remember(said("assistant", "聊天"), turn_id="a", position=0)
    assert [line.text for line in memory.sample_messages("user", 4)] == [f"第{n}天吃什么" for n in (0, 5, 10, 15)]
    assert len(memory.sample_messages("assistant", 1000)) == 40
    assert memory.sample_messages("user", 0) == []


def test_a_document_comes_back_in_chunks_with_its_id_and_metadata(make_memory: MakeMemory) -> None:
    memory = make_memory(kind="documents")
    text = " ".join(f"Sentence number {n} speaks of wings and of shock waves." for n in range(30))
    report = memory.import_items([MemoryItem("d1", text, meta={"year": 1958}), MemoryItem("d2", "Zebras graze.")])
    assert report.added == 2
    assert memory.status()["counts"]["chunks"] > 3
    (hit,) = memory.recall(Query("zebra", k=1))
    assert (hit.kind, hit.item_id, hit.text, hit.segment) == ("document", "d2", "Zebras graze.", None)
    (hit,) = memory.recall(Query("Sentence number 17", k=1))
    assert hit.item_id == "d1"
    assert hit.metadata == {"year": 1958}
    assert "number 17" in hit.text
    assert hit.text in text


def test_a_changed_document_replaces_the_old_one(make_memory: MakeMemory) -> None:
    memory = make_memory(kind="documents")
    memory.import_items([MemoryItem("d1", "the old zebra"), MemoryItem("d2", "a wing")])
    memory.build()
    memory.recall(Query("zebra", k=1))
    report = memory.import_items([MemoryItem("d1", "a new giraffe"), MemoryItem("d2", "a wing")])
    assert (report.added, report.duplicates, report.replaced) == (0, 1, 1)
    assert [hit.text for hit in memory.recall(Query("old zebra", k=9))] == ["a new giraffe", "a wing"]
    assert memory.check().findings == ()


def test_the_hard_rules_are_immutable_from_python_and_from_sql(memory: Memory) -> None:
    attacks = (
        "UPDATE persona SET rules = 'null'",
        "DELETE FROM persona",
        "INSERT OR REPLACE INTO persona (id, rules) VALUES (1, 'null')",
        "INSERT INTO persona (id, rules) VALUES (2, 'null')",
    )
    for attack in attacks:
        with pytest.raises(PersonaError), memory.database.write() as connection:
            connection.execute(sql(attack))
    memory.set_state("persona", None)
    memory.set_state("rules", {"allowed_pet_names": ["宝贝", "亲爱的"]})
    reopened = Memory.open(memory.path, encoders=fake_encoders, settings=Settings())
    assert reopened.rules == HardRules(persona="小雨")
    reopened.close()


def test_state_marks_and_records_survive_reopening(memory: Memory, make_memory: MakeMemory) -> None:
    kept = memory.remember(said("assistant", "好"), turn_id="a", position=0)
    memory.set_state("style", {"particles": ["呀"]})
    memory.mark(kept.message_id, True)
    memory.save_record("a", {"chosen": "好"})
    again = make_memory()
    assert again.get_state("style") == {"particles": ["呀"]}
    assert again.get_state("never") is None
    assert again.marks() == [kept.message_id]
    assert again.record("a") == {"chosen": "好"}
    assert again.record("b") is None
    again.mark(kept.message_id, False)
    assert memory.marks() == []


def test_marking_a_message_that_is_not_there_is_refused(memory: Memory) -> None:
    with pytest.raises(StoreError, match="no message 7"):
        memory.mark(7, True)


def test_a_folder_without_memory_is_named_with_the_command_to_run(tmp_path: Path) -> None:
    with pytest.raises(MemoryMissingError, match="cem-rag import"):
        Memory.open(tmp_path, encoders=fake_encoders, settings=Settings())


def test_a_creation_that_was_interrupted_can_be_repeated(tmp_path: Path) -> None:
    sqlite3.connect(tmp_path / "catalog.sqlite").execute("PRAGMA journal_mode=WAL").close()
    with pytest.raises(MemoryMissingError):
        Memory.open(tmp_path, encoders=fake_encoders, settings=Settings())
    Memory.create(tmp_path, MemoryProfile("chat", "fake"), encoders=fake_encoders, settings=Settings()).close()


def test_a_second_memory_in_the_same_folder_is_refused(memory: Memory) -> None:
    with pytest.raises(StoreError, match="already holds a memory"):
        Memory.create(memory.path, MemoryProfile("chat", "fake"), encoders=fake_encoders, settings=Settings())


def test_a_memory_of_a_newer_release_is_refused_and_left_alone(memory: Memory) -> None:
    memory.close()
    file = memory.path / "catalog.sqlite"
    with sqlite3.connect(file) as connection:
        connection.execute("PRAGMA user_version = 99")
    connection.close()
    before = file.read_bytes()
    with pytest.raises(MemoryVersionError, match="upgrade cem-rag"):
        Memory.open(memory.path, encoders=fake_encoders, settings=Settings())
    assert file.read_bytes() == before


def test_a_second_writer_is_told_so_while_remembering_goes_on(memory: Memory) -> None:
    with writer_lock(memory.path):
        with pytest.raises(MemoryBusyError):
            memory.import_messages(history(1))
        with pytest.raises(MemoryBusyError):
            memory.build()
        memory.remember(said("user", "你好"), turn_id="a", position=0)
    assert memory.import_messages(history(1)).added == 3


def test_encoders_of_different_spaces_are_refused(make_memory: MakeMemory) -> None:
    teacher = HashedTextEncoder()
    stranger = SeeThroughEncoder(HashedTextEncoder(name="another"))
    memory = make_memory(encoders=lambda _: Encoders(teacher, stranger))
    with pytest.raises(CheckpointError, match="another"):
        memory.recall(Query("x"))
    narrow = SeeThroughEncoder(HashedTextEncoder(dimension=8))
    other = make_memory(folder="other", encoders=lambda _: Encoders(teacher, narrow))
    with pytest.raises(DimensionError):
        other.recall(Query("x"))


def test_what_cannot_be_stored_is_named_and_harmless(make_memory: MakeMemory) -> None:
    memory = make_memory(pack={"level": 3, "chunk_limit": 1024})
    with pytest.raises(InputError, match=r"longer than a chunk may be \(1,024\)"):
        memory.remember(said("user", "长" * 400), turn_id="a", position=0)
    with pytest.raises(EncodingError):
        memory.remember(said("user", "half \ud83d"), turn_id="a", position=0)
    with pytest.raises(InputError, match="metadata of 'd'"):
        memory.import_items([MemoryItem("d", "text", meta={"x": object()})])
    assert memory.status()["counts"]["chunks"] == 0
    assert memory.check().findings == ()


def test_an_empty_memory_recalls_nothing_and_is_sound(memory: Memory) -> None:
    assert memory.recall(Query("anything")) == []
    assert memory.recent(5) == []
    assert memory.build().chunks == 0
    assert memory.check().findings == ()


def test_threads_remember_and_recall_at_the_same_time(memory: Memory) -> None:
    memory.import_messages(history(10))

    def talk(thread: int) -> list[str]:
        texts = [f"线程{thread}说第{turn}句" for turn in range(8)]
        for turn, line in enumerate(texts):
            memory.remember(said("user", line, conversation=f"c{thread}"), turn_id=f"{thread}.{turn}", position=0)
            found = memory.recall(Query(line, k=1, filters={"conversation": f"c{thread}"}))
            assert found[0].text == line
        return texts

    with ThreadPoolExecutor(6) as threads:
        spoken = list(threads.map(talk, range(6)))
    for thread, texts in enumerate(spoken):
        assert [line.text for line in memory.recent(100, conversation=f"c{thread}")] == texts
    assert memory.check().ok


def test_only_the_hits_are_opened(memory: Memory, monkeypatch: pytest.MonkeyPatch) -> None:
    from cem_rag_app.zpkg import late

    memory.import_messages(history(20))
    memory.build()
    opened: list[bytes] = []
    real = late.decompress
    monkeypatch.setattr(late, "decompress", lambda frame, *a, **k: opened.append(frame) or real(frame, *a, **k))
    memory.recall(Query("第7天吃什么", k=1))
    assert len(opened) == 5  # the chunks that the fifteen lines of one segment lie in
