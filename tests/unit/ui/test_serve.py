"""How the one process listens."""

from __future__ import annotations

import asyncio
import socket

import pytest
import uvicorn


@pytest.mark.enable_socket
def test_answers_leave_at_once_although_streamlit_binds_the_socket():
    """Headers and body are two writes: with Nagle's algorithm the second waits 40 ms for the first one's receipt."""
    accepted = []

    class Listener(asyncio.Protocol):
        def connection_made(self, transport):
            accepted.append(transport.get_extra_info("socket").getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
            transport.close()

    async def connect():
        bound = socket.socket(socket.AF_INET)  # as Streamlit makes it: without the protocol's number
        bound.bind(("127.0.0.1", 0))
        server = await asyncio.get_running_loop().create_server(Listener, sock=bound)
        reader, writer = await asyncio.open_connection(*bound.getsockname())
        await reader.read()
        writer.close()
        server.close()

    with asyncio.Runner(loop_factory=uvicorn.Config(None).get_loop_factory()) as runner:
        runner.run(connect())
    assert accepted
    assert all(accepted)
