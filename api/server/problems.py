"""Every error as a problem document (RFC 9457), in one table: `type` is stable, `detail` is for people."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from starlette.exceptions import HTTPException

from encoders import EncodersError
from indexer import IndexerError
from indexer.errors import CatalogError, DecodeError, EncoderMismatchError, FilterError, ReadError
from search import SearchError
from search.errors import ImageNotFoundError, QueryError, UnknownModelError

from ..contract.search import FIRST, NEXT
from .work.cursors import CursorError
from .work.jobs import IndexingError, UnknownJobError, UnknownRootError
from .work.worker_pool import RETRY_SECONDS, BusyError, GoneError

logger = logging.getLogger("crosslook")

TYPES = "urn:crosslook:problem:"

TABLE: tuple[tuple[type[Exception], int, str], ...] = (
    (CursorError, 422, "cursor"),
    (ImageNotFoundError, 404, "image-not-found"),
    (UnknownModelError, 422, "model-not-found"),
    (QueryError, 422, "query"),
    (SearchError, 422, "query"),
    (FilterError, 422, "filter"),
    (ReadError, 404, "image-not-found"),
    (DecodeError, 422, "unreadable-image"),
    (EncoderMismatchError, 503, "index-unavailable"),
    (CatalogError, 503, "index-unavailable"),
    (IndexerError, 422, "index"),
    (EncodersError, 503, "model-unavailable"),
    (UnknownRootError, 422, "root-not-found"),
    (UnknownJobError, 404, "job-not-found"),
)
"""What is raised, its status and its type; the first class that fits says them."""

INSIDE: dict[type[Exception], str] = {
    EncoderMismatchError: "the index was made by another model than the one that this server runs",
    CatalogError: "the index cannot be used now",
    EncodersError: "the model cannot be used now",
}
"""What a client is told where the message is for those who run the server, and names its folders."""

TOLD_FAULTS = 10
"""A body can have thousands; nobody reads them."""

OF_STATUS = {
    400: "bad-request",
    401: "unauthorized",
    403: "forbidden",
    404: "not-found",
    405: "method-not-allowed",
    408: "too-slow",
    413: "too-large",
    415: "unsupported-media-type",
    416: "range-not-satisfiable",
    421: "misdirected",
    422: "invalid-request",
    429: "rate-limited",
    503: "busy",
}
"""Types of what is refused before anything is looked for."""


def problem(
    status: int, detail: str, headers: dict[str, str] | None = None, *, name: str | None = None
) -> JSONResponse:
    """A problem document; without a name, of the type that its status has."""
    kind = TYPES + (name or OF_STATUS.get(status, "internal"))
    body = {"type": kind, "title": HTTPStatus(status).phrase, "status": status, "detail": detail}
    return JSONResponse(body, status, headers, media_type="application/problem+json")


def install(app: FastAPI) -> None:
    """Answer every error that is foreseen with a problem document; `RequestLog` answers the others."""
    for root in (CursorError, SearchError, IndexerError, EncodersError, UnknownRootError, UnknownJobError):
        app.add_exception_handler(root, _expected)
    app.add_exception_handler(IndexingError, _indexing)
    app.add_exception_handler(BusyError, _busy)
    app.add_exception_handler(GoneError, _gone)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http)


def _expected(_request: Request, exc: Exception) -> JSONResponse:
    kind, status, name = next(row for row in TABLE if isinstance(exc, row[0]))
    if kind in INSIDE:
        logger.error("%s", exc)
        return problem(status, f"{INSIDE[kind]}; the server's log tells more", name=name)
    return problem(status, str(exc), name=name)


def _indexing(_request: Request, exc: Exception) -> JSONResponse:
    there = {"Location": f"/v1/jobs/{exc.running.id}"} if isinstance(exc, IndexingError) else None
    return problem(409, str(exc), there, name="indexing")


def _busy(_request: Request, exc: Exception) -> JSONResponse:
    return problem(503, str(exc), {"Retry-After": str(getattr(exc, "seconds", RETRY_SECONDS))})


def _gone(_request: Request, _exc: Exception) -> Response:
    return Response(status_code=499)  # nobody reads it; nginx's number, for the log


def _invalid(_request: Request, exc: Exception) -> JSONResponse:
    errors = exc.errors() if isinstance(exc, RequestValidationError) else ()
    faults = [f"{_place(error['loc'])}: {_what(error)}" for error in errors[:TOLD_FAULTS]]
    if len(errors) > TOLD_FAULTS:
        faults.append(f"and {len(errors) - TOLD_FAULTS} more")
    return problem(422, "; ".join(faults) or "the request is not as it should be")


def _what(error: Mapping[str, Any]) -> str:
    """What is wrong, in words for whoever sent it."""
    if error["type"] == "json_invalid":
        return f"this is not JSON: {error['ctx']['error']} at this character"
    return "send a file here" if "UploadFile" in error["msg"] else str(error["msg"])


def _place(parts: Sequence[object]) -> str:
    """Where in a request, without the names of the shapes that a body may have."""
    return ".".join(str(part) for part in parts if part not in (FIRST, NEXT))


def _http(request: Request, exc: Exception) -> JSONResponse:
    status, detail, headers = 500, "", None
    if isinstance(exc, HTTPException):
        status, detail, headers = exc.status_code, exc.detail, dict(exc.headers or {})
    if status == 404 and detail == "Not Found":
        detail = "No such route. See /openapi.json."
    if status == 405:
        headers = _allow(request) or headers or {}
        detail = f"this takes {headers.get('Allow', 'GET')} alone"
    return problem(status, detail, headers)


def _allow(request: Request) -> dict[str, str] | None:
    """All methods of a path, as OpenAPI has them; Starlette names those of its first route alone."""
    route = getattr(request.scope.get("route"), "path", None)
    methods: dict[str, object] = request.app.openapi()["paths"].get(route, {})
    names = {*methods, "head"} if "get" in methods else {*methods}
    return {"Allow": ", ".join(sorted(names)).upper()} if names else None


def ending() -> JSONResponse:
    """What a client learns whose request would take longer than a server that ends may wait."""
    return problem(503, "the server is ending; ask again in 10 s", {"Retry-After": "10"})


def unforeseen() -> JSONResponse:
    """The answer to an unexpected exception; the log has its traceback."""
    return problem(500, "Internal error. Search the server log for this request id.")
