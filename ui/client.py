"""The typed client of the HTTP API: how the web chat, scripts and other programs reach the service."""

from __future__ import annotations

from collections.abc import Sequence
from types import TracebackType
from typing import TypeVar
from urllib.parse import quote

import httpx
from pydantic import BaseModel

from cem_rag_app.errors import ServiceError
from ui.wire import (
    BuildRequest,
    Built,
    ChatReply,
    ChatRequest,
    ErrorBody,
    Feedback,
    FeedbackRequest,
    Messages,
    Preview,
    Status,
)
from ui.wire_vectors import (
    Added,
    AddRequest,
    Deleted,
    Item,
    SearchBody,
    SearchResults,
    Stored,
    VectorStats,
)

Model = TypeVar("Model", bound=BaseModel)


class Client:
    """Calls the API.

    Args:
        base_url: The API's address, for example ``http://127.0.0.1:8501/api``.
        api_key: The API's key, where it asks for one.
        timeout: Seconds one call may take; a turn with a remote model takes several.
        transport: Another way to the service; tests pass an in-process one.
    """

    def __init__(
        self,
        base_url: str,
        *,
        api_key: str | None = None,
        timeout: float = 120.0,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        headers = {} if api_key is None else {"Authorization": f"Bearer {api_key}"}
        # A proxy from the environment has no business between two ends of one process.
        self._http = httpx.Client(base_url=base_url, headers=headers, transport=transport, trust_env=False)
        self._timeout = timeout

    def chat(self, text: str, *, conversation: str = "default", turn_id: str | None = None) -> ChatReply:
        """Say something; returns once both sides of the turn are remembered."""
        body = ChatRequest(text=text, conversation=conversation, turn_id=turn_id)
        return self._call("POST", "/chat", ChatReply, body=body)

    def messages(self, *, limit: int = 60, before_id: int | None = None, conversation: str = "default") -> Messages:
        """Return the last messages of a conversation, oldest first."""
        params: dict[str, str | int] = {"limit": limit, "conversation": conversation}
        if before_id is not None:
            params["before_id"] = before_id
        return self._call("GET", "/messages", Messages, params=params)

    def mark(self, message_id: int, *, good: bool = True) -> Feedback:
        """Mark one of the persona's messages as good, or take the mark back."""
        return self._call("POST", "/feedback", Feedback, body=FeedbackRequest(message_id=message_id, good=good))

    def preview(self, text: str, *, k: int | None = None) -> Preview:
        """Show what a text would recall."""
        params: dict[str, str | int] = {"q": text} if k is None else {"q": text, "k": k}
        return self._call("GET", "/rag/preview", Preview, params=params)

    def status(self) -> Status:
        """Say what the memory holds."""
        return self._call("GET", "/rag/index/status", Status)

    def build(self, *, limit: int = 0, batch_size: int = 24) -> Built:
        """Compress, embed and index what is missing; returns when it is done."""
        body = BuildRequest(limit=limit, batch_size=batch_size)
        return self._call("POST", "/rag/index/build", Built, body=body, patient=True)

    def add_vectors(self, items: Sequence[Item], *, replace: bool = False) -> Added:
        """Store vectors, all or none; an id that is there already is a duplicate, unless it is to be replaced."""
        body = AddRequest(items=list(items), replace=replace)
        return self._call("POST", "/vectors", Added, body=body, patient=True)

    def vector(self, item_id: str) -> Stored:
        """Return one vector with its metadata and its macro sequence."""
        return self._call("GET", f"/vectors/{quote(item_id, safe='')}", Stored)

    def delete_vector(self, item_id: str) -> Deleted:
        """Delete one vector."""
        return self._call("DELETE", f"/vectors/{quote(item_id, safe='')}", Deleted)

    def search(self, question: SearchBody) -> SearchResults:
        """Find the nearest vectors."""
        return self._call("POST", "/search", SearchResults, body=question)

    def vector_stats(self) -> VectorStats:
        """Say what the collection holds and how quickly it is searched."""
        return self._call("GET", "/stats", VectorStats)

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _call(
        self,
        method: str,
        path: str,
        model: type[Model],
        *,
        params: dict[str, str | int] | None = None,
        body: BaseModel | None = None,
        patient: bool = False,
    ) -> Model:
        try:
            response = self._http.request(
                method,
                path,
                params=params,
                json=None if body is None else body.model_dump(by_alias=True, exclude_unset=True),
                timeout=None if patient else self._timeout,
            )
        except httpx.TransportError as error:
            raise ServiceError(
                f"The service at {self._http.base_url} did not answer ({type(error).__name__}).",
                remedy="Is `cem-rag serve` running?",
            ) from error
        if response.is_error:
            raise ServiceError(_message(response))
        return model.model_validate_json(response.content)


def _message(response: httpx.Response) -> str:
    """Return the service's own words, or the status when something else answered."""
    if response.headers.get("content-type", "").startswith("application/json"):
        data = response.json()
        if isinstance(data, dict) and {"error", "message"} <= data.keys():
            return ErrorBody.model_validate(data).message
    return f"The service answered {response.status_code}."
