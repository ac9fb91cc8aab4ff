"""Every error as a problem document (RFC 9457), in one table."""

from __future__ import annotations

import logging
from http import HTTPStatus

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from encoders import EncodersError
from indexer import CatalogError, DecodeError, FilterError, IndexerError
from search import ImageNotFoundError, SearchError

logger = logging.getLogger("crosslook")

STATUS: tuple[tuple[type[Exception], int], ...] = (
    (ImageNotFoundError, 404),
    (SearchError, 422),
    (FilterError, 422),
    (DecodeError, 422),
    (CatalogError, 503),
    (IndexerError, 422),
    (EncodersError, 503),
)
"""The first class that fits says the status."""


def problem(status: int, detail: str, headers: dict[str, str] | None = None) -> JSONResponse:
    """A problem document."""
    body = {"type": "about:blank", "title": HTTPStatus(status).phrase, "status": status, "detail": detail}
    return JSONResponse(body, status, headers, media_type="application/problem+json")


def install(app: FastAPI) -> None:
    """Answer every error with a problem document."""
    for root in (SearchError, IndexerError, EncodersError):
        app.add_exception_handler(root, _expected)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(Exception, _unexpected)


def _expected(_request: Request, exc: Exception) -> JSONResponse:
    status = next(status for kind, status in STATUS if isinstance(exc, kind))
    return problem(status, str(exc))


def _invalid(_request: Request, exc: Exception) -> JSONResponse:
    errors = exc.errors() if isinstance(exc, RequestValidationError) else ()
    faults = [f"{'.'.join(str(part) for part in error['loc'])}: {error['msg']}" for error in errors]
    return problem(422, "; ".join(faults) or "the request is not as it should be")


def _http(_request: Request, exc: Exception) -> JSONResponse:
    status, detail, headers = 500, "", None
    if isinstance(exc, HTTPException):
        status, detail, headers = exc.status_code, exc.detail, dict(exc.headers or {})
    return problem(status, detail, headers)


def _unexpected(request: Request, exc: Exception) -> JSONResponse:
    logger.error("%s %s failed", request.method, request.url.path, exc_info=exc)
    return problem(500, "an error that crosslook did not foresee; the server's log tells more")
