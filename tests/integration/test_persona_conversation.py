"""A conversation over a real memory: stored, compressed, recalled, answered, in ten turns."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from cem_rag_app.cem.encoders import load_encoders
from cem_rag_app.persona.history import read_history
from cem_rag_app.persona.rules import HardRules, violations
from cem_rag_app.settings import Settings
from graphs.persona.chat import PersonaChat
from graphs.persona.voices import voice_for
from stores.memory import Memory, MemoryProfile

HISTORY = Path(__file__).parents[2] / "examples" / "history.zh.jsonl"
SETTINGS = Settings(_env_file=None)
RULES = HardRules(persona="林夏")


@pytest.fixture(scope="module")
def memory(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Memory]:
    path = tmp_path_factory.mktemp("memory") / "memory"
    profile = MemoryProfile(kind="chat", encoder="embedded-zh", persona=RULES, language="zh")
    with Memory.create(path, profile, encoders=load_encoders, settings=SETTINGS) as made:
        made.import_messages(read_history(HISTORY, format="chat-jsonl", persona="林夏"))
        made.build()
        yield made


def _chat(memory: Memory) -> PersonaChat:
    return PersonaChat(memory, voice_for(memory, SETTINGS), SETTINGS)


def test_ten_turns_answer_facts_of_the_history_and_of_the_conversation(memory: Memory) -> None:
    chat = _chat(memory)
    said = [
        "早呀",
        "我下周三要去北京出差",
        "在干嘛呢",
        "你对什么过敏呀",
        "工作室那条狗叫什么",
        "今天被老板骂了，好难过",
        "你生日是几号",
        "我哪天去出差来着",
        "你喜欢周杰伦吗",
        "晚安",
    ]
    replies = [[line.text for line in chat.reply(text, conversation="ten").bubbles] for text in said]
    assert any("芒果过敏" in bubble for bubble in replies[3])
    assert any("加班" in bubble for bubble in replies[4])
    assert any("十一月二十三" in bubble for bubble in replies[6])
    assert replies[7] == ["你不是说下周三要去北京出差嘛"]
    assert "晚安" in "".join(replies[9])
    assert not any("哈哈" in bubble for bubble in replies[5])
    assert all(violations(reply, RULES) == [] for reply in replies)
    flat = [bubble for reply in replies for bubble in reply if len(bubble) > 4]
    assert len(flat) == len(set(flat))


def test_both_sides_of_a_turn_are_recallable_in_the_next_one(memory: Memory) -> None:
    chat = _chat(memory)
    chat.reply("我养了一只仓鼠叫花生", conversation="pets")
    record = chat.reply("我的仓鼠叫什么", conversation="pets").record
    assert "花生" in "".join(record.reply)


def test_a_fact_is_recalled_when_it_has_left_the_running_conversation(memory: Memory) -> None:
    chat = _chat(memory)
    chat.reply("我的车牌尾号是六六八", conversation="first")
    record = chat.reply("我的车牌尾号是多少", conversation="second").record
    assert "六六八" in "".join(record.reply)
    assert any(hit.kind == "online" and "六六八" in hit.anchor for hit in record.hits)


def test_a_turn_asked_twice_is_stored_once(memory: Memory) -> None:
    chat = _chat(memory)
    first = chat.reply("在吗", conversation="twice", turn_id="twice-1")
    second = chat.reply("在吗", conversation="twice", turn_id="twice-1")
    assert second.bubbles == first.bubbles
    assert [line.text for line in memory.recent(50, conversation="twice")] == [
        "在吗",
        *(line.text for line in first.bubbles),
    ]


def test_the_record_of_a_turn_can_be_read_back(memory: Memory) -> None:
    turn = _chat(memory).reply("下班啦", conversation="records")
    kept = memory.record(turn.turn_id)
    assert kept is not None
    assert kept["reply"] == [line.text for line in turn.bubbles]
    assert kept["voice"] == "offline"
    assert kept["hits"][0]["lines"]
