"""Maps every error to a problem document (RFC 9457), in one table: `type` is stable, `detail` is for people."""

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

from ..contract.search import FIRST_TAG, NEXT_TAG
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
"""Exception class, status and problem type; the first class that matches applies."""

INTERNAL_DETAILS: dict[type[Exception], str] = {
    EncoderMismatchError: "The index was built with a different model than this server runs.",
    CatalogError: "The index is unavailable.",
    EncodersError: "The model is unavailable.",
}
"""Details for errors whose message names folders of the server: the message goes to the log only."""

MAX_ERRORS = 10
"""Maximum number of validation errors in `detail`; a body can have thousands."""

TYPE_OF_STATUS = {
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
"""Problem types of errors that have no exception class in `TABLE`."""


def problem(
    status: int, detail: str, headers: dict[str, str] | None = None, *, name: str | None = None
) -> JSONResponse:
    """Build a problem document; `name` is its type, by default that of the status."""
    kind = TYPES + (name or TYPE_OF_STATUS.get(status, "internal"))
    body = {"type": kind, "title": HTTPStatus(status).phrase, "status": status, "detail": detail}
    return JSONResponse(body, status, headers, media_type="application/problem+json")


def install(app: FastAPI) -> None:
    """Register handlers for all expected errors; `RequestLog` handles unexpected ones."""
    for root in (CursorError, SearchError, IndexerError, EncodersError, UnknownRootError, UnknownJobError):
        app.add_exception_handler(root, _expected)
    app.add_exception_handler(IndexingError, _indexing)
    app.add_exception_handler(BusyError, _busy)
    app.add_exception_handler(GoneError, _gone)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http)


def _expected(_request: Request, exc: Exception) -> JSONResponse:
    kind, status, name = next(row for row in TABLE if isinstance(exc, row[0]))
    if kind in INTERNAL_DETAILS:
        logger.error("%s", exc)
        return problem(status, f"{INTERNAL_DETAILS[kind]} See the server log.", name=name)
    return problem(status, str(exc), name=name)


def _indexing(request: Request, exc: Exception) -> JSONResponse:
    prefix = request.scope["root_path"]
    headers = {"Location": f"{prefix}/v1/jobs/{exc.running.id}"} if isinstance(exc, IndexingError) else None
    return problem(409, str(exc), headers, name="indexing")


def _busy(_request: Request, exc: Exception) -> JSONResponse:
    return problem(503, str(exc), {"Retry-After": str(getattr(exc, "seconds", RETRY_SECONDS))})


def _gone(_request: Request, _exc: Exception) -> Response:
    return Response(status_code=499)  # nginx's status for a client that disconnected; seen in the log only


def _invalid(_request: Request, exc: Exception) -> JSONResponse:
    errors = exc.errors() if isinstance(exc, RequestValidationError) else ()
    messages = [f"{_location(error['loc'])}: {_reason(error)}" for error in errors[:MAX_ERRORS]]
    if len(errors) > MAX_ERRORS:
        messages.append(f"and {len(errors) - MAX_ERRORS} more")
    return problem(422, "; ".join(messages) or "The request is invalid.")


def _reason(error: Mapping[str, Any]) -> str:
    """The message of a validation error, in terms of the request."""
    if error["type"] == "json_invalid":
        return f"invalid JSON: {error['ctx']['error']} at this character"
    return "must be a file upload" if "UploadFile" in error["msg"] else str(error["msg"])


def _location(parts: Sequence[object]) -> str:
    """The location of an error in a request, without the tags of the body's variants."""
    return ".".join(str(part) for part in parts if part not in (FIRST_TAG, NEXT_TAG))


def _http(request: Request, exc: Exception) -> JSONResponse:
    status, detail, headers = 500, "", None
    if isinstance(exc, HTTPException):
        status, detail, headers = exc.status_code, exc.detail, dict(exc.headers or {})
    if status == 404 and detail == "Not Found":
        detail = "No such route. See /openapi.json."
    if status == 405:
        headers = _allow(request) or headers or {}
        detail = f"Method not allowed. Use {headers.get('Allow', 'GET')}."
    return problem(status, detail, headers)


def _allow(request: Request) -> dict[str, str] | None:
    """An `Allow` header with all methods of a path; Starlette lists only those of the first matching route."""
    route = getattr(request.scope.get("route"), "path", None)
    methods: dict[str, object] = request.app.openapi()["paths"].get(route, {})
    names = {*methods, "head"} if "get" in methods else {*methods}
    return {"Allow": ", ".join(sorted(names)).upper()} if names else None


def shutting_down() -> JSONResponse:
    """The response to a request that is cancelled by the shutdown."""
    return problem(503, "The server is shutting down. Retry in 10 s.", {"Retry-After": "10"})


def internal_error() -> JSONResponse:
    """The response to an unexpected exception, whose traceback is logged."""
    return problem(500, "Internal error. Search the server log for this request id.")
