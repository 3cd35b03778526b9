"""Runs `cem-rag` as a person would: as a process of its own."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx


def cem_rag(*arguments: str | Path, said: str | None = None, seconds: float = 180) -> subprocess.CompletedProcess[str]:
    """Run one command to its end, with ``said`` on its standard input."""
    command = [sys.executable, "-m", "ui.cli", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=seconds, check=False, input=said)


def free_port() -> int:
    """Return a port nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def serving(*arguments: str, seconds: float = 60.0) -> Iterator[str]:
    """Serve until the block ends; gives the address once `/healthz` answers.

    Raises:
        AssertionError: The server did not start; the message is its output.
    """
    port = free_port()
    command = [sys.executable, "-m", "ui.cli", *arguments, "--port", str(port)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
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
