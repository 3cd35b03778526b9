"""What is forgotten is in no file any more, and nothing else is lost by it."""

from __future__ import annotations

import json
import os
import sqlite3
import tempfile
from collections.abc import Iterable
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cem_rag_app.errors import CheckpointError, InputError, MemoryBusyError, MemoryCorruptError
from cem_rag_app.files import create_temporary
from cem_rag_app.persona.rules import HardRules
from cem_rag_app.schema import MemoryItem, Message, Query
from cem_rag_app.settings import Settings
from cem_rag_app.zpkg.dictionary import general_dictionary
from stores.files import writer_lock
from stores.forgetting.traces import pieces_of
from stores.indexes.files import CODES_FILE, INDEX_FILE
from stores.lexical.segment import Segment
from stores.memory import Memory, MemoryProfile, Selection
from tests.fakes.encoders import fake_encoders
from tests.leftovers import leftovers
from tests.unit.stores.conftest import MakeMemory, history, said

SECRET = "zyxquorv 的密码是 wubbleflap"
WORDS = ("zyxquorv", "wubbleflap")
SMALL = {"level": 3, "own_dictionary_from": 20, "dictionary_size": 4096}


def with_secret(turns: int = 60) -> list[Message]:
    """A history in which one exchange holds three lines, the middle one secret."""
    lines = history(turns)
    lines.insert(91, said("assistant", SECRET, 30 * 3600.0 + 0.5, source="history", source_id="secret"))
    return lines


def find_message(memory: Memory, text: str) -> Message:
    (found,) = [line for line in memory.recent(100_000) if line.text == text]
    return found


def frames_of(memory: Memory, message_ids: Iterable[int]) -> list[bytes]:
    """The frames that cover messages, as the disk has them now."""
    wanted = ",".join(str(number) for number in message_ids)
    with memory.database.read() as connection:
        chunks = connection.exec_driver_sql(f"SELECT chunk_id FROM messages WHERE message_id IN ({wanted})")
        ids = [row[0] for row in chunks]
    return [stored.frame for stored in memory.frames.frames(ids).values()]


def texts_with_ids(memory: Memory) -> list[tuple[int, str]]:
    return [(line.message_id, line.text) for line in memory.recent(100_000)]


def test_a_message_in_the_middle_of_an_exchange_goes_and_its_neighbours_stay_letter_by_letter(
    make_memory: MakeMemory,
) -> None:
    memory = make_memory(pack=SMALL)
    memory.import_messages(with_secret())
    memory.build()
    assert memory.status()["dictionary"]["own"]
    secret = find_message(memory, SECRET)
    memory.mark(secret.message_id, True)
    memory.mark(secret.message_id + 1, True)
    frames = frames_of(memory, [secret.message_id])
    assert leftovers(memory.path, words=WORDS, raw=frames), "the search looks in the right places"
    before = texts_with_ids(memory)

    report = memory.forget(Selection(messages=((secret.message_id, secret.message_id),)))

    assert (report.messages, report.moved_messages, report.marks) == (1, 3, 1)
    assert report.packs_rewritten
    assert report.new_dictionary
    assert texts_with_ids(memory) == [pair for pair in before if pair[0] != secret.message_id]
    assert memory.marks() == [secret.message_id + 1]
    assert memory.check().ok
    assert memory.recall(Query("第30天吃什么", k=1))[0].text == "第30天吃什么"
    assert leftovers(memory.path, [SECRET], WORDS, frames) == []
    memory.close()
    assert leftovers(memory.path, [SECRET], WORDS, frames) == []


