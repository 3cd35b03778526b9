"""Full-text search over sealed and fresh chunks: what is found, with which scores, after every kind of change."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cem_rag_app.errors import MemoryCorruptError, MemoryVersionError
from cem_rag_app.schema import MemoryItem, Query
from cem_rag_app.zpkg import late
from stores.lexical import index as indexing
from stores.lexical import question
from stores.lexical.index import LexicalIndex
from stores.lexical.layout import HEADER_BYTES
from stores.lexical.lengths import LENGTHS, length_codes
from stores.lexical.segment import Segment
from stores.lexical.tokens import query_tokens, stored_terms
from stores.memory import Memory
from stores.points import listen
from stores.sealing import seal_terms
from stores.tail import open_terms
from tests.unit.stores.conftest import MakeMemory, history, said

WORDS = [f"w{n}" for n in range(12)]


def found(memory: Memory, query: str, limit: int = 10, allowed: list[int] | None = None) -> dict[int, float]:
    with memory.database.read() as connection:
        wanted = None if allowed is None else np.array(allowed, dtype=np.int64)
        return memory.lexical.search(connection, query, limit, wanted)


class Oracle:
    """BM25 written down once more, plainly, with the statistics of these texts."""

    def __init__(self, counted: dict[int, str]) -> None:
        self._terms = {chunk_id: Counter(stored_terms(text).split()) for chunk_id, text in counted.items()}
        lengths = {chunk_id: terms.total() for chunk_id, terms in self._terms.items()}
        average = sum(lengths.values()) / max(len(lengths), 1)
        kept = {chunk_id: LENGTHS[length_codes(np.array([length]))[0]] for chunk_id, length in lengths.items()}
        self._norms = {chunk_id: 1.2 * (0.25 + 0.75 * length / max(average, 1e-9)) for chunk_id, length in kept.items()}

    def best(self, chunk_ids: Iterable[int], query: str, limit: int) -> list[tuple[int, float]]:
        scores: dict[int, float] = {}
        wanted = list(chunk_ids)
        for token in query_tokens(query):
            holding = sum(token in terms for terms in self._terms.values())
            idf = math.log(1 + (len(self._terms) - holding + 0.5) / (holding + 0.5))
            for chunk_id in wanted:
                count = self._terms[chunk_id][token]
                if count:
                    share = idf * count * 2.2 / (count + self._norms[chunk_id])
                    scores[chunk_id] = scores.get(chunk_id, 0.0) + share
        return sorted(scores.items(), key=lambda pair: (-pair[1], pair[0]))[:limit]


def agrees(got: dict[int, float], expected: list[tuple[int, float]]) -> None:
    """The same scores in the same order; chunks of one score may change places."""
    assert list(got.values()) == pytest.approx([score for _, score in expected], rel=1e-6)
    scores = dict(expected)
    last = expected[-1][1] if expected else 0.0
    for chunk_id, score in got.items():
        assert scores.get(chunk_id, last) == pytest.approx(score, rel=1e-6)


@pytest.fixture
def documents(make_memory: MakeMemory) -> Memory:
    return make_memory(kind="documents")


def fill(memory: Memory, texts: list[str], prefix: str = "d") -> None:
    memory.import_items(MemoryItem(f"{prefix}{n}", text) for n, text in enumerate(texts))


@pytest.fixture(params=["fresh", "sealed"])
def sealed(request: pytest.FixtureRequest) -> bool:
    return bool(request.param == "sealed")


@pytest.mark.parametrize(
    ("query", "expected"),
    [("火锅", ["a"]), ("running", ["b"]), ("RUNS", ["b"]), ("don't", ["c"]), ("café", ["d"]), ("？！", []), ("", [])],
)
def test_two_character_words_and_stems_are_found(
    documents: Memory, sealed: bool, query: str, expected: list[str]
) -> None:
    texts = {"a": "昨天去吃火锅了", "b": "He runs fast", "c": 'I don\'t "know"', "d": "a café AND NOT near"}
    documents.import_items(MemoryItem(item_id, text) for item_id, text in texts.items())
    assert documents.lexical.seal(force=sealed) is True
    assert [list(texts)[chunk_id - 1] for chunk_id in found(documents, query)] == expected


def test_the_rarer_term_counts_more(documents: Memory) -> None:
    fill(documents, ["the wing" if n else "the zebra" for n in range(9)])
    scores = found(documents, "the zebra")
    assert next(iter(scores)) == 1
    assert scores[1] > 2 * scores[2]


def test_common_words_are_left_out_where_visiting_fresh_chunks_would_cost_too_much(
    documents: Memory, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(documents, ["the wing" if n else "the zebra" for n in range(9)])
    monkeypatch.setattr(question, "MOST_OCCURRENCES", 5)
    assert list(found(documents, "the zebra")) == [1]
    assert len(found(documents, "the")) == 9  # the rarest is always taken
    documents.lexical.seal()
    assert len(found(documents, "the zebra")) == 9  # nothing is fresh


def test_terms_are_stored_as_tokens_that_full_text_search_keeps_whole(documents: Memory) -> None:
    spelled = "x" + b"rock'n".hex()
    assert stored_terms("Rock'n roll 火锅!") == f"{spelled} roll 火锅"
    fill(documents, ["a\u19b0b", "ab"])
    assert list(found(documents, "a\u19b0b")) == [1]


texts = st.lists(st.sampled_from(WORDS), max_size=30).map(" ".join)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    steps=st.lists(st.tuples(st.lists(texts, min_size=1, max_size=40), st.booleans(), st.integers(0, 4)), max_size=4),
    query=st.lists(st.sampled_from([*WORDS, "unknown"]), min_size=1, max_size=6).map(" ".join),
    limit=st.integers(1, 50),
    allowed=st.none() | st.sets(st.integers(1, 160)),
)
def test_scores_are_bm25_over_sealed_and_fresh_chunks_together(
    make_memory: MakeMemory,
    tmp_path_factory: pytest.TempPathFactory,
    steps: list[tuple[list[str], bool, int]],
    query: str,
    limit: int,
    allowed: set[int] | None,
) -> None:
    memory = make_memory(kind="documents", folder=tmp_path_factory.mktemp("m").name)
    there: dict[int, str] = {}
    counted: dict[int, str] = {}
    names: dict[int, str] = {}
    for number, (added, seals, deleted) in enumerate(steps):
        first = max(names, default=0) + 1
        fill(memory, added, prefix=f"{number}.")
        for n, text in enumerate(added):
            there[first + n] = counted[first + n] = text
            names[first + n] = f"{number}.{n}"
        for chunk_id in sorted(there)[:deleted]:
            sealed_before = chunk_id <= max((row.last_chunk for row in rows(memory)), default=0)
            memory.delete_items([names[chunk_id]])
            del there[chunk_id]
            if not sealed_before:
                del counted[chunk_id]
        if seals:
            memory.lexical.seal(force=True)
            counted = dict(there)
    wanted = [chunk_id for chunk_id in there if allowed is None or chunk_id in allowed]
    got = found(memory, query, limit, None if allowed is None else sorted(allowed))
    agrees(got, Oracle(counted).best(wanted, query, limit))
    memory.close()


def rows(memory: Memory) -> Iterator[indexing.SegmentRow]:
    with memory.database.read() as connection:
        row = indexing.segment_row(connection)
    if row is not None:
        yield row


def zipf_texts(count: int, seed: int = 0) -> list[str]:
    """Texts whose words are as unequal as those of a language: lists of one posting, of a few, and of many blocks."""
    rng = np.random.default_rng(seed)
    return [
        " ".join(f"t{rank}" for rank in rng.zipf(1.3, size=rng.integers(0, 60)) if rank < 5_000) for _ in range(count)
    ]


def test_long_lists_give_exact_scores_with_and_without_filters(documents: Memory) -> None:
    made = zipf_texts(1500)
    fill(documents, made)
    documents.lexical.seal()
    fill(documents, zipf_texts(40, seed=1), prefix="late")
    oracle = Oracle(dict(enumerate([*made, *zipf_texts(40, seed=1)], start=1)))
    rng = np.random.default_rng(2)
    for query in ("t1 t2 t3", "t1 t40 t7 t300", "t3 t1200 t1 t5 t8 t2", "t4999", "t2"):
        for share in (None, 0.5, 0.04, 0.002):
            allowed = None if share is None else sorted(rng.choice(1540, int(1540 * share), replace=False) + 1)
            wanted = range(1, 1541) if allowed is None else allowed
            for limit in (1, 10, 200):
                agrees(found(documents, query, limit, allowed), oracle.best(wanted, query, limit))


def test_sealing_changes_no_score(documents: Memory) -> None:
    fill(documents, zipf_texts(80))
    queries = ("t1 t9", "t2 t3 t50", "t1")
    before = [found(documents, query, 80) for query in queries]
    documents.lexical.seal()
    for query, scores in zip(queries, before, strict=True):
        assert found(documents, query, 80) == pytest.approx(scores)


def test_what_is_deleted_is_never_found_and_leaves_at_the_next_seal(documents: Memory) -> None:
    fill(documents, ["wing one", "wing two", "unrepeatable three"])
    documents.lexical.seal()
    documents.delete_items(["d0", "d2"])
    assert list(found(documents, "wing unrepeatable")) == [2]
    assert documents.check().ok
    (before,) = rows(documents)
    assert documents.lexical.seal() is True
    (after,) = rows(documents)
    assert (after.chunks, before.chunks) == (1, 3)
    segment = Segment(documents.path / "lexical" / "000002.postings")
    assert [segment.terms()[row] for row in range(len(segment.terms()))] == [b"two", b"wing"]
    assert list(found(documents, "wing unrepeatable")) == [2]
    assert problems(documents) == []


def test_a_sealed_chunk_is_deleted_without_being_opened(documents: Memory, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(documents, ["wing one", "wing two"])
    documents.lexical.seal()
    monkeypatch.setattr(late, "decompress", lambda *_, **__: pytest.fail("opened a frame"))
    assert documents.delete_items(["d0"]) == 1
    assert list(found(documents, "wing")) == [2]


def test_sealing_opens_no_frame(documents: Memory, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(documents, zipf_texts(50))
    monkeypatch.setattr(late, "decompress", lambda *_, **__: pytest.fail("opened a frame"))
    monkeypatch.setattr(late, "read_text", lambda *_, **__: pytest.fail("opened a frame"))
    assert documents.lexical.seal()
    fill(documents, zipf_texts(50, seed=1), prefix="more")
    assert documents.lexical.seal()


def test_a_memory_whose_last_chunk_is_gone_seals_nothing_and_goes_on(documents: Memory) -> None:
    fill(documents, ["wing one"])
    documents.lexical.seal()
    documents.delete_items()
    assert documents.lexical.seal() is True
    assert found(documents, "wing") == {}
    fill(documents, ["wing two"], prefix="again")
    assert list(found(documents, "wing")) == [2]
    assert documents.lexical.seal() is True
    assert list(found(documents, "wing")) == [2]


def test_little_that_is_fresh_stays_fresh_until_a_seal_is_forced(documents: Memory) -> None:
    fill(documents, [f"wing {n}" for n in range(40)])
    assert documents.lexical.seal() is True
    assert documents.lexical.seal(force=True) is False  # there is nothing to do
    fill(documents, ["wing late"], prefix="late")
    assert documents.lexical.seal() is False
    assert list(found(documents, "late")) == [41]
    assert documents.lexical.seal(force=True) is True
    assert list(found(documents, "late")) == [41]
    assert [path.name for path in (documents.path / "lexical").iterdir()] == ["000002.postings"]


def test_another_process_finds_what_was_sealed_behind_its_back(documents: Memory, make_memory: MakeMemory) -> None:
    fill(documents, [f"wing {n}" for n in range(9)])
    other = make_memory(kind="documents")
    documents.lexical.seal()
    assert len(found(other, "wing")) == 9
    with other.database.read() as connection:
        assert len(other.lexical.search(connection, "wing", 20)) == 9
        fill(documents, ["wing late"] * 9, prefix="late")
        documents.lexical.seal(force=True)
        assert len(other.lexical.search(connection, "wing", 20)) == 9  # the snapshot's own segment, mapped before
    with documents.database.read() as connection:
        documents.lexical.search(connection, "wing", 20)
        fill(other, ["wing last"], prefix="last")
        other.lexical.seal(force=True)
        documents.lexical.close()
        assert len(documents.lexical.search(connection, "wing", 20)) == 19  # its file is gone: the new one serves


def test_a_message_said_while_terms_are_sealed_is_found(memory: Memory) -> None:
    memory.import_messages(history(10))
    told: list[str] = []

    def speak(name: str) -> None:
        if name == "lexical: segment written" and not told:
            told.append(name)
            memory.remember(said("user", "突然下起大雪", 1e6), turn_id="t", position=0)
            memory.delete_items()

    listen(speak)
    assert memory.lexical.seal() is True
    assert told
    assert list(found(memory, "大雪")) == [11]
    assert memory.check().ok
    assert memory.lexical.seal(force=True) is True
    assert list(found(memory, "大雪")) == [11]


def test_a_chunk_deleted_while_terms_are_sealed_is_not_found(documents: Memory) -> None:
    fill(documents, ["wing one", "wing two"])
    told: list[str] = []

    def delete(name: str) -> None:
        if name == "lexical: segment written" and not told:
            told.append(name)
            documents.delete_items(["d0"])

    listen(delete)
    assert documents.lexical.seal() is True
    assert list(found(documents, "wing")) == [2]
    assert documents.check().ok


def test_a_seal_that_is_interrupted_loses_nothing(documents: Memory) -> None:
    class Killed(BaseException):
        pass

    fill(documents, [f"wing {n}" for n in range(9)])
    instants = ["lexical: segment written", "lexical: before the switch", "lexical: switched"]
    waiting = list(instants)

    def kill(name: str) -> None:
        if waiting and name == waiting[0]:
            waiting.pop(0)
            raise Killed

    listen(kill)
    for _ in instants:
        with pytest.raises(Killed):
            documents.lexical.seal(force=True)
        assert len(found(documents, "wing")) == 9
        assert documents.check().ok
    assert not waiting
    documents.lexical.seal(force=True)
    assert len(list((documents.path / "lexical").iterdir())) == 1
    assert len(found(documents, "wing")) == 9


def test_a_build_seals_and_a_reopened_memory_searches_the_sealed_part(
    documents: Memory, make_memory: MakeMemory
) -> None:
    fill(documents, zipf_texts(60))
    documents.build()
    documents.close()
    again = make_memory(kind="documents")
    assert again.lexical._opened is None
    assert again.recall(Query("t1 t2", k=5))
    (row,) = rows(again)
    assert row.chunks == 60
    sizes = again.status()["bytes"]
    assert sizes["lexical"] >= row.size
    parts = sizes["packs"] + sizes["catalog"] + sizes["lexical"] + sizes["index"]
    assert sizes["total"] == parts


def sealed_file(memory: Memory) -> Path:
    (path,) = (memory.path / "lexical").iterdir()
    return path


def test_every_flipped_byte_of_a_segment_is_named_or_harmless(make_memory: MakeMemory) -> None:
    memory = make_memory(kind="documents")
    fill(memory, zipf_texts(70))
    memory.lexical.seal()
    path = sealed_file(memory)
    sound = path.read_bytes()
    queries = ("t1 t2", "t3", "t17 t60", "t900")
    expected = [found(memory, query) for query in queries]
    for at in range(0, len(sound), 7):
        path.write_bytes(sound[:at] + bytes([sound[at] ^ 0x10]) + sound[at + 1 :])
        memory.lexical.close()
        try:
            assert [found(memory, query) for query in queries] == expected, at
        except (MemoryCorruptError, MemoryVersionError) as error:
            assert path.name in str(error)
        assert any(str(path) == name for name, _ in problems(memory)), at
    path.write_bytes(sound)
    memory.lexical.close()
    assert [found(memory, query) for query in queries] == expected


def problems(memory: Memory) -> list[tuple[str, str]]:
    return [(str(path), problem) for path, problem in LexicalIndex(memory.path / "lexical", memory.database).check()]


@pytest.mark.parametrize("keep", [0, 7, HEADER_BYTES - 1, HEADER_BYTES, 1000, -1])
def test_a_torn_segment_is_named_and_a_build_makes_it_again(documents: Memory, keep: int) -> None:
    fill(documents, zipf_texts(200))
    documents.build()
    expected = found(documents, "t1 t20")
    path = sealed_file(documents)
    path.write_bytes(path.read_bytes()[:keep])
    documents.lexical.close()
    with pytest.raises(MemoryCorruptError, match=path.name):
        found(documents, "t1 t20")
    assert not documents.check().ok
    documents.build()
    assert found(documents, "t1 t20") == pytest.approx(expected)
    assert documents.check().findings == ()


def test_a_missing_segment_is_named_and_a_build_makes_it_again(memory: Memory) -> None:
    memory.import_messages(history(20))
    memory.build()
    expected = found(memory, "火锅")
    sealed_file(memory).unlink()
    memory.lexical.close()
    with pytest.raises(MemoryCorruptError, match="missing"):
        found(memory, "火锅")
    assert not memory.check().ok
    memory.build()
    assert found(memory, "火锅") == pytest.approx(expected)


def test_opening_and_a_seal_that_is_not_due_do_not_touch_the_lists(documents: Memory) -> None:
    fill(documents, zipf_texts(1200))
    documents.lexical.seal()
    segment = Segment(sealed_file(documents))
    assert not segment._verified.any()
    assert segment.find("nowhere") is None
    assert not segment._verified[:1].all()  # its lists are verified when one of them is read
    assert segment.find("t1") is not None
    assert segment._verified[:1].all()


def add_frame(memory: Memory, name: str, text: bytes, terms: str | None) -> None:
    _, compressor = memory.frames.compressor()
    memory.add_compressed([compressor.compress(text)], compressor.dictionary, [MemoryItem(name, "")], terms=[terms])


@pytest.mark.parametrize("readable", [True, False])
def test_a_segment_is_made_again_around_what_cannot_be_read(
    documents: Memory, readable: bool, caplog: pytest.LogCaptureFixture
) -> None:
    fill(documents, zipf_texts(1200))
    add_frame(documents, "no text", b"\xff\xfe", "alpha")
    add_frame(documents, "without terms", b"gamma", None)
    add_frame(documents, "no text, without terms", b"\xfe\xff", None)
    documents.lexical.seal(force=True)
    expected = found(documents, "t1")  # so many that its lists and its chunks lie on different pages
    path = sealed_file(documents)
    data = bytearray(path.read_bytes())
    data[HEADER_BYTES] ^= 1
    path.write_bytes(data if readable else data[:HEADER_BYTES])
    documents.lexical.close()
    assert seal_terms(documents.lexical, documents.frames, limit=1 << 20, force=True)
    assert found(documents, "t1").keys() == expected.keys()
    assert found(documents, "gamma") == {} or not readable
    assert "Chunk 1201 is no UTF-8 text" in caplog.text
    assert ("Chunk 1203" in caplog.text) is not readable
    documents.delete_items(["no text", "without terms", "no text, without terms"])
    assert problems(documents) == []


def test_a_message_is_remembered_and_another_deleted_while_lost_terms_are_read(documents: Memory) -> None:
    fill(documents, zipf_texts(20))
    documents.lexical.seal(force=True)
    sealed_file(documents).unlink()
    documents.lexical.close()

    def read_terms(chunk_ids: Sequence[int]) -> dict[int, str]:
        terms = open_terms(documents.frames, chunk_ids, limit=1 << 20)
        fill(documents, ["meanwhile"], "m")
        documents.delete_items(["d0"])
        return terms

    documents.lexical.restore(read_terms)
    assert list(found(documents, "meanwhile")) == [21]
    assert 1 not in found(documents, "t1", 50)
    assert problems(documents) == []
