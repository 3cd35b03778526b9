"""Which chunks are found and how they are scored: filters, lexical search, fusion."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cem_rag_app.schema import MemoryItem, Query
from stores.fusion import DAY_SECONDS, min_max, recency, weighted
from stores.memory import Memory
from stores.search import search
from tests.unit.stores.conftest import START, MakeMemory, history, said


def found(memory: Memory, text: str, **filters: object) -> list[str]:
    return [hit.item_id for hit in memory.recall(Query(text, k=50, filters=filters))]


@pytest.fixture
def library(make_memory: MakeMemory) -> Memory:
    memory = make_memory(kind="documents")
    memory.import_items(
        MemoryItem(
            f"d{n}",
            f"wing number {n}",
            created_at=START + n,
            source="a" if n < 4 else "b",
            meta={"year": 1950 + n, "label": f"l{n % 2}", "draft": n == 7, "ti tle": "x", "gone": None},
        )
        for n in range(10)
    )
    return memory


def test_filters_say_which_documents_may_be_found(library: Memory) -> None:
    assert sorted(found(library, "wing")) == [f"d{n}" for n in range(10)]
    assert sorted(found(library, "wing", source="a")) == ["d0", "d1", "d2", "d3"]
    assert sorted(found(library, "wing", year=[1951, 1952, 9])) == ["d1", "d2"]
    assert sorted(found(library, "wing", label="l0", source="b")) == ["d4", "d6", "d8"]
    assert found(library, "wing", draft=True) == ["d7"]
    assert sorted(found(library, "wing", item_id=["d3", "d5"])) == ["d3", "d5"]
    assert sorted(found(library, "wing", since=START + 8)) == ["d8", "d9"]
    assert found(library, "wing", until=START) == ["d0"]
    assert len(found(library, "wing", gone=None)) == 10
    assert len(found(library, "wing", **{"ti tle": "x"})) == 10
    assert found(library, "wing", kind="segment") == []
    assert found(library, "wing", year=[]) == []
    assert found(library, "wing", unknown="x") == []


def test_what_was_said_from_a_message_on_can_be_left_out(memory: Memory) -> None:
    memory.import_messages(history(5))
    asked = memory.remember(said("user", "第3天吃什么", 1e6), turn_id="a", position=0)
    hits = memory.recall(Query("第3天吃什么", k=3, filters={"before_message_id": asked.message_id}))
    assert asked.message_id not in [hit.segment.anchor.message_id for hit in hits if hit.segment]
    assert hits[0].text == "第3天吃什么"
    assert hits[0].kind == "segment"


def test_conversations_are_told_apart(memory: Memory) -> None:
    memory.remember(said("user", "猫", conversation="one"), turn_id="a", position=0)
    memory.remember(said("user", "猫", conversation="two"), turn_id="b", position=0)
    hits = memory.recall(Query("猫", filters={"conversation": "two"}))
    assert [hit.segment.anchor.conversation for hit in hits if hit.segment] == ["two"]


@pytest.mark.parametrize("query", ['"', "a AND", "NOT b", "terms:x", "x*", "^a", "(", "a NEAR b", "-", "\x00"])
def test_no_query_is_read_as_full_text_syntax(library: Memory, query: str) -> None:
    library.recall(Query(query))


def test_scores_of_a_chat_are_the_blueprint_formula(memory: Memory) -> None:
    memory.import_messages(history(10))
    hits = memory.recall(Query("第3天吃什么", k=10, now=START + 90 * DAY_SECONDS))
    assert hits[0].text == "第3天吃什么"
    for hit in hits:
        total = 0.72 * hit.semantic_score + 0.18 * hit.lexical_score + 0.10 * hit.recency_score
        assert hit.retrieval_score == pytest.approx(total, abs=1e-6)
        assert hit.recency_score == pytest.approx(0.5, abs=0.01)  # one half-life old
    assert [hit.retrieval_score for hit in hits] == sorted((hit.retrieval_score for hit in hits), reverse=True)
    assert hits[0].semantic_score == 1.0
    assert min(hit.semantic_score for hit in hits) == 0.0


def test_of_equal_memories_the_later_one_comes_first(memory: Memory) -> None:
    for day in range(3):
        memory.remember(said("user", "下雨了", day * DAY_SECONDS), turn_id=str(day), position=0)
    hits = memory.recall(Query("下雨了", k=3, now=START + 3 * DAY_SECONDS))
    assert [hit.timestamp for hit in hits] == [START + day * DAY_SECONDS for day in (2, 1, 0)]


def test_scores_of_documents_leave_their_age_out(library: Memory) -> None:
    hits = library.recall(Query("wing number 3", k=10))
    assert hits[0].item_id == "d3"
    for hit in hits:
        assert hit.retrieval_score == pytest.approx(0.6 * hit.semantic_score + 0.4 * hit.lexical_score, abs=1e-6)


def test_a_chunk_found_by_its_words_alone_gets_its_vector_score_too(make_memory: MakeMemory) -> None:
    memory = make_memory(kind="documents", recall={"candidates": 2})
    near = [MemoryItem(f"n{n}", "aaaa aaab aaac") for n in range(5)]
    memory.import_items([*near, MemoryItem("word", "aaad zzzz yyyy xxxx wwww vvvv uuuu tttt")])
    query = Query("aaaa aaab aaac aaad", k=2)
    recall = memory.settings.recall
    found = search(query, memory.database, memory.index, memory.lexical, memory.encoders().query, recall)
    by_words = found[-1]
    assert by_words.chunk_id == 6
    assert by_words.scores.lexical_score == 1.0
    assert by_words.scores.semantic_score == 0.0  # the farthest of the candidates, not unknown
    assert [one.scores.semantic_score for one in found[:-1]] == [1.0] * (len(found) - 1)


def test_a_follow_up_finds_its_subject_through_the_context(memory: Memory) -> None:
    memory.import_messages(
        [
            said("user", "蓝色鹦鹉的笼子放阳台了", 0, conversation="a"),
            said("user", "公司年会抽奖的奖品呢", 1, conversation="b"),
        ]
    )
    alone = memory.recall(Query("然后呢", k=1))[0].text
    assert alone == "公司年会抽奖的奖品呢"
    assert memory.recall(Query("然后", context="说到蓝色鹦鹉的笼子", k=1))[0].text == "蓝色鹦鹉的笼子放阳台了"


@given(st.lists(st.floats(-100, 100, width=32), max_size=30))
def test_min_max_keeps_order_and_spans_zero_to_one(values: list[float]) -> None:
    scaled = min_max(np.array(values, dtype=np.float32))
    assert ((scaled >= 0) & (scaled <= 1)).all()
    for i, one in enumerate(values):
        for j, other in enumerate(values):
            assert one <= other or scaled[i] >= scaled[j]


def test_min_max_of_equals_is_one_where_they_mean_something() -> None:
    assert min_max(np.array([3.0, 3.0], dtype=np.float32)).tolist() == [1.0, 1.0]
    assert min_max(np.array([0.0, 0.0], dtype=np.float32)).tolist() == [0.0, 0.0]
    assert min_max(np.empty(0, dtype=np.float32)).tolist() == []


def test_recency_halves_and_ignores_what_has_no_time() -> None:
    times = np.array([START, START - 90 * DAY_SECONDS, START + 5, 0.0])
    assert recency(times, START, 90.0).tolist() == [1.0, 0.5, 1.0, 0.0]


def test_weighted_sums_parts() -> None:
    parts = np.array([[1.0, 0.0, 0.0], [0.5, 1.0, 1.0]], dtype=np.float32)
    np.testing.assert_allclose(weighted(parts, (0.72, 0.18, 0.10)), [0.72, 0.64], atol=1e-6)
