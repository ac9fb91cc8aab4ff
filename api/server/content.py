"""What is sent must be what its route takes, by its own word: JSON, or a form.

A web page can make a browser send a form or plain text anywhere; JSON only where the server agreed beforehand (CORS).
"""

from __future__ import annotations

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


def _has_body(request: Request) -> bool:
    return "transfer-encoding" in request.headers or request.headers.get("content-length", "0") != "0"
