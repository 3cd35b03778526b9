"""The last word is the rules', whatever was proposed."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from cem_rag_app.errors import ChatModelError
from cem_rag_app.persona.rules import HardRules, Violation, violations
from cem_rag_app.persona.scoring import Candidate
from cem_rag_app.schema import Message
from graphs.persona.enforcement import choose_reply
from graphs.persona.record import CandidateRecord
from tests.fakes.histories import short_history
from tests.fakes.memory import FakeMemory

RULES = HardRules(persona="小满")
MEMORY = FakeMemory(RULES, short_history())


def _choose(
    *candidates: tuple[str, ...],
    repaired: tuple[str, ...] | None = None,
    memory: FakeMemory = MEMORY,
    recent: Sequence[Message] = (),
    asked: list[tuple[str, ...]] | None = None,
    rules: HardRules = RULES,
) -> tuple[str, tuple[str, ...]]:
    def repair(candidate: Candidate, broken: Sequence[Violation]) -> Candidate | None:
        assert broken
        if asked is not None:
            asked.append(tuple(violation.rule for violation in broken))
        return Candidate(repaired, "repair") if repaired else None

    chosen = choose_reply(
        [CandidateRecord(bubbles=bubbles, origin="x") for bubbles in candidates],
        rules=rules,
        repair=repair,
        memory=memory,
        recent=recent,
    )
    return chosen.choice, chosen.bubbles


def test_the_best_candidate_that_obeys_is_said_as_it_is() -> None:
    asked: list[tuple[str, ...]] = []
    assert _choose(("好呀", "走吧"), ("不去",), asked=asked) == ("best", ("好呀", "走吧"))
    assert asked == []


def test_form_alone_is_mended_without_asking_anyone() -> None:
    asked: list[tuple[str, ...]] = []
    choice, bubbles = _choose(("一", "二", "三", "四", "五"), asked=asked)
    assert (choice, bubbles, asked) == ("mended", ("一", "二", "三", "四"), [])


def test_words_that_break_a_rule_are_repaired_once_with_the_reason() -> None:
    asked: list[tuple[str, ...]] = []
    assert _choose(("老婆晚安",), ("走吧",), repaired=("好的宝贝",), asked=asked) == ("repaired", ("好的宝贝",))
    assert asked == [("pet_name",)]


def test_a_repair_that_breaks_a_rule_too_gives_way_to_the_next_candidate() -> None:
    asked: list[tuple[str, ...]] = []
    assert _choose(("老婆晚安",), ("亲爱的",), ("走吧",), repaired=("老 婆",), asked=asked) == ("next_best", ("走吧",))
    assert len(asked) == 1


def test_a_repair_that_fails_gives_way_to_the_next_candidate() -> None:
    def fail(candidate: Candidate, broken: Sequence[Violation]) -> Candidate | None:
        raise ChatModelError("no answer")

    records = [CandidateRecord(bubbles=("老婆晚安",), origin="x"), CandidateRecord(bubbles=("走吧",), origin="x")]
    chosen = choose_reply(records, rules=RULES, repair=fail, memory=MEMORY, recent=())
    assert (chosen.choice, chosen.bubbles) == ("next_best", ("走吧",))
    assert "no answer" in chosen.reason and "pet_name" in chosen.reason


def test_a_safe_line_is_not_said_twice_in_a_row() -> None:
    recent = (Message("assistant", "小满", "嗯嗯", 1.0),)
    assert _choose(("老婆",)) == ("own_words", ("嗯嗯",))
    assert _choose(("老婆",), recent=recent)[1] != ("嗯嗯",)


def test_a_person_without_a_safe_line_gets_a_neutral_one() -> None:
    silent = FakeMemory(RULES, [Message("assistant", "小满", "我昨天买了三斤苹果和两斤梨", 1.0)])
    assert _choose(("老婆",), memory=silent) == ("neutral", ("嗯嗯",))


def test_what_the_chat_said_itself_is_no_source_of_safe_lines() -> None:
    own = FakeMemory(RULES, [Message("assistant", "小满", "呜呼", float(i), source="chat") for i in range(9)])
    assert _choose(("老婆",), memory=own)[0] == "neutral"


BAD = st.sampled_from(
    ["老婆", "亲 爱 的", "作为AI", "# 标题", "- 一\n- 二", "", "啊" * 90, "首先，其次，最后", "宝 宝", "l p 老公"]
)
ANY = st.lists(st.one_of(BAD, st.text(max_size=60)), max_size=8).map(tuple)


@given(candidates=st.lists(ANY, max_size=4), repaired=st.one_of(st.none(), ANY))
def test_whatever_is_proposed_what_is_said_obeys(
    candidates: list[tuple[str, ...]], repaired: tuple[str, ...] | None
) -> None:
    _, bubbles = _choose(*candidates, repaired=repaired)
    assert bubbles and violations(bubbles, RULES) == []
