"""The FastAPI application. Every route is a plain function, so Starlette runs it in a thread and nothing blocks."""

from __future__ import annotations

import dataclasses
import logging
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import FastAPI, HTTPException, Query, Request, Response
from starlette.middleware.trustedhost import TrustedHostMiddleware

from cem_rag_app import schema
from cem_rag_app.errors import CemRagError, MemoryMissingError
from ui.addresses import LOOPBACK
from ui.api.errors import add_error_handlers
from ui.api.keys import ApiKey, document_key, holds_key
from ui.api.limits import BodyLimit
from ui.api.metrics import CONTENT_TYPE, Measured, Metrics
from ui.api.searches import Searches
from ui.api.vectors import add_vector_routes
from ui.wire import (
    MAX_TEXT,
    BuildRequest,
    Built,
    ChatReply,
    ChatRequest,
    ErrorBody,
    Feedback,
    FeedbackRequest,
    Health,
    HitOut,
    MessageOut,
    Messages,
    Preview,
    Status,
)

if TYPE_CHECKING:
    from ui.app import Services

DESCRIPTION = """A memory that is stored compressed, searched compressed, and opened only where it is recalled.

Everything returned under `text` is plain text somebody wrote: show it as text, never as HTML or Markdown."""


def create_api(services: Services) -> FastAPI:
    """Build the application; it is mounted under `/api` by `ui.serve`, and stands alone in tests.

    Args:
        services: The wired parts; nothing is opened before a request asks for it.
    """
    responses: dict[int | str, dict[str, Any]] = {
        status: {"model": ErrorBody} for status in (400, 404, 405, 409, 413, 422, 500, 502, 503, 507)
    }
    api = FastAPI(title="CEM-RAG", version="1", description=DESCRIPTION, responses=responses)
    server = services.settings.server
    vectors = services.settings.vectors
    metrics = Metrics()
    # The last one added is the first one asked.
    api.add_middleware(BodyLimit, limit=server.max_body_bytes, routes={"/vectors": vectors.max_body_bytes})
    if server.api_key is not None:
        api.add_middleware(ApiKey, key=server.api_key.get_secret_value())
        document_key(api)
    if server.host in LOOPBACK:
        # Another site's page must not reach a service on this machine by giving its own name this machine's address.
        api.add_middleware(TrustedHostMiddleware, allowed_hosts=[*LOOPBACK, "[::1]"])
    api.add_middleware(Measured, metrics=metrics)
    add_error_handlers(api)
    building = threading.Lock()

    @api.get("/rag/preview")
    def preview(
        q: Annotated[str, Query(min_length=1, max_length=MAX_TEXT, description="The text to recall for.")],
        k: Annotated[int | None, Query(ge=1, le=200, description="Hits; the setting `recall.k` when left out.")] = None,
    ) -> Preview:
        """Show what a text would recall, with every part of the score. Only these hits are decompressed."""
        query = schema.Query(text=q, k=k or services.settings.recall.k)
        return Preview(query=q, hits=[HitOut.of(hit) for hit in services.memory.recall(query)])

    @api.get("/rag/index/status")
    def index_status() -> Status:
        """Say what the memory holds and how large it is."""
        return Status.model_validate(services.memory.status())

    @api.post("/rag/index/build")
    def index_build(request: BuildRequest) -> Built:
        """Compress, embed and index what is missing; one build at a time."""
        if not building.acquire(blocking=False):
            raise HTTPException(409, "A build is running. Wait for it; GET /api/rag/index/status shows how far it is.")
        try:
            report = services.memory.build(limit=request.limit, batch_size=request.batch_size)
        finally:
            building.release()
        return Built.model_validate(dataclasses.asdict(report))

    @api.post("/chat")
    def chat(request: ChatRequest) -> ChatReply:
        """Say something to the persona. Both sides of the turn are remembered before this answers."""
        turn = services.chat.reply(request.text, conversation=request.conversation, turn_id=request.turn_id)
        return ChatReply(
            turn_id=turn.turn_id,
            bubbles=[MessageOut.of(bubble) for bubble in turn.bubbles],
            offline=turn.offline,
            record=turn.record.model_dump(mode="json"),
        )

    @api.post("/feedback")
    def feedback(request: FeedbackRequest) -> Feedback:
        """Mark one of the persona's messages as good, or take the mark back."""
        services.memory.mark(request.message_id, request.good)
        return Feedback(message_id=request.message_id, good=request.good)

    @api.get("/messages")
    def messages(
        limit: Annotated[int, Query(ge=1, le=500)] = 60,
        before_id: Annotated[int | None, Query(ge=1, description="Only messages earlier than this one.")] = None,
        conversation: Annotated[str, Query(min_length=1, max_length=64)] = "default",
    ) -> Messages:
        """Return the last messages of a conversation, oldest first."""
        memory = services.memory
        found = memory.recent(limit + 1, conversation=conversation, before_id=before_id)
        marked = set(memory.marks())
        return Messages(
            messages=[MessageOut.of(m, marked=m.message_id in marked) for m in found[-limit:]],
            persona=memory.rules.persona if memory.rules else "",
            offline=services.settings.chat.model == "offline",
            more=len(found) > limit,
        )

    searches = Searches(lambda: services.vectors, vectors, metrics)
    add_vector_routes(api, lambda: services.vectors, searches, metrics, vectors.max_items)

    @api.get("/metrics", response_class=Response, responses={200: {"content": {"text/plain": {}}}})
    def measured() -> Response:
        """Tell what was counted since the start, in Prometheus' text format."""
        return Response(metrics.text(), media_type=CONTENT_TYPE)

    @api.get("/healthz", responses={503: {"model": Health}})
    def healthz(request: Request, response: Response) -> Health:
        """Tell whether what is served can be read; 503 when it cannot, with the reason for who has the key."""
        key = server.api_key
        answer = health(services, in_full=key is None or holds_key(request.scope, key.get_secret_value()))
        response.status_code = 200 if answer.status == "ok" else 503
        return answer

    return api


def health(services: Services, *, in_full: bool = False) -> Health:
    """Open what is served and read from it; who serves vectors needs no memory beside them.

    Args:
        services: The wired parts. Nothing is made that is not there.
        in_full: Whether the reason is told although there is a key. It may name a folder or a database.
    """
    serves_vectors = services.settings.vectors.folder is not None
    problem = _problem(lambda: services.memory.status())  # noqa: PLW0108 - opening it is looked at too
    if serves_vectors and (problem is None or isinstance(problem, MemoryMissingError)):
        problem = _problem(lambda: _read_vectors(services))
    if problem is None:
        return Health(status="ok")
    if in_full or services.settings.server.api_key is None:
        return Health(status="unavailable", detail=str(problem))
    logging.getLogger(__name__).warning("What is served cannot be read: %s", problem)
    return Health(status="unavailable")


def _read_vectors(services: Services) -> None:
    from stores.vectors.service import VectorCollection

    folder = services.settings.vectors.folder
    if folder is not None and not VectorCollection.exists(folder):
        raise MemoryMissingError(
            f"There is no vector collection in {folder} yet.", remedy="The first request makes it."
        )
    services.vectors.position()


def _problem(look: Callable[[], object]) -> CemRagError | None:
    try:
        look()
    except CemRagError as error:
        return error
    return None
