"""A real HTTP server on this machine that speaks Gemini's batchEmbedContents, and misbehaves when told to."""

from __future__ import annotations

import hashlib
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any

import numpy as np


class EmbeddingServer:
    """Answers with vectors that depend on text and task type alone; ``failures`` are answered first, in order.

    A failure is ``(status, headers, body)``. ``requests`` keeps what arrived: path, key and parsed body.
    """

    def __init__(self, *failures: tuple[int, dict[str, str], bytes], dimension: int = 3072) -> None:
        self.failures = list(failures)
        self.requests: list[tuple[str, str | None, dict[str, Any]]] = []
        self.dimension = dimension

    def vector(self, text: str, task: str) -> list[float]:
        seed = int.from_bytes(hashlib.sha256(f"{task}\0{text}".encode()).digest()[:8], "big")
        return [round(float(x), 6) for x in np.random.default_rng(seed).standard_normal(self.dimension) * 3]

    def __enter__(self) -> EmbeddingServer:
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                outer.requests.append((self.path, self.headers.get("x-goog-api-key"), body))
                if outer.failures:
                    status, headers, answer = outer.failures.pop(0)
                else:
                    status, headers = 200, {}
                    values = [
                        outer.vector(item["content"]["parts"][0]["text"], item["taskType"]) for item in body["requests"]
                    ]
                    answer = json.dumps({"embeddings": [{"values": row} for row in values]}).encode()
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *arguments: object) -> None:
                """Keep the tests' output quiet."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
