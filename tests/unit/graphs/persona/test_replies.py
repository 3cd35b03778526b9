"""The person's words are borrowed, yesterday's facts are not."""

from __future__ import annotations

from cem_rag_app.persona.rules import HardRules
from cem_rag_app.persona.scoring import character_similarity
from cem_rag_app.schema import Message
from cem_rag_app.settings import Settings
from graphs.persona.chat import PersonaChat
from graphs.persona.offline import OfflineVoice
from graphs.persona.own_words import safe_lines
from tests.fakes.memory import FakeMemory

RULES = HardRules(persona="小满")
SETTINGS = Settings(_env_file=None)


def _history(*exchanges: tuple[str, tuple[str, ...]]) -> list[Message]:
    lines = []
    for day, (asked, replies) in enumerate(exchanges):
        for at, text in enumerate((asked, *replies)):
            role = "user" if at == 0 else "assistant"
            lines.append(Message(role, role, text, day * 86_400.0 + at * 10, source="history"))  # type: ignore[arg-type]
    return lines


def _replies(history: list[Message], *said: str) -> list[list[str]]:
    memory = FakeMemory(RULES, history)
    voice = OfflineVoice(memory, similarity=character_similarity)
    chat = PersonaChat(memory, voice, SETTINGS, similarity=character_similarity)
    return [[line.text for line in chat.reply(text).bubbles] for text in said]


def test_the_answer_once_given_to_these_words_is_given_again() -> None:
    history = _history(("下班啦", ("今晚吃啥", "辛苦啦")), ("早", ("早呀",)), ("我到家了", ("嗯嗯",)))
    assert _replies(history, "我到家了") == [["嗯嗯"]]


def test_a_bubble_about_another_day_is_left_off() -> None:
    history = _history(("早呀", ("早呀", "都十点半了")), ("我到家了", ("嗯嗯",)))
    assert _replies(history, "早呀") == [["早呀"]]


def test_someone_who_is_sad_is_not_laughed_at() -> None:
    history = _history(
        ("今天好开心", ("哈哈哈哈", "恭喜")),
        ("我摔了一跤", ("哈哈哈哈",)),
        ("好难过", ("抱抱",)),
        ("嗯", ("好呀",)),
        ("嗯", ("好呀",)),
    )
    (reply,) = _replies(history, "今天被骂了 难过")
    assert "哈哈" not in "".join(reply)


def test_good_morning_does_not_answer_good_evening() -> None:
    history = _history(("早", ("早呀",)), ("晚上好", ("晚上好呀",)), ("嗯", ("好呀",)))
    assert _replies(history, "晚上好") == [["晚上好呀"]]


def test_a_long_line_is_not_said_twice_in_a_conversation() -> None:
    history = _history(("你爱吃什么", ("我最爱吃毛肚黄喉了",)), ("嗯", ("好呀",)))
    first, second = _replies(history, "你爱吃什么", "你到底爱吃什么")
    assert first == ["我最爱吃毛肚黄喉了"]
    assert second != first


def test_safe_lines_are_short_frequent_and_say_nothing() -> None:
    history = _history(
        ("嗯", ("好呀", "哈哈哈")),
        ("嗯", ("好呀", "哈哈哈")),
        ("嗯", ("去吗？", "晚安")),
        ("嗯", ("去吗？", "晚安")),
        ("嗯", ("我七点到", "不要")),
        ("嗯", ("我七点到", "不要")),
        ("嗯", ("说过一次",)),
    )
    assert safe_lines(FakeMemory(RULES, history), RULES) == ("好呀",)
