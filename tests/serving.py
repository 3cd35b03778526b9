"""A small chat, and a memory built from it by the real commands."""

from __future__ import annotations

import json
from pathlib import Path

from scripts.processes import cem_rag

HISTORY = (
    ("阿宁", "在干嘛呢"),
    ("小满", "刚到家"),
    ("小满", "累死了啦"),
    ("阿宁", "晚上吃什么"),
    ("小满", "火锅！"),
    ("小满", "就去巷口那家"),
    ("阿宁", "你上次说的猫叫什么"),
    ("小满", "叫年糕呀"),
    ("小满", "它昨天又把花瓶打翻了"),
    ("阿宁", "周末去爬山吗"),
    ("小满", "不去 太早了起不来"),
    ("阿宁", "那看电影"),
    ("小满", "可以诶"),
    ("阿宁", "几点见"),
    ("小满", "三点吧"),
    ("小满", "别迟到哦"),
    ("阿宁", "<b>晚安</b>"),
    ("小满", "晚安啦"),
)


def write_history(path: Path, lines=HISTORY) -> Path:
    """A small chat, one message a minute."""
    rows = (
        {"time": f"2026-03-01T20:{minute:02d}:00+08:00", "speaker": speaker, "text": text}
        for minute, (speaker, text) in enumerate(lines)
    )
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    return path


def build_memory(folder: Path) -> Path:
    """Import and build the small chat."""
    memory = folder / "memory"
    history = write_history(folder / "chat.jsonl")
    for arguments in (
        ("import", history, "--as", "chat-jsonl", "--persona", "小满", "--memory", memory),
        ("build", "--memory", memory),
    ):
        done = cem_rag(*arguments)
        assert done.returncode == 0, done.stderr
    return memory
