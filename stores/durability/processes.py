"""Children that are expected to die: forked from a parent that has imported everything and opened nothing."""

from __future__ import annotations

import logging
import os
import select
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass

from cem_rag_app.errors import StoreError

Tell = Callable[[str], None]
"""Sends one line to the parent; it is out of the child, whatever becomes of it, when the call returns."""

LONGEST_LIFE_SECONDS = 300.0
_FAILED = "!"


@dataclass(frozen=True, slots=True)
class Life:
    """What a child said, and how it ended."""

    lines: tuple[str, ...]
    killed: bool
    crashed: str
    """Why it ended otherwise than by its own end or kill -9; empty if it did not."""


def live(work: Callable[[Tell], None], *, kill_after: float | None = None) -> Life:
    """Fork a child that does ``work``; returns when it is dead.

    Args:
        work: runs in the child; may kill it.
        kill_after: seconds from its first line to kill -9; None lets it live.

    Raises:
        StoreError: it neither ended nor died in five minutes.
    """
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reader)
        _child(work, writer)
    os.close(writer)
    received = bytearray()
    try:
        in_time = _listen(reader, received, kill_after)
        if not in_time:
            os.kill(child, signal.SIGKILL)
            while piece := os.read(reader, 1 << 16):
                received += piece
    finally:
        os.close(reader)
        _, status = os.waitpid(child, 0)
    lines = tuple(received.decode().split("\n")[:-1])
    if not in_time and kill_after is None:
        raise StoreError(f"A child hung. It last said: {lines[-1:]}.", remedy="Look at what it was doing.")
    crashed = ""
    if lines and lines[-1].startswith(_FAILED):
        crashed = lines[-1][1:]
    elif os.WIFSIGNALED(status) and os.WTERMSIG(status) != signal.SIGKILL:
        crashed = f"signal {os.WTERMSIG(status)}"
    return Life(lines, os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL, crashed)


def _child(work: Callable[[Tell], None], writer: int) -> None:
    def tell(line: str) -> None:
        data = line.encode() + b"\n"
        while data:
            data = data[os.write(writer, data) :]

    logging.disable(logging.WARNING)  # what a damaged memory says of itself is told through the pipe
    code = 1
    try:
        work(tell)
        code = 0
    except BaseException as error:  # noqa: BLE001 - whatever it is, the parent is to hear of it
        tell(f"{_FAILED}{error!r}".replace("\n", " "))
    finally:
        os._exit(code)


def _listen(reader: int, received: bytearray, kill_after: float | None) -> bool:
    """Collect what a child says until it ends; False when its time is up first."""
    end = time.monotonic() + LONGEST_LIFE_SECONDS
    counting = False
    while True:
        if kill_after is not None and received and not counting:
            end, counting = time.monotonic() + kill_after, True
        ready, _, _ = select.select([reader], [], [], max(0.0, end - time.monotonic()))
        if not ready:
            return False
        piece = os.read(reader, 1 << 16)
        if not piece:
            return True
        received += piece
