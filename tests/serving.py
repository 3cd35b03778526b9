"""Runs `cem-rag` as a person would: as a process of its own."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

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


def cem_rag(*arguments: str | Path, **options) -> subprocess.CompletedProcess[str]:
    """Run one command to its end."""
    command = [sys.executable, "-m", "ui.cli", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=180, check=False, **options)


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


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextmanager
def serving(*arguments: str, seconds: float = 60.0) -> Iterator[str]:
    """Serve until the block ends; gives the address once `/healthz` answers."""
    port = free_port()
    command = [sys.executable, "-m", "ui.cli", *arguments, "--port", str(port)]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=dict(os.environ)
    )
    url = f"http://127.0.0.1:{port}"
    try:
        until = time.monotonic() + seconds
        while True:
            try:
                httpx.get(f"{url}/healthz", trust_env=False, timeout=30)
                break
            except httpx.TransportError:
                if process.poll() is not None or time.monotonic() > until:
                    process.kill()
                    raise AssertionError(f"the server did not start:\n{process.communicate()[0]}") from None
                time.sleep(0.1)
        yield url
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
            try:
                process.communicate(timeout=20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.communicate()
