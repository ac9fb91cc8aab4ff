"""What is sent must be what its route takes: a body of the right type, and nothing that it does not know.

A web page can make a browser send a form or plain text anywhere; JSON only where the server agreed beforehand (CORS).
"""

from __future__ import annotations

from collections.abc import Iterable

from fastapi import Request
from fastapi.params import Form
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException

JSON = ("application/json",)
FORM = ("multipart/form-data", "application/x-www-form-urlencoded")


async def content_type(request: Request) -> None:
    """Refuse a body of another type than the route takes; where a route takes none, nobody reads it.

    Raises:
        HTTPException: status 415.
    """
    if not _has_body(request):
        return
    route = request.scope.get("route")
    field = route.body_field if isinstance(route, APIRoute) else None
    if field is None:
        return
    taken = FORM if isinstance(field.field_info, Form) else JSON
    sent = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if sent not in taken:
        raise HTTPException(415, f"send the body as {' or '.join(taken)}, and say so in Content-Type")


async def parameters(request: Request) -> None:
    """Refuse a parameter of the address, or a field of the form, that the API does not know.

    A filter that was misspelt would seem to have let everything through.

    Raises:
        HTTPException: status 422.
    """
    route = request.scope.get("route")
    if not isinstance(route, APIRoute) or not route.path.startswith("/v1/"):
        return
    _check(request.query_params, {field.alias for field in route.dependant.query_params}, "query parameter")
    if route.body_field is not None and isinstance(route.body_field.field_info, Form):
        form = await request.form()  # which FastAPI has read already
        _check(form, {field.alias for field in route.dependant.body_params}, "form field")


def _check(sent: Iterable[str], known: set[str], what: str) -> None:
    for name in sent:
        if name not in known:
            expected = f"Expected one of: {', '.join(sorted(known))}." if known else "None is expected."
            raise HTTPException(422, f"Unknown {what} {name[:100]!r}. {expected}")


def _has_body(request: Request) -> bool:
    return "transfer-encoding" in request.headers or request.headers.get("content-length", "0") != "0"
