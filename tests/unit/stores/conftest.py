"""Memories to test with: small settings, fake encoders."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from cem_rag_app.persona.rules import HardRules
from cem_rag_app.schema import Message
from cem_rag_app.settings import Settings
from stores.memory import Memory, MemoryProfile
from tests.fakes.encoders import fake_encoders

START = 1_700_000_000.0

MakeMemory = Callable[..., Memory]


@pytest.fixture
def make_memory(tmp_path: Path) -> Iterator[MakeMemory]:
    """``make_memory()`` creates a memory, or opens the one that is there; settings sections as keywords."""
    opened: list[Memory] = []

    def make(*, kind: str = "chat", folder: str = "memory", encoders: Any = fake_encoders, **sections: Any) -> Memory:
        settings = Settings(**{"pack": {"level": 3}, **sections})
        path = tmp_path / folder
        if (path / "catalog.sqlite").exists():
            memory = Memory.open(path, encoders=encoders, settings=settings)
        else:
            rules = HardRules(persona="小雨") if kind == "chat" else None
            profile = MemoryProfile(kind, "fake", rules, "zh" if kind == "chat" else "en")
            memory = Memory.create(path, profile, encoders=encoders, settings=settings)
        opened.append(memory)
        return memory

    yield make
    for memory in opened:
        memory.close()


@pytest.fixture
def memory(make_memory: MakeMemory) -> Memory:
    """An empty chat memory."""
    return make_memory()


def said(role: str, text: str, at: float = 0.0, **more: Any) -> Message:
    """A message ``at`` seconds after the start."""
    return Message(role, "我" if role == "user" else "小雨", text, START + at, **more)


def history(turns: int = 20, source: str = "history") -> list[Message]:
    """Turns of three lines: a question, and two bubbles that answer it."""
    dishes = ["火锅", "饺子", "凉皮", "拉面", "寿司", "烤鱼", "披萨", "馄饨", "米线", "煎饼"]
    lines = []
    for turn in range(turns):
        dish = dishes[turn % len(dishes)]
        for place, (role, text) in enumerate(
            [("user", f"第{turn}天吃什么"), ("assistant", f"吃{dish}"), ("assistant", f"{dish}店第{turn}家\n好不好")]
        ):
            source_id = f"{turn}.{place}"
            lines.append(said(role, text, turn * 3600.0 + place, source=source, source_id=source_id))
    return lines
