"""What the OpenAPI document says beyond what FastAPI reads off the routes: errors, and stable names."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from fastapi import FastAPI
from fastapi.routing import APIRoute

from .schemas import Problem

GUARDED = (400, 401, 403, 413, 421, 429)
"""Any request may be refused so, before it reaches a route."""

MEANINGS = {
    400: "The body, or where it ends, cannot be made out.",
    401: "No API key, or one that is not valid.",
    403: "The key may not write, or a page of another origin asks.",
    404: "There is no such thing, or its file is gone.",
    409: "Another job runs; `Location` names it.",
    413: "The body is larger than this server takes.",
    415: "The body is of another type than this takes.",
    416: "The file has no such range of bytes.",
    421: "The server does not answer to this name.",
    422: "The request is not as it should be; `detail` says what to change.",
    429: "Too many requests in a minute; `Retry-After` says when to come back.",
    503: "As many requests wait as may, or the index or the model cannot be used now; `detail` says which.",
}

PROBLEM = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}

Responses = dict[int | str, dict[str, Any]]


def errors(*statuses: int) -> Responses:
    """What a route's `responses` says of its errors; all of them are problem documents."""
    return {status: {"model": Problem, "description": MEANINGS[status]} for status in sorted({*GUARDED, *statuses})}


def operation_name(route: APIRoute) -> str:
    """The function's name: generated clients call their methods so."""
    return route.name


def describe(app: FastAPI) -> None:
    """Let the document say of every error that it is `application/problem+json`, and where a type may be wrong."""
    made = app.openapi

    def openapi() -> dict[str, Any]:
        document = made()
        for path in document["paths"].values():
            for operation in path.values():
                if "requestBody" in operation:
                    operation["responses"]["415"] = {"description": MEANINGS[415], "content": PROBLEM}
                for status, response in operation["responses"].items():
                    content = response.get("content", {})
                    if int(status) >= HTTPStatus.BAD_REQUEST and "application/json" in content:
                        content["application/problem+json"] = content.pop("application/json")
        return document

    app.openapi = openapi  # type: ignore[method-assign]  # as FastAPI documents it
