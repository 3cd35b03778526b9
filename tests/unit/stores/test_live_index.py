"""The vector index follows the catalog, is rebuilt when it disagrees with it, and is never believed unchecked."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from cem_rag_app.schema import MemoryItem, Query
from cem_rag_app.settings import CodeSettings
from stores.indexes.files import CODES_FILE, CONFIG_FILE, INDEX_FILE, MAP_FILE
from stores.memory import Encoders, Memory, Selection
from tests.fakes.encoders import HashedTextEncoder, SeeThroughEncoder
from tests.unit.stores.conftest import MakeMemory, history, said


class Counting:
    """An encoder factory that remembers its encoder, to see how many frames were embedded."""

    def __init__(self, name: str = "see-through") -> None:
        teacher = HashedTextEncoder()
        self.document = SeeThroughEncoder(teacher, name)
        self.query = teacher

    def __call__(self, _name: str) -> Encoders:
        return Encoders(self.query, self.document)

    @property
    def embedded(self) -> int:
        """Frames of chunks: one more is embedded at opening, to know the encoder by."""
        return self.document.frames_seen - 1


def built(make_memory: MakeMemory, turns: int = 20) -> Memory:
    memory = make_memory()
    memory.import_messages(history(turns))
    memory.build()
    memory.close()
    return memory


def answers(memory: Memory) -> list[str]:
    return [memory.recall(Query(f"第{n}天吃什么", k=1))[0].text for n in (3, 11, 17)]


EXPECTED = ["第3天吃什么", "第11天吃什么", "第17天吃什么"]


def test_a_saved_index_is_used_and_only_what_is_newer_is_embedded(make_memory: MakeMemory) -> None:
    built(make_memory)
    counting = Counting()
    memory = make_memory(encoders=counting)
    assert answers(memory) == EXPECTED
    assert counting.embedded == 0
    memory.remember(said("user", "新的话题"), turn_id="a", position=0)
    assert memory.recall(Query("新的话题", k=1))[0].text == "新的话题"
    assert counting.embedded == 1


@pytest.mark.parametrize("name", [INDEX_FILE, MAP_FILE, CONFIG_FILE])
@pytest.mark.parametrize("damage", ["torn", "flipped", "missing", "empty"])
def test_a_damaged_index_is_rebuilt_from_the_frames(make_memory: MakeMemory, name: str, damage: str) -> None:
    path = built(make_memory).path / "index" / name
    sound = path.read_bytes()
    if damage == "missing":
        path.unlink()
    elif damage == "flipped":
        # In the middle: for the index a vector's mantissa, which FAISS would load without a word.
        middle = len(sound) // 2
        path.write_bytes(sound[:middle] + bytes([sound[middle] ^ 0x04]) + sound[middle + 1 :])
    else:
        path.write_bytes(sound[: len(sound) * 2 // 3] if damage == "torn" else b"")
    counting = Counting()
    memory = make_memory(encoders=counting)
    assert answers(memory) == EXPECTED
    # A flipped byte in the configuration may be in a value without consequence; everything else is seen.
    assert counting.embedded == 20 or (name, damage) == (CONFIG_FILE, "flipped")
    if (name, damage) != (CONFIG_FILE, "flipped"):
        assert any(finding.severity == "note" for finding in memory.check().findings)
    assert memory.check().ok


def test_an_index_of_another_encoder_is_rebuilt(make_memory: MakeMemory) -> None:
    built(make_memory)
    counting = Counting("another student")
    memory = make_memory(encoders=counting)
    assert answers(memory) == EXPECTED
    assert counting.embedded == 20


def test_an_encoder_trained_anew_under_the_same_name_is_noticed(make_memory: MakeMemory) -> None:
    built(make_memory)
    counting = Counting()
    taught = counting.document.encode
    counting.document.encode = lambda frames, dictionary: taught(frames, dictionary)[:, ::-1].copy()  # type: ignore[method-assign]
    memory = make_memory(encoders=counting)
    memory.index.sync()
    assert counting.embedded == 20


def test_an_index_that_is_ahead_of_its_catalog_is_rebuilt(make_memory: MakeMemory, tmp_path: Path) -> None:
    """A catalog restored from an older copy, beside the newer index."""
    old = make_memory(folder="old")
    old.import_messages(history(10))
    old.close()
    newer = built(make_memory, turns=20)
    (newer.path / "catalog.sqlite").write_bytes((old.path / "catalog.sqlite").read_bytes())
    for suffix in ("-wal", "-shm"):
        (newer.path / f"catalog.sqlite{suffix}").unlink(missing_ok=True)
    counting = Counting()
    memory = make_memory(encoders=counting)
    assert memory.recall(Query("第3天吃什么", k=1))[0].text == "第3天吃什么"
    assert counting.embedded == 10


def test_a_killed_build_resumes_where_it_was_saved(make_memory: MakeMemory) -> None:
    memory = make_memory()
    memory.import_messages(history(20))
    assert memory.build(limit=12).embedded == 12
    assert memory.status()["index"]["missing_chunks"] == 8
    memory.close()
    counting = Counting()
    again = make_memory(encoders=counting)
    assert again.build().embedded == 8
    assert counting.embedded == 8
    assert answers(again) == EXPECTED


def test_deleted_documents_are_not_found_before_and_after_reopening(make_memory: MakeMemory) -> None:
    memory = make_memory(kind="documents")
    memory.import_items([MemoryItem(f"d{n}", f"the wing number {n}") for n in range(20)])
    memory.build()
    assert memory.delete_items(["d3", "d4", "never"]) == 2
    found = {hit.item_id for hit in memory.recall(Query("the wing number 3", k=30))}
    assert found == {f"d{n}" for n in range(20)} - {"d3", "d4"}
    memory.build()
    memory.close()
    again = make_memory(kind="documents")
    assert {hit.item_id for hit in again.recall(Query("the wing number 3", k=30))} == found
    assert again.index.dead == 2
    again.delete_items([f"d{n}" for n in range(5, 15)])
    again.build()
    assert again.index.dead == 0  # more than a fifth was dead: written anew
    assert len(again.recall(Query("the wing", k=30))) == 8
    assert again.check().findings == ()


def test_the_last_chunk_deleted_leaves_nothing_to_follow(make_memory: MakeMemory) -> None:
    memory = make_memory(kind="documents")
    memory.import_items([MemoryItem("a", "one wing"), MemoryItem("b", "two wings")])
    memory.build()
    memory.delete_items(["b"])
    memory.recall(Query("wing"))
    assert memory.index.sync() == 0
    memory.import_items([MemoryItem("c", "three wings")])
    assert {hit.item_id for hit in memory.recall(Query("wings", k=9))} == {"a", "c"}


def test_the_configuration_says_what_the_seed_asks_for(make_memory: MakeMemory) -> None:
    folder = built(make_memory).path / "index"
    assert sorted(file.name for file in folder.iterdir()) == [CONFIG_FILE, INDEX_FILE, MAP_FILE]
    config = json.loads((folder / CONFIG_FILE).read_bytes())
    assert config["count"] == 20
    assert config["dimension"] == 256
    assert config["encoder"] == "see-through"
    assert config["covers"] == {"chunk_id": 20, "deletion": 0}
    assert config["parameters"]["kind"] == "flat"
    assert json.loads((folder / MAP_FILE).read_bytes()) == {"ranges": [[1, 20]], "deleted": []}


def test_the_kind_asked_for_is_the_kind_that_is_kept(make_memory: MakeMemory) -> None:
    memory = make_memory()
    memory.import_messages(history(20))
    assert memory.build(index="hnsw").index == "hnsw"
    memory.close()
    again = make_memory()
    assert answers(again) == EXPECTED
    assert again.index.kind == "hnsw"


def test_vectors_are_unit_and_in_the_index_as_the_encoder_gave_them(make_memory: MakeMemory) -> None:
    memory = make_memory(kind="documents")
    memory.import_items([MemoryItem("a", "one wing"), MemoryItem("b", "two wakes")])
    memory.index.sync()
    held = memory.index.vectors([1, 2, 77])
    assert sorted(held) == [1, 2]
    teacher = HashedTextEncoder()
    np.testing.assert_allclose(held[2], teacher.encode_documents(["two wakes"])[0], atol=1e-6)
    assert np.linalg.norm(held[1]) == pytest.approx(1.0, abs=1e-6)


def documents(count: int) -> list[MemoryItem]:
    draw = np.random.default_rng(3)
    words = [f"{a}{b}{c}" for a in "bdgklm" for b in "aeiou" for c in "nrstz"]
    return [MemoryItem(f"d{n}", f"{' '.join(draw.choice(words, 12))} number {n}") for n in range(count)]


def opened_codes(make_memory: MakeMemory, count: int = 1_200, **options: object) -> Memory:
    memory = make_memory(kind="documents", **options)
    memory.import_items(documents(count))
    memory.build()
    assert memory.index.kind == "codes"
    return memory


def test_a_large_memory_keeps_codes_and_finds_what_exact_vectors_would(make_memory: MakeMemory) -> None:
    counting = Counting()
    memory = opened_codes(make_memory, encoders=counting)
    texts = documents(1_200)
    vectors = counting.query.encode_documents([item.text for item in texts])
    agreed = 0
    for row in range(0, 1_200, 60):
        query = vectors[row]
        found, similarities = memory.index.nearest(query, 10)
        wanted = np.argsort(-(vectors @ query), kind="stable")[:10] + 1
        assert found[0] == row + 1
        assert similarities[0] == pytest.approx(1.0, abs=0.02)
        agreed += len(set(found) & set(wanted.tolist()))
    assert agreed >= 190
    assert (memory.path / "index" / "codes.bin").stat().st_size < 1_200 * 256 * 4 / 2


def test_refining_makes_the_best_vectors_again_from_their_frames(make_memory: MakeMemory) -> None:
    counting = Counting()
    memory = opened_codes(make_memory, encoders=counting, codes=CodeSettings(bytes=24, refine=30))
    vectors = counting.query.encode_documents([item.text for item in documents(1_200)])
    seen = counting.document.frames_seen
    rough, refined = 0, 0
    for query in vectors[::60]:
        wanted = set((np.argsort(-(vectors @ query), kind="stable")[:10] + 1).tolist())
        rough += len(wanted & set(memory.index.search(query, 10)[0]))
        found, similarities = memory.index.nearest(query, 10)
        refined += len(wanted & set(found))
        exact = [float(vectors[chunk_id - 1] @ query) for chunk_id in found]
        np.testing.assert_allclose(similarities, exact, atol=1e-5)
    assert counting.document.frames_seen == seen + 20 * 30
    assert refined > rough + 15


def test_codes_damaged_under_an_open_memory_are_put_aside_and_made_again(make_memory: MakeMemory) -> None:
    path = opened_codes(make_memory).path / "index" / CODES_FILE
    sound = path.read_bytes()
    path.write_bytes(sound[:-9] + bytes([sound[-9] ^ 0x10]) + sound[-8:])
    counting = Counting()
    memory = make_memory(kind="documents", encoders=counting)
    assert memory.index.sync() == 0
    last = documents(1_200)[-1]
    assert memory.recall(Query(last.text, k=1))[0].item_id == last.mem_id
    assert counting.embedded == 1_201  # the fixed frame, looked at twice
    memory.build()
    memory.close()
    assert make_memory(kind="documents").check().findings == ()


def test_codes_follow_deletions_additions_and_growth_without_old_frames(make_memory: MakeMemory) -> None:
    memory = opened_codes(make_memory)
    memory.delete_items([f"d{n}" for n in range(0, 1_200, 3)])
    memory.build()  # a third was dead: written anew
    assert (len(memory.index), memory.index.dead) == (800, 0)
    memory.close()
    counting = Counting()
    again = make_memory(kind="documents", encoders=counting)
    again.import_items([MemoryItem(f"new{n}", f"an entirely new sentence about whale {n}") for n in range(50)])
    again.build()
    assert counting.embedded == 50
    found = again.recall(Query("an entirely new sentence about whale 7", k=3))
    assert found[0].item_id == "new7"
    assert not again.recall(Query(documents(1)[0].text, k=1, filters={"item_id": "d0"}))


def test_another_size_of_codes_is_taken_on_with_the_next_build(make_memory: MakeMemory) -> None:
    memory = opened_codes(make_memory)
    before = (memory.path / "index" / CODES_FILE).stat().st_size
    memory.close()
    again = make_memory(kind="documents", codes=CodeSettings(bytes=32))
    again.build()
    assert (again.path / "index" / CODES_FILE).stat().st_size < before - 1_200 * 70
    assert again.recall(Query(documents(3)[2].text, k=1))[0].item_id == "d2"


def test_deleting_all_but_a_few_goes_back_to_exact_vectors(make_memory: MakeMemory) -> None:
    memory = opened_codes(make_memory)
    memory.delete_items([f"d{n}" for n in range(3, 1_200)])
    memory.build()
    assert (memory.index.kind, len(memory.index)) == ("flat", 3)
    memory.delete_items()
    memory.build()
    assert len(memory.index) == 0
    assert memory.recall(Query("anything", k=3)) == []


@pytest.mark.parametrize("plane", ["coarse", "fine"])
@pytest.mark.parametrize("work", ["build", "compact", "forget"])
def test_damaged_codes_are_made_again_by_whatever_writes_them(make_memory: MakeMemory, plane: str, work: str) -> None:
    path = opened_codes(make_memory).path / "index" / CODES_FILE
    sound = path.read_bytes()
    at = len(sound) - 9 if plane == "fine" else len(sound) - 1_200 * 64 - 99
    path.write_bytes(sound[:at] + bytes([sound[at] ^ 0x10]) + sound[at + 1 :])
    memory = make_memory(kind="documents")
    memory.delete_items(["d0"])
    if work == "forget":
        memory.forget(Selection(items=("d1",)))
    memory.compact() if work == "compact" else memory.build()
    memory.close()
    again = make_memory(kind="documents")
    assert again.check().findings == ()
    last = documents(1_200)[-1]
    assert again.recall(Query(last.text, k=1))[0].item_id == last.mem_id


def test_a_search_does_not_undo_the_kind_that_a_build_was_asked_for(
    make_memory: MakeMemory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("stores.live_index.SAMPLE", 1_000)
    memory = make_memory(kind="documents")
    memory.import_items(documents(1_200))
    memory.build(index="hnsw")
    memory.import_items([MemoryItem("new", "an entirely new sentence about whales")])
    assert memory.recall(Query("an entirely new sentence about whales", k=1))[0].item_id == "new"
    assert memory.index.kind == "hnsw"


def test_a_limited_build_embeds_no_more_than_its_limit(
    make_memory: MakeMemory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("stores.live_index.SAMPLE", 1_000)
    counting = Counting()
    memory = make_memory(kind="documents", encoders=counting)
    memory.import_items(documents(1_200))
    assert memory.build(limit=100).embedded == 100
    assert memory.build(limit=100).embedded == 100
    assert counting.embedded == 200


def test_a_build_learns_codes_before_it_embeds_a_large_memory(
    make_memory: MakeMemory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("stores.live_index.SAMPLE", 1_000)
    monkeypatch.setattr("stores.shaping.SAMPLE", 1_000)
    memory = opened_codes(make_memory, count=1_500)
    assert len(memory.index) == 1_500
    item = documents(1_500)[1_499]
    assert memory.recall(Query(item.text, k=1))[0].item_id == item.mem_id
