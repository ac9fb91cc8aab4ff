"""Completes FastAPI's OpenAPI document with errors, headers and stable operation names."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from fastapi import FastAPI
from fastapi.routing import APIRoute

from ..contract.search import Problem
from .gate.guard import PROBES

GUARDED = (400, 401, 403, 408, 413, 421, 429, 503)
"""Statuses that any request may get before it reaches a route."""

MEANINGS = {
    400: "Malformed body, or ambiguous body length.",
    401: "Missing or invalid API key.",
    403: "The API key lacks the scope `write`, or the request comes from a page of another origin.",
    404: "Not found, or the file is gone.",
    408: "The request took too long to arrive.",
    409: "Another job is running; `Location` names it.",
    413: "The body is too large.",
    415: "Unsupported media type of the body.",
    416: "The file has no such byte range.",
    421: "The server does not answer to this host name.",
    422: "Invalid request; `detail` says what to change.",
    429: "Rate limit exceeded; `Retry-After` says when to retry.",
    503: "Too many waiting requests, or the index or model is unavailable; `detail` says which.",
}

Responses = dict[int | str, dict[str, Any]]


def header(description: str, *, always: bool = True, kind: str = "string") -> dict[str, Any]:
    """The OpenAPI description of a response header."""
    return {"description": description, "required": always, "schema": {"type": kind}}


REQUEST_ID = header(
    "Id of the request in the server log; the request's own if it is 1 to 64 of letters, digits, `.`, `_`, `-`."
)
ERROR_HEADERS: dict[int, dict[str, Any]] = {
    401: {"WWW-Authenticate": header("How to send an API key.")},
    403: {"WWW-Authenticate": header("The scope that the key lacks, if any.", always=False)},
    409: {"Location": header("The running job.")},
    416: {"Content-Range": header("Size of the file in bytes.")},
    429: {"Retry-After": header("Seconds until the next request is allowed.", kind="integer")},
    503: {"Retry-After": header("Seconds to wait, if too many requests are waiting.", always=False, kind="integer")},
}
"""Response headers by error status."""

PROBLEM = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}


def errors(*statuses: int) -> Responses:
    """A route's error `responses`, all of them problem documents."""
    return {status: {"model": Problem, "description": MEANINGS[status]} for status in sorted({*GUARDED, *statuses})}


def operation_name(route: APIRoute) -> str:
    """The operation id: the function's name, which generated clients use for methods."""
    return route.name


def describe(app: FastAPI) -> None:
    """Add headers, problem documents, and rules between form fields to the application's OpenAPI document."""
    generate = app.openapi

    def openapi() -> dict[str, Any]:
        document = generate()
        schemas = document["components"]["schemas"]
        for path, operations in document["paths"].items():
            for operation in operations.values():
                _complete(operation, schemas)
                if path in PROBES:
                    operation["security"] = []
        for name, schema in schemas.items():
            if name.startswith("Body_"):  # FastAPI's name for a form
                schema["additionalProperties"] = False
                for part in schema["properties"].values():
                    _remove_null(part)
        return document

    app.openapi = openapi  # type: ignore[method-assign]  # the documented way


def _complete(operation: dict[str, Any], schemas: dict[str, Any]) -> None:
    """Add to an operation what all operations have in common."""
    if "requestBody" in operation:
        _merge_form_rules(operation["requestBody"]["content"], schemas)
        operation["responses"]["415"] = {"description": MEANINGS[415], "content": PROBLEM}
    for parameter in operation.get("parameters", ()):
        _remove_null(parameter["schema"])
    for status, response in operation["responses"].items():
        response["headers"] = _headers(int(status)) | response.get("headers", {})
        content = response.get("content", {})
        if int(status) >= HTTPStatus.BAD_REQUEST and "application/json" in content:
            content["application/problem+json"] = content.pop("application/json")


def _merge_form_rules(content: dict[str, Any], schemas: dict[str, Any]) -> None:
    """Move a route's form rules into the schema that FastAPI generated, since not all tools read both."""
    for media in content.values():
        if "$ref" in media["schema"]:
            name = media["schema"].pop("$ref")
            schemas[name.rsplit("/", 1)[1]].update(media["schema"])
            media["schema"] = {"$ref": name}


def _remove_null(schema: dict[str, Any]) -> None:
    """Drop `null` from an optional parameter or form field, which can be omitted but not null."""
    kinds = schema.get("anyOf", [])
    if len(kinds) == 2 and kinds[1] == {"type": "null"}:
        schema.update(kinds[0])
        del schema["anyOf"]


def _headers(status: int) -> dict[str, Any]:
    """The response headers of a status; unreadable and unfinished requests have no request id."""
    return {"X-Request-ID": REQUEST_ID | {"required": status not in (400, 408)}} | ERROR_HEADERS.get(status, {})
