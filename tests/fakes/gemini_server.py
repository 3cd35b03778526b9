"""A real HTTP server on this machine that speaks Gemini's generateContent, and misbehaves when told to."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any


@dataclass
class Request:
    """One request as it arrived."""

    path: str
    key: str | None
    body: dict[str, Any]

    @property
    def prompt(self) -> str:
        return "".join(part.get("text", "") for content in self.body["contents"] for part in content["parts"])


@dataclass
class Response:
    """What to answer; ``hang`` waits until the server is closed."""

    status: int = 200
    body: dict[str, Any] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)
    hang: bool = False


def said(text: str, finish: str = "STOP") -> Response:
    """A normal answer."""
    return Response(
        body={
            "candidates": [
                {"content": {"role": "model", "parts": [{"text": text}]}, "finishReason": finish, "index": 0}
            ],
            "usageMetadata": {"promptTokenCount": 100, "candidatesTokenCount": 20, "totalTokenCount": 120},
            "modelVersion": "local",
        }
    )


def failed(status: int, reason: str, retry_after: str | None = None) -> Response:
    """An error as Google words it."""
    headers = {} if retry_after is None else {"Retry-After": retry_after}
    return Response(status, {"error": {"code": status, "message": f"{reason} happened", "status": reason}}, headers)


def blocked_prompt() -> Response:
    """No candidates: the prompt was blocked."""
    return Response(
        body={"promptFeedback": {"blockReason": "PROHIBITED_CONTENT"}, "usageMetadata": {"totalTokenCount": 9}}
    )


def blocked_answer() -> Response:
    """A candidate without content: the answer was blocked."""
    return Response(
        body={"candidates": [{"finishReason": "SAFETY", "index": 0}], "usageMetadata": {"totalTokenCount": 9}}
    )


class GeminiServer:
    """Listens on a free port; ``answer`` decides each response."""

    def __init__(self, answer: Callable[[Request], Response]) -> None:
        self.requests: list[Request] = []
        self._closing = threading.Event()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                request = Request(self.path, self.headers.get("x-goog-api-key"), body)
                outer.requests.append(request)
                response = answer(request)
                if response.hang:
                    outer._closing.wait()
                payload = json.dumps(response.body).encode()
                try:
                    self.send_response(response.status)
                    for name, value in {**response.headers, "Content-Type": "application/json"}.items():
                        self.send_header(name, value)
                    self.send_header("Content-Length", str(len(payload)))
                    self.end_headers()
                    self.wfile.write(payload)
                except (BrokenPipeError, ConnectionResetError):
                    self.close_connection = True

            def log_message(self, format: str, *args: Any) -> None:
                del format, args

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    @property
    def url(self) -> str:
        host, port = self._server.server_address[:2]
        return f"http://{host!s}:{port}"

    def __enter__(self) -> GeminiServer:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._closing.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
