"""The API's key: asked for before a body is read, compared in constant time."""

from __future__ import annotations

import hmac
from typing import TYPE_CHECKING, Any

from ui.api.limits import answer_error, path_below_mount

if TYPE_CHECKING:
    from fastapi import FastAPI
    from starlette.types import ASGIApp, Receive, Scope, Send

OPEN = ("/healthz", "/docs", "/docs/oauth2-redirect", "/redoc", "/openapi.json")
"""Paths that tell nothing of what is stored: health is one word without the key."""

SCHEMES: dict[str, Any] = {
    "Bearer": {"type": "http", "scheme": "bearer"},
    "ApiKey": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
}
"""How the key is sent, in the words of OpenAPI; either will do."""


class ApiKey:
    """ASGI middleware: answers 401 to every request without the key, unknown paths included.

    Args:
        app: What is protected.
        key: The key; not empty.
    """

    def __init__(self, app: ASGIApp, key: str) -> None:
        self.app = app
        self.key = key

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let through who has the key."""
        if scope["type"] != "http" or path_below_mount(scope) in OPEN or holds_key(scope, self.key):
            await self.app(scope, receive, send)
            return
        message = "This API asks for a key. Send it as `Authorization: Bearer KEY` or as `X-API-Key: KEY`."
        await answer_error(send, 401, "KeyRequired", message, [(b"www-authenticate", b"Bearer")])


def holds_key(scope: Scope, key: str) -> bool:
    """Whether a request brings the key, as a bearer or in a header of its own."""
    headers = dict(scope["headers"])
    scheme, _, token = headers.get(b"authorization", b"").partition(b" ")
    bearer = scheme.lower() == b"bearer" and hmac.compare_digest(token.strip(), key.encode())
    return bearer or hmac.compare_digest(headers.get(b"x-api-key", b""), key.encode())


def document_key(api: FastAPI) -> None:
    """Say in the OpenAPI description which operations ask for the key, and how it is sent."""
    plain = api.openapi

    def openapi() -> dict[str, Any]:
        described = plain()
        described.setdefault("components", {})["securitySchemes"] = SCHEMES
        for path, operations in described["paths"].items():
            for operation in operations.values():
                operation["security"] = [] if path in OPEN else [{name: []} for name in SCHEMES]
                if path not in OPEN:
                    operation["responses"]["401"] = {**operation["responses"]["500"], "description": "Send the key."}
        return described

    api.openapi = openapi  # type: ignore[method-assign] # FastAPI's own way to change it