def test_everything_that_a_person_said_goes_and_what_others_said_stays(make_memory: MakeMemory) -> None:
    memory = make_memory(pack=SMALL)
    memory.import_messages(with_secret())
    guests = [
        Message("user", "阿方", f"客人说 {word} 第{n}次", 1.8e9 + n, source="guests", source_id=str(n))
        for n, word in enumerate(["kvothrune", "brimzelk"] * 10)
    ]
    memory.import_messages(guests)
    memory.build()
    before = texts_with_ids(memory)
    ids = [number for number, text in before if text.startswith("客人")]
    frames = frames_of(memory, ids)

    report = memory.forget(Selection(people=("阿方",)))

    assert report.messages == len(guests)
    assert texts_with_ids(memory) == [pair for pair in before if pair[0] not in ids]
    assert (
        leftovers(memory.path, [*(g.text for g in guests), "阿方", "guests"], ["kvothrune", "brimzelk"], frames) == []
    )


@pytest.mark.parametrize("named", ["item", "source"])
def test_a_document_goes_with_its_metadata_and_its_source(make_memory: MakeMemory, named: str) -> None:
    memory = make_memory(kind="documents", pack={**SMALL, "chunk_target": 120})
    kept = [MemoryItem(f"d{n}", f"Boundary layer number {n} on a plate. " * 5, n, "kept") for n in range(40)]
    gone = MemoryItem("glimmervex-7", f"{SECRET}. " * 20, 5.0, "quandlebrook", {"label": "morgulstrand"})
    memory.import_items([*kept, gone])
    memory.build()
    assert memory.recall(Query("zyxquorv", k=1))[0].item_id == "glimmervex-7"
    with memory.database.read() as connection:
        ids = list(connection.exec_driver_sql("SELECT chunk_id FROM chunks").scalars())
    frames = [memory.frames.frames([number])[number].frame for number in ids[-3:]]

    what = Selection(items=("glimmervex-7",)) if named == "item" else Selection(sources=("quandlebrook",))
    report = memory.forget(what)

    assert (report.items, report.messages) == (1, 0)
    words = (*WORDS, "glimmervex", "quandlebrook", "morgulstrand")
    assert leftovers(memory.path, [SECRET], words, frames) == []
    assert memory.status()["counts"]["items"] == 40
    assert memory.check().ok
    assert {hit.item_id for hit in memory.recall(Query("zyxquorv", k=3))} <= {item.mem_id for item in kept}


def test_all_leaves_an_empty_memory_that_can_be_used_again(make_memory: MakeMemory) -> None:
    memory = make_memory(pack=SMALL)
    memory.import_messages(with_secret())
    memory.build()
    size = memory.status()["bytes"]["total"]
    frames = frames_of(memory, [find_message(memory, SECRET).message_id])
    report = memory.forget(Selection(everything=True))
    assert report.messages == 181
    assert leftovers(memory.path, [SECRET, "第7天吃什么", "吃馄饨"], WORDS, frames) == []
    status = memory.status()
    assert (status["counts"]["messages"], status["counts"]["packs"], status["dictionary"]["own"]) == (0, 0, False)
    assert status["bytes"]["total"] < size
    assert memory.recall(Query("吃什么")) == []
    assert memory.check().ok
    memory.import_messages(history(5))
    memory.build()
    assert memory.recall(Query("第3天吃什么", k=1))[0].text == "第3天吃什么"
    assert memory.rules is not None


def test_what_was_just_said_is_forgotten_without_writing_packs_or_vectors_anew(make_memory: MakeMemory) -> None:
    memory = make_memory(pack=SMALL)
    memory.import_messages(history(60))
    memory.build()
    packs = {path.name: path.read_bytes() for path in (memory.path / "packs").iterdir()}
    kept = memory.remember(said("user", SECRET, 1e6), turn_id="t", position=0)
    assert memory.recall(Query("zyxquorv", k=1))[0].text == SECRET
    report = memory.forget(Selection(messages=((kept.message_id, kept.message_id),)))
    assert (report.messages, report.packs_rewritten, report.new_dictionary) == (1, False, False)
    assert {path.name: path.read_bytes() for path in (memory.path / "packs").iterdir()} == packs
    assert leftovers(memory.path, [SECRET], WORDS) == []
    assert all(SECRET not in hit.text for hit in memory.recall(Query("zyxquorv")))


