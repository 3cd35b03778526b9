"""Hits that add something: no message itself, no running conversation, no flood."""

from __future__ import annotations

from cem_rag_app.schema import Hit, HitKind, Message, Segment
from graphs.persona.variety import varied

NOW = Message("user", "阿远", "火锅吃什么", 1.0, message_id=100)


def _hit(number: int, text: str, score: float, kind: HitKind = "segment", alike: float = 0.9) -> Hit:
    anchor = Message("user", "阿远", text, 0.0, message_id=number)
    return Hit(number, kind, text, alike, 0.0, 0.0, score, segment=Segment(number, anchor, (anchor,)))


def _kept(hits: list[Hit], k: int = 4, recent: tuple[Message, ...] = ()) -> list[str]:
    return [hit.text for hit in varied(hits, k, message=NOW, recent=recent)]


def test_the_message_itself_and_its_twins_are_left_out() -> None:
    assert _kept([_hit(100, "火锅吃什么", 1.0), _hit(7, "火锅吃什么？", 0.9), _hit(8, "毛肚", 0.5)]) == ["毛肚"]


def test_what_the_running_conversation_shows_is_not_recalled_again() -> None:
    recent = (Message("user", "阿远", "毛肚", 0.5, message_id=8),)
    assert _kept([_hit(8, "毛肚", 0.5), _hit(9, "黄喉", 0.4)], recent=recent) == ["黄喉"]


def test_the_same_words_count_once() -> None:
    assert _kept([_hit(1, "晚安", 0.9), _hit(2, "晚安～", 0.8), _hit(3, "早安", 0.7)]) == ["晚安", "早安"]


def test_what_was_told_in_this_chat_comes_on_top_and_crowds_nothing_out() -> None:
    online = [_hit(n, f"我有{n}只猫", 1.0 - n / 100, "online") for n in range(1, 6)]
    history = [_hit(n, f"旧事{n}", 0.5 - n / 100) for n in range(11, 16)]
    assert _kept([*online, *history]) == ["我有1只猫", "我有2只猫", "旧事11", "旧事12", "旧事13", "旧事14"]


def test_questions_asked_in_this_chat_only_fill_what_is_left() -> None:
    hits = [_hit(1, "猫叫什么", 0.9, "online"), _hit(2, "旧事", 0.5), _hit(3, "旧人", 0.4)]
    assert _kept(hits, k=2) == ["旧事", "旧人"]
    assert _kept(hits, k=3) == ["猫叫什么", "旧事", "旧人"]


def test_being_recent_alone_recalls_nothing() -> None:
    assert _kept([_hit(1, "我到家了", 0.3, "online", alike=0.1), _hit(2, "旧事", 0.2)]) == ["旧事"]
