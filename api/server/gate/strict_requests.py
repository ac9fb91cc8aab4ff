"""Refuses bodies of the wrong media type, and unknown query parameters and form fields.

A web page can make a browser send a form or plain text to any server, but JSON only if the server allows it (CORS).
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
    """Refuse a body whose media type the route does not accept; routes without a body never read it.

    Raises:
        HTTPException: status 415.
    """
    if not _has_body(request):
        return
    route = request.scope.get("route")
    field = route.body_field if isinstance(route, APIRoute) else None
    if field is None:
        return
    accepted = FORM if isinstance(field.field_info, Form) else JSON
    sent = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if sent not in accepted:
        raise HTTPException(415, f"Unsupported body type. Send Content-Type: {' or '.join(accepted)}.")


async def parameters(request: Request) -> None:
    """Refuse unknown query parameters and form fields: a misspelt filter would silently match everything.

    Raises:
        HTTPException: status 422.
    """
    route = request.scope.get("route")
    if not isinstance(route, APIRoute) or not route.path.startswith("/v1/"):
        return
    _check(request.query_params, {field.alias for field in route.dependant.query_params}, "query parameter")
    if route.body_field is not None and isinstance(route.body_field.field_info, Form):
        form = await request.form()  # cached: FastAPI has read it already
        _check(form, {field.alias for field in route.dependant.body_params}, "form field")


def _check(sent: Iterable[str], known: set[str], what: str) -> None:
    for name in sent:
        if name not in known:
            expected = f"Expected one of: {', '.join(sorted(known))}." if known else "None is expected."
            raise HTTPException(422, f"Unknown {what} {name[:100]!r}. {expected}")


def _has_body(request: Request) -> bool:
    return "transfer-encoding" in request.headers or request.headers.get("content-length", "0") != "0"