def test_a_frame_in_a_pack_goes_where_the_dictionary_has_learned_nothing(memory: Memory) -> None:
    memory.import_messages(with_secret(40))
    memory.build()
    assert not memory.status()["dictionary"]["own"]
    number = find_message(memory, SECRET).message_id
    frames = frames_of(memory, [number])
    assert leftovers(memory.path / "packs", raw=frames)
    report = memory.forget(Selection(messages=((number, number),)))
    assert (report.packs_rewritten, report.new_dictionary) == (True, False)
    assert leftovers(memory.path, [SECRET], WORDS, frames) == []


def test_a_dictionary_that_learned_from_it_is_not_kept(make_memory: MakeMemory) -> None:
    memory = make_memory(pack=SMALL)
    lines = history(60) + [
        said("user", f"{SECRET} 再说一遍", 1e6 + n, source="history", source_id=f"again{n}") for n in range(40)
    ]
    memory.import_messages(lines)
    memory.build()
    (pack,) = (memory.path / "packs").iterdir()
    assert b"wubbleflap" in pack.read_bytes()  # in clear, in the dictionary
    ids = [line.message_id for line in memory.recent(1000) if SECRET in line.text]
    memory.forget(Selection(messages=((ids[0], ids[-1]),)))
    assert leftovers(memory.path, [SECRET], WORDS) == []
    assert memory.check().ok


def test_what_was_replaced_or_deleted_before_goes_with_the_next_forgetting(make_memory: MakeMemory) -> None:
    memory = make_memory(kind="documents", pack=SMALL)
    memory.import_items([MemoryItem(f"d{n}", f"Boundary layer number {n} on a plate. " * 5, n) for n in range(40)])
    memory.import_items([MemoryItem("a", f"{SECRET}. " * 30), MemoryItem("b", "brimzelkor. " * 30)])
    memory.build()
    memory.import_items([MemoryItem("a", "Nothing to hide.")])
    memory.delete_items(["b"])
    assert leftovers(memory.path, words=[*WORDS, "brimzelkor"])
    report = memory.forget(Selection(items=("a",)))
    assert (report.items, report.new_dictionary) == (1, True)
    assert leftovers(memory.path, [SECRET], [*WORDS, "brimzelkor"]) == []


def test_what_was_just_said_stays_quick_to_forget_after_forgetting(make_memory: MakeMemory) -> None:
    memory = make_memory(pack=SMALL)
    memory.import_messages(history(60))
    memory.build()
    for place in range(3):
        kept = memory.remember(said("user", SECRET, 1e6), turn_id="t", position=place)
        report = memory.forget(Selection(messages=((kept.message_id, kept.message_id),)))
        assert (report.messages, report.packs_rewritten) == (1, False)
    assert leftovers(memory.path, [SECRET], WORDS) == []


def test_sealed_terms_are_sealed_anew_without_its_words(make_memory: MakeMemory) -> None:
    memory = make_memory(pack=SMALL)
    memory.import_messages(with_secret())
    memory.build()
    assert _sealed(memory, "zyxquorv")
    number = find_message(memory, SECRET).message_id
    memory.forget(Selection(messages=((number, number),)))
    assert not _sealed(memory, "zyxquorv")
    assert _sealed(memory, "什么")


