"""A request's body is bounded before anything parses it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send


class BodyLimit:
    """ASGI middleware: answers 413 to a body of more than ``limit`` bytes, whether declared or streamed.

    Args:
        app: What reads the body.
        limit: Bytes a body may have.
        routes: Paths below the mount with a limit of their own.
    """

    def __init__(self, app: ASGIApp, limit: int, routes: Mapping[str, int] | None = None) -> None:
        self.app = app
        self.limit = limit
        self.routes = routes or {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Read the body up to the limit, then pass it on."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        limit = self.routes.get(path_below_mount(scope), self.limit)
        declared = dict(scope["headers"]).get(b"content-length", b"0")
        if not declared.isdigit() or int(declared) > limit:
            await _refuse(send, limit)
            return
        parts: list[bytes] = []
        size = 0
        more = True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                return
            parts.append(message.get("body", b""))
            size += len(parts[-1])
            more = message.get("more_body", False)
            if size > limit:
                await _refuse(send, limit)
                return
        body = b"".join(parts)
        unread = True

        async def replay() -> Message:
            nonlocal unread
            if unread:
                unread = False
                return {"type": "http.request", "body": body, "more_body": False}
            return await receive()

        await self.app(scope, replay, send)


async def _refuse(send: Send, limit: int) -> None:
    await answer_error(send, 413, "BodyTooLarge", f"A request may have {limit} bytes. Send less at once.")


async def answer_error(
    send: Send, status: int, name: str, message: str, headers: Sequence[tuple[bytes, bytes]] = ()
) -> None:
    """Answer with an `ErrorBody` before the application has seen the request."""
    body = json.dumps({"error": name, "message": message}).encode()
    own = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": [*own, *headers]})
    await send({"type": "http.response.body", "body": body})


def path_below_mount(scope: Scope) -> str:
    """The request's path as the application's own routes are written."""
    return str(scope["path"]).removeprefix(scope.get("root_path", ""))
