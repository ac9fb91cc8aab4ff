"""What the OpenAPI document says beyond what FastAPI reads off the routes: errors, and stable names."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from fastapi import FastAPI
from fastapi.routing import APIRoute

from ..contract.search import Problem
from .gate.guard import PROBES

GUARDED = (400, 401, 403, 408, 413, 421, 429, 503)
"""Any request may be refused so, before it reaches a route."""

MEANINGS = {
    400: "The body, or where it ends, cannot be made out.",
    401: "No API key, or one that is not valid.",
    403: "The key may not write, or a page of another origin asks.",
    404: "There is no such thing, or its file is gone.",
    408: "The request took too long to arrive.",
    409: "Another job runs; `Location` names it.",
    413: "The body is larger than this server takes.",
    415: "The body is of another type than this takes.",
    416: "The file has no such range of bytes.",
    421: "The server does not answer to this name.",
    422: "The request is not as it should be; `detail` says what to change.",
    429: "Too many requests in a minute; `Retry-After` says when to come back.",
    503: "As many requests wait as may, or the index or the model cannot be used now; `detail` says which.",
}

Responses = dict[int | str, dict[str, Any]]


def header(description: str, *, always: bool = True, kind: str = "string") -> dict[str, Any]:
    """What a response's `headers` says of one."""
    return {"description": description, "required": always, "schema": {"type": kind}}


REQUEST_ID = header("The request's own, where it is 1 to 64 letters, digits, `.`, `_`, `-`; it is in the log as well.")
TOLD: dict[int, dict[str, Any]] = {
    401: {"WWW-Authenticate": header("How to show a key.")},
    403: {"WWW-Authenticate": header("Which scope the key lacks, if it does.", always=False)},
    409: {"Location": header("The job that runs.")},
    416: {"Content-Range": header("How many bytes the file has.")},
    429: {"Retry-After": header("Seconds until there is room again.", kind="integer")},
    503: {"Retry-After": header("Seconds, where as many requests wait as may.", always=False, kind="integer")},
}
"""Headers of errors."""

PROBLEM = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}


def errors(*statuses: int) -> Responses:
    """What a route's `responses` says of its errors; all of them are problem documents."""
    return {status: {"model": Problem, "description": MEANINGS[status]} for status in sorted({*GUARDED, *statuses})}


def operation_name(route: APIRoute) -> str:
    """The function's name: generated clients call their methods so."""
    return route.name


def describe(app: FastAPI) -> None:
    """Let the document tell of headers, of errors as problem documents, and of rules between the parts of a form."""
    made = app.openapi

    def openapi() -> dict[str, Any]:
        document = made()
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
                    _never_null(part)
        return document

    app.openapi = openapi  # type: ignore[method-assign]  # as FastAPI documents it


def _complete(operation: dict[str, Any], schemas: dict[str, Any]) -> None:
    """Add to an operation what holds for all."""
    if "requestBody" in operation:
        _join(operation["requestBody"]["content"], schemas)
        operation["responses"]["415"] = {"description": MEANINGS[415], "content": PROBLEM}
    for parameter in operation.get("parameters", ()):
        _never_null(parameter["schema"])
    for status, response in operation["responses"].items():
        response["headers"] = _headers(int(status)) | response.get("headers", {})
        content = response.get("content", {})
        if int(status) >= HTTPStatus.BAD_REQUEST and "application/json" in content:
            content["application/problem+json"] = content.pop("application/json")


def _join(content: dict[str, Any], schemas: dict[str, Any]) -> None:
    """Move what a route says of its form beside what FastAPI made of the parts: not all read both."""
    for media in content.values():
        if "$ref" in media["schema"]:
            name = media["schema"].pop("$ref")
            schemas[name.rsplit("/", 1)[1]].update(media["schema"])
            media["schema"] = {"$ref": name}


def _never_null(schema: dict[str, Any]) -> None:
    """What is left out of a form or an address is None to a route, but neither can hold a null."""
    kinds = schema.get("anyOf", [])
    if len(kinds) == 2 and kinds[1] == {"type": "null"}:
        schema.update(kinds[0])
        del schema["anyOf"]


def _headers(status: int) -> dict[str, Any]:
    """Those of every answer, but for a request that could not even be read, or did not end, and those of an error."""
    return {"X-Request-ID": REQUEST_ID | {"required": status not in (400, 408)}} | TOLD.get(status, {})
