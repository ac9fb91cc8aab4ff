"""Every error as a problem document (RFC 9457), in one table: `type` is stable, `detail` is for people."""

from __future__ import annotations

from http import HTTPStatus

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from starlette.exceptions import HTTPException

from encoders import EncodersError
from indexer import CatalogError, DecodeError, FilterError, IndexerError
from search import ImageNotFoundError, QueryError, SearchError

from .jobs import IndexingError, UnknownJobError, UnknownRootError
from .work import RETRY_SECONDS, BusyError, GoneError

TYPES = "urn:crosslook:problem:"

TABLE: tuple[tuple[type[Exception], int, str], ...] = (
    (ImageNotFoundError, 404, "image-not-found"),
    (QueryError, 422, "query"),
    (SearchError, 422, "query"),
    (FilterError, 422, "filter"),
    (DecodeError, 422, "unreadable-image"),
    (CatalogError, 503, "index-unavailable"),
    (IndexerError, 422, "index"),
    (EncodersError, 503, "model-unavailable"),
    (UnknownRootError, 422, "root-not-found"),
    (UnknownJobError, 404, "job-not-found"),
)
"""What is raised, its status and its type; the first class that fits says them."""

OF_STATUS = {
    400: "bad-request",
    401: "unauthorized",
    403: "forbidden",
    404: "not-found",
    405: "method-not-allowed",
    413: "too-large",
    415: "unsupported-media-type",
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
    """Answer every error that is foreseen with a problem document; `Observing` answers the others."""
    for root in (SearchError, IndexerError, EncodersError, UnknownRootError, UnknownJobError):
        app.add_exception_handler(root, _expected)
    app.add_exception_handler(IndexingError, _indexing)
    app.add_exception_handler(BusyError, _busy)
    app.add_exception_handler(GoneError, _gone)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http)


def _expected(_request: Request, exc: Exception) -> JSONResponse:
    status, name = next((status, name) for kind, status, name in TABLE if isinstance(exc, kind))
    return problem(status, str(exc), name=name)


def _indexing(_request: Request, exc: Exception) -> JSONResponse:
    there = {"Location": f"/v1/jobs/{exc.running.id}"} if isinstance(exc, IndexingError) else None
    return problem(409, str(exc), there, name="indexing")


def _busy(_request: Request, _exc: Exception) -> JSONResponse:
    wait = {"Retry-After": str(RETRY_SECONDS)}
    return problem(503, f"as many requests wait as may; ask again in {RETRY_SECONDS} s", wait)


def _gone(_request: Request, _exc: Exception) -> Response:
    return Response(status_code=499)  # nobody reads it; nginx's number, for the log


def _invalid(_request: Request, exc: Exception) -> JSONResponse:
    errors = exc.errors() if isinstance(exc, RequestValidationError) else ()
    faults = [f"{'.'.join(str(part) for part in error['loc'])}: {error['msg']}" for error in errors]
    return problem(422, "; ".join(faults) or "the request is not as it should be")


def _http(_request: Request, exc: Exception) -> JSONResponse:
    status, detail, headers = 500, "", None
    if isinstance(exc, HTTPException):
        status, detail, headers = exc.status_code, exc.detail, dict(exc.headers or {})
    return problem(status, detail, headers)


def unforeseen() -> JSONResponse:
    """What a client learns of an error that nothing above stands for; the log has the rest."""
    return problem(500, "an error that crosslook did not foresee; the server's log tells more")
