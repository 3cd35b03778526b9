"""One process for the page and the API: Streamlit's ASGI application with FastAPI mounted under `/api`."""

from __future__ import annotations

import logging
import socket
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cem_rag_app.errors import CemRagError, SettingsError

if TYPE_CHECKING:
    from streamlit import App

    from cem_rag_app.settings import ServerSettings
    from ui.app import Services

PAGE = Path(__file__).with_name("chat.py")

THEME = {
    "theme.base": "light",
    "theme.primaryColor": "#07a35a",
    "theme.backgroundColor": "#f5f5f4",
    "theme.secondaryBackgroundColor": "#ffffff",
    "theme.textColor": "#1c1c1e",
    "theme.font": "-apple-system, 'PingFang SC', 'Noto Sans CJK SC', 'Microsoft YaHei', sans-serif",
}


def create_app(services: Services) -> App:
    """Put the page, `/api`, `/healthz` and the vector service's own addresses into one ASGI application."""
    import streamlit
    from starlette.requests import Request
    from starlette.responses import JSONResponse, Response
    from starlette.routing import Mount, Route

    from ui.api.app import create_api, health

    def healthz(request: Request) -> Response:
        answer = health(services)
        return JSONResponse(answer.model_dump(), status_code=200 if answer.status == "ok" else 503)

    @asynccontextmanager
    async def lifespan(app: App) -> AsyncIterator[dict[str, Any]]:
        threading.Thread(target=_warm, args=(services,), name="warm-up", daemon=True).start()
        yield {}
        services.close()

    api = create_api(services)
    # The vector service has its addresses at the root too, as its clients and Prometheus expect them: same application.
    direct = [Route(path, api) for path in ("/vectors", "/vectors/{id:path}", "/search", "/stats", "/metrics")]
    routes = [Route("/healthz", healthz), *direct, Mount("/api", api)]
    return streamlit.App(PAGE, routes=routes, lifespan=lifespan)


def _warm(services: Services) -> None:
    try:
        services.warm()
    except CemRagError as error:
        # The request that needs it meets the same error and tells it; the server serves what it can.
        logging.getLogger(__name__).warning("%s", error)


def serve(services: Services) -> None:
    """Serve until interrupted.

    Raises:
        SettingsError: The port is taken or the address is not this machine's.
    """
    server = services.settings.server
    refuse_taken_port(server)
    app = create_app(services)
    logging.getLogger("streamlit").setLevel(logging.WARNING)
    app.run(
        config={
            "server.address": server.host,
            "server.port": server.port,
            "server.headless": True,
            "server.fileWatcherType": "none",
            "server.maxUploadSize": 1,
            "browser.gatherUsageStats": False,
            "runner.magicEnabled": False,  # it would print the page's own docstrings
            "client.toolbarMode": "minimal",
            "client.showErrorDetails": "none",
            "logger.hideWelcomeMessage": True,
            **THEME,
        }
    )


def refuse_taken_port(server: ServerSettings) -> None:
    """Try to bind, so that a taken port is told in one line before anything is loaded."""
    family = socket.AF_INET6 if ":" in server.host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((server.host, server.port))
        except OSError as error:
            raise SettingsError(
                f"Cannot listen on {server.host}:{server.port} ({error.strerror}).",
                remedy="Choose another port with --port, or stop the program that uses this one.",
            ) from error
