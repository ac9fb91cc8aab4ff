"""What is sent must be what its route takes: a body of the right type, and no parameters that it does not know.

A web page can make a browser send a form or plain text anywhere; JSON only where the server agreed beforehand (CORS).
"""

from __future__ import annotations

from fastapi import Request
from fastapi.dependencies.models import Dependant
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
    """Refuse a parameter of the address that the API does not know: a filter that was misspelt would seem to work.

    Raises:
        HTTPException: status 422.
    """
    route = request.scope.get("route")
    if not request.query_params or not isinstance(route, APIRoute) or not route.path.startswith("/v1/"):
        return
    known = _names(route.dependant)
    for name in request.query_params:
        if name not in known:
            takes = f"it takes {', '.join(sorted(known))}" if known else "it takes none"
            raise HTTPException(422, f"{name[:100]!r} is no parameter of this address; {takes}")


def _names(dependant: Dependant) -> set[str]:
    return {field.alias for field in dependant.query_params}.union(*map(_names, dependant.dependencies))


def _has_body(request: Request) -> bool:
    return "transfer-encoding" in request.headers or request.headers.get("content-length", "0") != "0"
