"""The load generator: on this machine alone, every answer counted, and sent on time although nobody answers."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from scripts.open_load import send_steadily


@pytest.fixture
def server():
    class Answer(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        met = threading.Barrier(5, timeout=20)

        def do_POST(self):
            body = self.rfile.read(int(self.headers["content-length"]))
            if body == b"together":
                self.met.wait()  # answered once five are under way
            self.send_response(500 if body == b"bad" else 200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Answer) as listening:
        threading.Thread(target=listening.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{listening.server_port}/search"
        listening.shutdown()


def test_another_machine_is_not_loaded():
    with pytest.raises(ValueError, match=r"example\.org is not this machine"):
        send_steadily("http://example.org/search", [b"{}"], rate=1)


@pytest.mark.enable_socket
def test_every_request_is_counted_with_its_own_answer(server):
    measured = send_steadily(server, [b"a", b"bad", b"c"], rate=200)
    assert measured.bodies == {0: b"a", 2: b"c"}
    assert (len(measured.seconds), measured.failed) == (2, 1)


@pytest.mark.enable_socket
def test_requests_leave_on_time_although_earlier_ones_have_no_answer(server):
    assert send_steadily(server, [b"together"] * 5, rate=200).failed == 0
