"""A steady load over loopback: every request leaves on time, whether or not earlier ones have been answered.

A generator that waits for an answer before it sends the next request stops asking exactly while the service is slow,
and so measures the good moments alone. Here time is counted from the moment a request was due.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from urllib.parse import urlsplit

MOST_OPEN = 256
"""Requests that may be under way at once; one that is due beyond them is not sent, and counts as failed."""

LOOPBACK = ("127.0.0.1", "localhost", "::1")


@dataclass
class Measured:
    """What a load saw.

    Attributes:
        seconds: time from due to answered, of every request that was answered with 200.
        late: time from due to sent: how far the generator itself fell behind.
        failed: requests that were refused, broken off, or not sent.
        bodies: answers by number of request.
        wall: time from the first to the last.
    """

    seconds: list[float] = field(default_factory=list)
    late: list[float] = field(default_factory=list)
    failed: int = 0
    bodies: dict[int, bytes] = field(default_factory=dict)
    wall: float = 0.0


def send_steadily(url: str, bodies: Sequence[bytes], rate: float) -> Measured:
    """POST JSON bodies to an address of this machine, ``rate`` a second.

    Raises:
        ValueError: the address is another machine's, which nobody asked to be loaded.
    """
    host = urlsplit(url).hostname
    if host not in LOOPBACK:
        raise ValueError(f"{host} is not this machine")
    return asyncio.run(_send(url, bodies, rate))


async def _send(url: str, bodies: Sequence[bytes], rate: float) -> Measured:
    parts = urlsplit(url)
    idle: list[_Connection] = []
    measured = Measured()
    open_now = 0

    async def one(number: int, due: float) -> None:
        nonlocal open_now
        connection = idle.pop() if idle else _Connection(str(parts.hostname), int(parts.port or 80))
        try:
            measured.late.append(time.perf_counter() - due)
            status, body = await connection.post(parts.path, bodies[number])
        except (OSError, EOFError, ValueError):
            measured.failed += 1
            connection.close()
        else:
            idle.append(connection)
            if status == 200:
                measured.seconds.append(time.perf_counter() - due)
                measured.bodies[number] = body
            else:
                measured.failed += 1
        finally:
            open_now -= 1

    began = time.perf_counter()
    tasks = []
    for number in range(len(bodies)):
        due = began + number / rate
        await asyncio.sleep(max(0.0, due - time.perf_counter()))
        if open_now == MOST_OPEN:
            measured.failed += 1
            continue
        open_now += 1
        tasks.append(asyncio.create_task(one(number, due)))
    await asyncio.gather(*tasks)
    measured.wall = time.perf_counter() - began
    for connection in idle:
        connection.close()
    return measured


class _Connection:
    """One kept-alive HTTP/1.1 connection: as little of a client as there can be, since it shares the server's cores."""

    def __init__(self, host: str, port: int) -> None:
        self._host, self._port = host, port
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def post(self, path: str, body: bytes) -> tuple[int, bytes]:
        """Send JSON and read the whole answer: its status and body."""
        if self._streams is None or self._streams[0].at_eof():  # a server closes what is idle for some seconds
            self.close()
            self._streams = await asyncio.open_connection(self._host, self._port)
        reader, writer = self._streams
        head = (
            f"POST {path} HTTP/1.1\r\nHost: {self._host}:{self._port}\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(body)}\r\n\r\n"
        )
        writer.write(head.encode() + body)
        lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:])}
        answer = await reader.readexactly(int(headers["content-length"]))
        return int(lines[0].split()[1]), answer

    def close(self) -> None:
        """Let go of it."""
        if self._streams is not None:
            self._streams[1].close()
