"""The `--where` grammar: `FIELD OP VALUE`, such as `taken_at >= 2024-01-01` or `folder = /home/me/holidays`."""

from __future__ import annotations

import operator
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sqlalchemy import ColumnElement, exists, func, select

from . import schema
from .errors import FilterError

_OPERATORS: dict[str, Callable[[Any, Any], Any]] = {
    "=": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_NUMBERS = {"width": schema.image.c.width, "height": schema.image.c.height}
_TEXTS = {"taken_at": schema.image.c.taken_at, "camera": schema.image.c.camera, "format": schema.image.c.format}
FIELDS = (*_NUMBERS, *_TEXTS, "folder", "has_caption")
_EXPRESSION = re.compile(r"\s*(?P<field>[A-Za-z_]+)\s*(?P<op>!=|<=|>=|=|<|>)\s*(?P<value>.*?)\s*")


def condition(expression: str) -> ColumnElement[bool]:  # noqa: C901  one branch a field, in one place
    """Turn an expression into a condition on `image`.

    `taken_at` compares ISO dates by their beginning, `camera` and `format` ignore case, `folder` holds for all that
    lies below it, `has_caption` is true or false.

    Raises:
        FilterError: the expression does not parse; the message names the part.
    """
    match = _EXPRESSION.fullmatch(expression.encode("utf-8", "replace").decode())
    if match is None or not match["value"]:
        raise FilterError(f"filter {expression!r}: expected FIELD OP VALUE, such as 'taken_at >= 2024-01-01'")
    field, op, value = match["field"].lower(), match["op"], match["value"].strip("'\"")
    compare = _OPERATORS[op]
    if field in _NUMBERS:
        if not re.fullmatch(r"-?[0-9]{1,9}", value):
            raise FilterError(f"filter {expression!r}: {value!r} is not a whole number of pixels")
        return compare(_NUMBERS[field], int(value))
    if field == "taken_at":
        if not re.fullmatch(r"\d{4}(-\d\d(-\d\d([T ][\d:]+)?)?)?", value):
            raise FilterError(f"filter {expression!r}: {value!r} is not a date such as 2024-01-31")
        return compare(func.substr(schema.image.c.taken_at, 1, len(value)), value.replace(" ", "T"))
    if op not in ("=", "!=") and field in FIELDS:
        raise FilterError(f"filter {expression!r}: {field} takes = or !=, not {op}")
    if field in _TEXTS:
        return compare(func.lower(_TEXTS[field]), value.lower())
    if field == "folder":
        prefix = os.path.abspath(Path(value).expanduser()).rstrip(os.sep) + os.sep
        c = schema.location.c
        below = exists(
            select(c.id).where((c.image_id == schema.image.c.id) & c.path.startswith(prefix, autoescape=True))
        )
        return below if op == "=" else ~below
    if field == "has_caption":
        if value.lower() not in ("true", "false"):
            raise FilterError(f"filter {expression!r}: has_caption is true or false, not {value!r}")
        captioned = exists(select(schema.caption.c.id).where(schema.caption.c.image_id == schema.image.c.id))
        return captioned if (value.lower() == "true") == (op == "=") else ~captioned
    raise FilterError(f"filter {expression!r}: no field {field!r}; there are {', '.join(FIELDS)}")