def test_damaged_sealed_terms_are_made_again_without_its_words(make_memory: MakeMemory) -> None:
    memory = make_memory(pack=SMALL)
    memory.import_messages(with_secret())
    memory.build()
    memory.close()
    (segment,) = (memory.path / "lexical").iterdir()
    content = bytearray(segment.read_bytes())
    content[len(content) // 2] ^= 0x10
    segment.write_bytes(content)
    again = make_memory(pack=SMALL)
    number = find_message(again, SECRET).message_id
    again.forget(Selection(messages=((number, number),)))
    assert not _sealed(again, "zyxquorv")
    assert again.check().ok


def _sealed(memory: Memory, word: str) -> bool:
    return any(Segment(path).find(word) is not None for path in (memory.path / "lexical").iterdir())


def test_codes_are_written_anew_without_it(make_memory: MakeMemory) -> None:
    memory = make_memory(kind="documents", pack={"level": 1, "own_dictionary_from": 10_000})
    memory.import_items([MemoryItem(f"d{n}", f"Plate {n} in a flow of type {n % 7}.") for n in range(1_100)])
    memory.build()
    assert memory.index.kind == "codes"
    memory.import_items([MemoryItem("late", SECRET)])
    assert memory.recall(Query("zyxquorv", k=1))[0].item_id == "late"
    memory.index.save()
    assert memory.status()["index"]["vectors"] == 1_101
    assert not memory.forget(Selection(items=("late",))).packs_rewritten
    assert memory.status()["index"]["vectors"] == 1_100
    assert memory.recall(Query("Plate 77 in a flow", k=1))[0].item_id == "d77"
    assert leftovers(memory.path, [SECRET], WORDS) == []


def test_too_few_left_for_a_dictionary_go_back_to_the_shipped_one(make_memory: MakeMemory) -> None:
    memory = make_memory(pack=SMALL)
    memory.import_messages(history(30))
    memory.build()
    assert memory.status()["dictionary"]["own"]
    ids = [line.message_id for line in memory.recent(1000)]
    memory.forget(Selection(messages=((ids[0], ids[59]),)))
    status = memory.status()["dictionary"]
    assert (status["own"], status["digest"]) == (False, general_dictionary("zh").digest)
    assert len(memory.recent(1000)) == 30
    assert memory.check().ok


def test_records_that_show_it_go_and_others_stay(make_memory: MakeMemory) -> None:
    memory = make_memory(pack=SMALL)
    memory.import_messages(with_secret())
    memory.build()
    number = find_message(memory, SECRET).message_id
    memory.save_record("by number", {"hits": [{"chunk_id": 0, "lines": [{"message_id": number, "text": "…"}]}]})
    memory.save_record("in a prompt", {"calls": [{"prompt": f"line\n{SECRET}\nline"}]})
    memory.save_record("json inside", {"calls": [{"output": json.dumps({"facts": ["a", SECRET + "\n\t!"]})}]})
    memory.save_record("free", {"hits": [{"chunk_id": 0, "lines": [{"message_id": 3, "text": "吃火锅"}]}]})
    memory.set_state("preferences", ["不要表情", f"别提 {SECRET}"])
    memory.set_state("seen", {"theme": "dark"})
    report = memory.forget(Selection(messages=((number, number),)))
    assert (report.records, report.preferences) == (3, 1)
    assert [name for name in ("by number", "in a prompt", "json inside", "free") if memory.record(name)] == ["free"]
    assert memory.get_state("preferences") == ["不要表情"]
    assert memory.get_state("seen") == {"theme": "dark"}
    assert leftovers(memory.path, [SECRET], WORDS) == []


def test_the_record_of_the_turn_that_said_it_goes(memory: Memory) -> None:
    kept = memory.remember(said("user", SECRET), turn_id="t1", position=0)
    memory.remember(said("assistant", "嗯哼"), turn_id="t1", position=1)
    memory.save_record("t1", {"message": "something about it"})
    assert memory.forget(Selection(messages=((kept.message_id, kept.message_id),))).records == 1
    assert memory.record("t1") is None
    assert [line.text for line in memory.recent(10)] == ["嗯哼"]


def test_graph_checkpoints_in_the_folder_are_cleared(memory: Memory) -> None:
    kept = memory.remember(said("user", SECRET), turn_id="t1", position=0)
    file = memory.path / "checkpoints.sqlite"
    _checkpoint(file, SECRET)
    assert leftovers(memory.path, [SECRET])
    report = memory.forget(Selection(messages=((kept.message_id, kept.message_id),)))
    assert report.checkpoints == 1
    assert report.elsewhere == ("checkpoints.sqlite",)
    assert leftovers(memory.path, [SECRET]) == []


def _checkpoint(file: Path, text: str) -> None:
    from langgraph.checkpoint.sqlite import SqliteSaver
    from langgraph.graph import StateGraph

    graph = StateGraph(dict)
    graph.add_node("say", lambda _: {"said": text})
    graph.set_entry_point("say")
    graph.set_finish_point("say")
    with SqliteSaver.from_conn_string(str(file)) as saver:
        graph.compile(checkpointer=saver).invoke({}, {"configurable": {"thread_id": "one"}})


def test_a_reader_of_the_state_before_is_told_of_and_the_rest_is_done_when_it_has_gone(make_memory: MakeMemory) -> None:
    memory = make_memory(pack=SMALL)
    memory.import_messages(with_secret())
    memory.build()
    number = find_message(memory, SECRET).message_id
    frames = frames_of(memory, [number])
    reader = sqlite3.connect(memory.path / "catalog.sqlite", isolation_level=None)
    reader.execute("BEGIN")
    reader.execute("SELECT count(*) FROM messages").fetchone()
    with pytest.raises(MemoryBusyError, match="gone from every answer"):
        memory.forget(Selection(messages=((number, number),)))
    assert SECRET not in [line.text for line in memory.recent(1000)]
    reader.close()
    memory.build()
    assert leftovers(memory.path, [SECRET], WORDS, frames) == []


@pytest.mark.parametrize("pack", [SMALL, {"level": 3}], ids=["new dictionary", "same dictionary"])
def test_another_that_has_the_memory_open_neither_answers_with_it_nor_writes_it_back(
    make_memory: MakeMemory, pack: dict[str, int]
) -> None:
    memory = make_memory(pack=pack)
    memory.import_messages(with_secret())
    memory.build()
    other = Memory.open(memory.path, encoders=fake_encoders, settings=memory.settings)
    secret = find_message(memory, SECRET)
    assert any(SECRET in text for text in _shown(other.recall(Query("zyxquorv", k=1))))
    vector = other.index.vectors([hit.chunk_id for hit in other.recall(Query("zyxquorv", k=1))])
    (row,) = vector.values()
    needle = row.astype(np.float32).tobytes()
    assert leftovers(memory.path, raw=[needle]), "vectors are found where they are"
    memory.forget(Selection(messages=((secret.message_id, secret.message_id),)))
    assert leftovers(memory.path, raw=[needle]) == []
    assert not any(SECRET in text for text in _shown(other.recall(Query("zyxquorv"))))
    other.import_messages([said("user", f"新的一天 {n}", 2e6 + n) for n in range(30)])
    other.build()
    other.close()
    assert leftovers(memory.path, [SECRET], WORDS, [needle]) == []


def _shown(hits: list) -> list[str]:
    return [line.text for hit in hits for line in hit.segment.messages]


def test_vectors_that_cannot_be_made_now_are_removed_and_made_later(make_memory: MakeMemory) -> None:
    memory = make_memory(pack=SMALL)
    memory.import_messages(with_secret())
    memory.build()
    number = find_message(memory, SECRET).message_id
    memory.close()

    def no_model(_name: str):
        raise CheckpointError("There is no model here.")

    with Memory.open(memory.path, encoders=no_model, settings=memory.settings) as without:
        assert without.forget(Selection(messages=((number, number),))).messages == 1
    assert leftovers(memory.path, [SECRET], WORDS) == []
    again = make_memory(pack=SMALL)
    assert again.recall(Query("第30天吃什么", k=1))[0].text == "第30天吃什么"


def test_nothing_that_matches_changes_nothing(memory: Memory) -> None:
    memory.import_messages(history(5))
    report = memory.forget(Selection(people=("nobody",), items=("none",), messages=((900, 999),)))
    assert report.messages == report.items == report.chunks == 0
    assert memory.forgotten == 0


def test_a_selection_that_names_nothing_is_refused() -> None:
    with pytest.raises(InputError, match="Nothing is named"):
        Selection()
    with pytest.raises(InputError, match="ends before it begins"):
        Selection(messages=((5, 4),))


def test_matching_counts_and_changes_nothing(memory: Memory) -> None:
    memory.import_messages(history(5))
    before = texts_with_ids(memory)
    found = memory.matching(Selection(messages=((before[1][0], before[1][0]),)))
    assert (found.messages, found.items, found.moved_messages) == (1, 0, 2)
    assert texts_with_ids(memory) == before


def test_forgetting_waits_for_no_import(memory: Memory) -> None:
    memory.import_messages(history(5))
    with writer_lock(memory.path), pytest.raises(MemoryBusyError):
        memory.forget(Selection(everything=True))
    assert len(memory.recent(100)) == 15


def test_a_damaged_frame_stops_it_before_anything_is_forgotten(make_memory: MakeMemory) -> None:
    memory = make_memory(pack=SMALL)
    memory.import_messages(with_secret())
    memory.build()
    number = find_message(memory, SECRET).message_id
    (frame,) = frames_of(memory, [number])
    memory.close()
    (pack,) = (memory.path / "packs").iterdir()
    content = pack.read_bytes()
    broken = bytes([*frame[:-1], frame[-1] ^ 0xFF])
    pack.write_bytes(content.replace(frame, broken))
    again = make_memory(pack=SMALL)
    with pytest.raises(MemoryCorruptError):
        again.forget(Selection(messages=((number, number),)))
    assert again.forgotten == 0


@settings(max_examples=12, deadline=None)
@given(st.lists(st.tuples(st.integers(1, 36), st.integers(0, 9)), min_size=1, max_size=3))
def test_whatever_is_forgotten_the_rest_reads_as_before(chosen: list[tuple[int, int]]) -> None:
    ranges = tuple((first, first + length) for first, length in chosen)
    profile = MemoryProfile("chat", "fake", HardRules(persona="小雨"))
    with (
        TemporaryDirectory() as folder,
        Memory.create(
            folder, profile, encoders=fake_encoders, settings=Settings(pack={"level": 1, "own_dictionary_from": 8})
        ) as memory,
    ):
        memory.import_messages(history(12))
        memory.build()
        before = texts_with_ids(memory)
        assert [number for number, _ in before] == list(range(1, 37))
        memory.forget(Selection(messages=ranges))
        gone = {number for first, last in ranges for number in range(first, last + 1)}
        assert texts_with_ids(memory) == [pair for pair in before if pair[0] not in gone]
        assert memory.check().ok
        memory.import_messages([said("user", "接着说", 1e6)])
        memory.build()
        assert texts_with_ids(memory)[-1][1] == "接着说"


def test_lines_are_looked_for_without_their_layout() -> None:
    assert pieces_of(["a b,\n C!", "。。"]) == {"ab", "C", "。。"}
    assert pieces_of(f"line {n}" for n in range(1000)) is None


def test_what_died_half_written_goes_and_what_others_keep_in_the_folder_stays(memory: Memory) -> None:
    kept = memory.remember(said("user", SECRET), turn_id="t1", position=0)
    unfinished = []
    for folder, suffix in (("", ".tmp"), ("packs", ".zpkg.tmp"), ("index", ".tmp"), ("lexical", ".tmp")):
        (memory.path / folder).mkdir(exist_ok=True)
        with create_temporary(memory.path / folder, suffix=suffix) as file:
            unfinished.append(Path(file.name))
    for name in (INDEX_FILE, CODES_FILE):
        descriptor, written = tempfile.mkstemp(dir=memory.path / "index", prefix=name, suffix=".tmp")
        os.close(descriptor)
        unfinished.append(Path(written))
    (memory.path / "notes.tmp").mkdir()
    (memory.path / "tmpfolder1.tmp").mkdir()
    others = [memory.path / "plan.tmp", memory.path / "notes.tmp" / "tmp12345678.tmp"]
    for path in others:
        path.write_text("not of the memory")
    link = memory.path / "tmpsymlink.tmp"
    link.symlink_to(others[0])

    memory.forget(Selection(messages=((kept.message_id, kept.message_id),)))

    assert [path.name for path in unfinished if path.exists()] == []
    assert [path.read_text() for path in [*others, link]] == ["not of the memory"] * 3
    assert memory.forgotten == 1
