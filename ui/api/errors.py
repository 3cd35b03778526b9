"""Errors over HTTP: each names itself and says what to change; the status code tells whose turn it is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from cem_rag_app import errors

if TYPE_CHECKING:
    from fastapi import FastAPI, Request

STATUS: tuple[tuple[type[errors.CemRagError], int], ...] = (
    (errors.InputError, 422),
    (errors.FilterError, 422),
    (errors.MemoryMissingError, 404),
    (errors.PersonaError, 409),
    (errors.MemoryBusyError, 503),
    (errors.SettingsError, 503),
    (errors.MissingDependencyError, 503),
    (errors.ChatModelError, 502),
    (errors.DiskFullError, 507),
    (errors.CemRagError, 500),
)
"""First match wins."""


def status_of(error: errors.CemRagError) -> int:
    """Return the HTTP status of an error of ours."""
    return next(status for kind, status in STATUS if isinstance(error, kind))


def add_error_handlers(api: FastAPI) -> None:
    """Answer every error of ours, and every invalid request, with an `ErrorBody`."""
    from fastapi.exceptions import RequestValidationError
    from fastapi.responses import JSONResponse
    from starlette.exceptions import HTTPException

    def body(status: int, name: str, message: str, headers: Mapping[str, str] | None = None) -> JSONResponse:
        return JSONResponse({"error": name, "message": message}, status_code=status, headers=headers)

    @api.exception_handler(errors.CemRagError)
    async def ours(request: Request, error: errors.CemRagError) -> JSONResponse:
        return body(status_of(error), type(error).__name__, str(error))

    @api.exception_handler(RequestValidationError)
    async def invalid(request: Request, error: RequestValidationError) -> JSONResponse:
        problems = "; ".join(
            f"{'.'.join(str(part) for part in problem['loc'])}: {problem['msg']}" for problem in error.errors()
        )
        return body(422, "InvalidRequest", f"{problems}. The request's form is documented at /api/docs.")

    @api.exception_handler(HTTPException)
    async def http(request: Request, error: HTTPException) -> JSONResponse:
        said = str(error.detail)
        if not said.endswith("."):  # the router's own "Not Found" and "Method Not Allowed"
            said += ". Paths and methods are listed at /api/docs."
        headers = error.headers
        if error.status_code == 405:
            headers = {"Allow": ", ".join(_methods(api, request))}  # the router names those of one route alone
        return body(error.status_code, "HTTPError", said, headers)


def _methods(api: FastAPI, request: Request) -> list[str]:
    """What may be done with the address of a request."""
    from starlette.routing import Match, Route

    return sorted(
        method
        for route in api.routes
        if isinstance(route, Route) and route.matches(request.scope)[0] is not Match.NONE
        for method in route.methods or ()
    )
