"""Refuses bodies of the wrong media type, and unknown or repeated query parameters and form fields.

A web page can make a browser send a form or plain text to any server, but JSON only if the server allows it (CORS).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any, get_args, get_origin

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
    """Refuse unknown query parameters and form fields, and repeated ones that are no lists.

    A misspelt filter would silently match everything, and all but one of repeated values would be ignored.

    Raises:
        HTTPException: status 422.
    """
    route = request.scope.get("route")
    if not isinstance(route, APIRoute) or not route.path.startswith("/v1/"):
        return
    query = [name for name, _ in request.query_params.multi_items()]
    _check(query, route.dependant.query_params, "query parameter")
    if route.body_field is not None and isinstance(route.body_field.field_info, Form):
        form = await request.form()  # cached: FastAPI has read it already
        _check([name for name, _ in form.multi_items()], route.dependant.body_params, "form field")


def _check(sent: Iterable[str], fields: Iterable[Any], what: str) -> None:
    is_list = {field.alias: _is_list(field.field_info.annotation) for field in fields}
    for name, count in Counter(sent).items():
        if name not in is_list:
            expected = f"Expected one of: {', '.join(sorted(is_list))}." if is_list else "None is expected."
            raise HTTPException(422, f"Unknown {what} {name[:100]!r}. {expected}")
        if count > 1 and not is_list[name]:
            raise HTTPException(422, f"The {what} {name!r} was sent {count} times. Send it once.")


def _is_list(annotation: object) -> bool:
    """Whether a parameter's type is a list, or a list or None."""
    return any(get_origin(each) is list for each in (annotation, *get_args(annotation)))


def _has_body(request: Request) -> bool:
    return "transfer-encoding" in request.headers or request.headers.get("content-length", "0") != "0"
