"""A question finds the line that answered it, and nothing where nothing does."""

from __future__ import annotations

import pytest

from cem_rag_app.persona.scoring import character_similarity
from cem_rag_app.schema import Message
from graphs.persona.facts import echo, find_facts
from graphs.persona.lexicon import Lexicon
from graphs.persona.questions import take_apart

DAY = 86_400.0


def _lines(*said: tuple[str, str], day: int = 0, source: str = "history") -> list[Message]:
    return [
        Message(role, role, text, day * DAY + at * 10, message_id=day * 100 + at + 1, source=source)  # type: ignore[arg-type]
        for at, (role, text) in enumerate(said)
    ]


CAT = _lines(("user", "你家猫怕什么"), ("assistant", "怕吹风机"), ("assistant", "一开就跑"), ("user", "哈哈"))
SPRING = _lines(("user", "你姐婚礼定了吗"), ("assistant", "定了 五月二号"), day=10)
SUMMER = _lines(("user", "在忙吗"), ("assistant", "我姐婚礼改到五月十六号了"), day=20)
ALLERGY = _lines(("user", "我对芒果过敏的"), ("assistant", "啊？"), day=30)
ALL = [CAT, SPRING, SUMMER, ALLERGY]
LEXICON = Lexicon(line.text for lines in ALL for line in lines)


def _best(question: str, stretches: list[list[Message]] = ALL) -> str | None:
    found = find_facts(take_apart(question), list(enumerate(stretches)), LEXICON, character_similarity)
    return found[0].line.text if found else None


def test_the_first_bubble_after_a_like_question_is_the_answer() -> None:
    assert _best("猫怕什么来着") == "怕吹风机"


def test_of_two_answers_the_later_one_holds() -> None:
    assert _best("你姐婚礼是哪天") == "我姐婚礼改到五月十六号了"
    assert _best("你姐婚礼是哪天", [SPRING]) == "定了 五月二号"


def test_when_wants_a_time_and_how_many_a_number() -> None:
    assert _best("猫什么时候怕", [CAT]) is None
    assert _best("婚礼有多少人", [CAT]) is None


def test_what_the_user_told_of_themselves_is_found() -> None:
    assert _best("我对什么过敏") == "我对芒果过敏的"


def test_a_question_is_no_answer_to_a_question() -> None:
    assert _best("你家猫怕什么", [CAT[:1]]) is None


def test_what_the_voice_said_itself_proves_nothing() -> None:
    own = _lines(("user", "猫怕什么"), ("assistant", "猫怕黄瓜"), day=40, source="chat")
    assert _best("猫怕什么", [own]) is None


def test_a_question_without_a_subject_finds_nothing() -> None:
    assert _best("什么呢") is None


@pytest.mark.parametrize(
    ("line", "question", "told"),
    [
        ("我下周三要去杭州出差", "我哪天出差", "你不是说下周三要去杭州出差嘛"),
        ("我下周三去杭州 好紧张啊", "我哪天去杭州", "你不是说下周三去杭州嘛"),
        ("你上次送我的书丢了", "我的书呢", "你不是说我上次送你的书丢嘛"),
        ("三月八号 从小被笑", "我生日几号", "你不是说三月八号嘛"),
    ],
)
def test_the_users_words_are_given_back_from_the_persons_side(line: str, question: str, told: str) -> None:
    assert echo(line, question, "你不是说", "嘛") == told


@pytest.mark.parametrize(
    ("question", "subject", "kind", "strict"),
    [
        ("你生日几号来着", "生日", "time", True),
        ("火锅基金现在多少钱了", "火锅基金", "amount", True),
        ("那本绘本叫什么", "绘本", "name", False),
        ("年糕在哪捡的", "年糕在 捡", "place", False),
        ("为什么", "", "reason", False),
        ("在干嘛呢", "在", None, False),
    ],
)
def test_a_question_is_taken_apart(question: str, subject: str, kind: str | None, strict: bool) -> None:
    apart = take_apart(question)
    assert (apart.subject, apart.kind, apart.strict) == (subject, kind, strict)


def test_why_alone_asks_back() -> None:
    assert take_apart("为什么").asks_back
    assert not take_apart("为什么辞职").asks_back


def test_a_pair_of_letters_nobody_said_is_a_word_of_its_own() -> None:
    lexicon = Lexicon(["开门", "上车", "车来了", "火锅", "火锅 基金", "火锅基金"])
    assert lexicon.subject("开车") == {"开车"}
    assert lexicon.coverage(lexicon.subject("开车"), {"车", "上车"}) < 0.5


def test_where_two_known_words_meet_is_no_word() -> None:
    lexicon = Lexicon(["火锅", "火锅", "基金", "基金", "火锅基金"])
    assert lexicon.subject("火锅基金") == {"火锅", "基金"}


def test_a_gram_in_every_message_weighs_nothing_and_one_in_none_everything() -> None:
    lexicon = Lexicon(["的", "的", "的"])
    assert lexicon.weight("的") == 0.0
    assert 0.8 < lexicon.weight("猫") <= 1.0
