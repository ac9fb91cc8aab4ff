"""The `--where` grammar: `FIELD OP VALUE`, such as `taken_at >= 2024-01-01 and folder = ~/Pictures/Rome`.

`and` binds tighter than `or`; there are no parentheses. A value ends at the next `and` or `or` that is followed by a
field and an operator, so it may contain spaces; a quoted value may contain anything. `!=` is the negation of `=` and
therefore matches images whose field is unknown; no other operator matches those.
"""

from __future__ import annotations

import operator
import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date
from typing import Any, cast

from sqlalchemy import ColumnElement, Integer, and_, func, or_, select, true
from sqlalchemy import cast as sql_cast

from ..errors import FilterError
from . import schema
from .annotations import Annotation
from .words import folded

_OPERATORS: dict[str, Callable[[Any, Any], Any]] = {
    "=": operator.eq,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_START = re.compile(r"\s*(?P<field>[A-Za-z_]+)\s*(?P<op>!=|<=|>=|=|<|>)\s*")
_JOIN = re.compile(r"\s+(?P<word>and|or)\s+(?=[A-Za-z_]+\s*(?:!=|<=|>=|=|<|>))", re.IGNORECASE)
_DECIMAL = re.compile(r"[+-]?[0-9]{1,9}(?:\.[0-9]{1,9})?")
_SIZE = re.compile(r"(?P<count>[0-9]{1,15}(?:\.[0-9]{1,9})?)\s*(?P<unit>[a-z]*)")
_UNITS = {"": 1, "b": 1, "bytes": 1, "kb": 10**3, "mb": 10**6, "gb": 10**9, "kib": 2**10, "mib": 2**20, "gib": 2**30}
MAX_INTEGER = 2**63 - 1
"""SQLite's largest integer."""
MAX_CLAUSES = 50
"""Maximum comparisons in one expression: SQLite limits the nesting of conditions to 1,000."""

_FORMATS = {"jpg": "jpeg", "tif": "tiff", "heic": "heif"}
_image, _location, _caption = schema.image.c, schema.location.c, schema.caption.c
_annotation = schema.annotation.c

Condition = ColumnElement[bool]


@dataclass(frozen=True)
class _Clause:
    """One `FIELD OP VALUE`; `op` is `=` for `!=` too. Positions count from 0."""

    expression: str
    field: str
    op: str
    value: str
    field_start: int
    op_start: int
    value_start: int

    def invalid_value(self, problem: str) -> FilterError:
        """Create the error for an invalid value."""
        return _error(self.expression, self.value_start, problem)

    def require_equality(self) -> None:
        """Reject operators other than = and !=."""
        if self.op != "=":
            raise _error(self.expression, self.op_start, f"{self.field} supports only = and !=, not {self.op}")


def condition(expression: str) -> Condition:
    """Translate an expression into an SQL condition on `image`.

    Raises:
        FilterError: the expression does not parse; the message gives the character and what was expected.
    """
    alternatives: list[list[Condition]] = [[]]
    for number, (word, clause, negated) in enumerate(_clauses(expression.encode("utf-8", "replace").decode())):
        if number == MAX_CLAUSES:
            raise _error(clause.expression, clause.field_start, f"too many comparisons; the limit is {MAX_CLAUSES}")
        if word == "or":
            alternatives.append([])
        if clause.field not in _BUILDERS:
            problem = f"unknown field {clause.field!r}; expected one of: {', '.join(FIELDS)}"
            raise _error(clause.expression, clause.field_start, problem)
        comparison = _BUILDERS[clause.field](clause)
        alternatives[-1].append(comparison.is_not(true()) if negated else comparison)
    return or_(*(and_(*conditions) for conditions in alternatives))


def _clauses(text: str) -> Iterator[tuple[str, _Clause, bool]]:
    """Yield each clause with the `and` or `or` before it, and whether its operator is `!=`."""
    word, position = "", 0
    while True:
        start = _START.match(text, position)
        if start is None or start.end() == len(text):
            error_position = position if start is None else start.end()
            raise _error(text, error_position, "expected FIELD OP VALUE, such as taken_at >= 2024-01-01")
        value, end = _value(text, start.end())
        op, negated = start["op"], start["op"] == "!="
        positions = start.start("field"), start.start("op"), start.end()
        yield word, _Clause(text, start["field"].lower(), "=" if negated else op, value, *positions), negated
        join = _JOIN.match(text, end)
        if join is None:
            if text[end:].strip():
                raise _error(text, end, "expected the end of the filter, or 'and' or 'or' and another FIELD OP VALUE")
            return
        word, position = join["word"].lower(), join.end()


def _value(text: str, start: int) -> tuple[str, int]:
    """Read the value at a position, without its quotes; return it and the position of its end."""
    if (quote := text[start]) in "'\"":
        end = text.find(quote, start + 1)
        if end < 0:
            raise _error(text, start, f"the quote {quote} is never closed")
        return text[start + 1 : end], end + 1
    join = _JOIN.search(text, start)
    end = join.start() if join else len(text)
    return text[start:end].strip(), end


def _error(expression: str, position: int, problem: str) -> FilterError:
    return FilterError(f"filter {expression!r}: at character {position + 1}, {problem}")


# --- the condition of each field ---


def _pixels(column: ColumnElement[int]) -> Callable[[_Clause], Condition]:
    def build(clause: _Clause) -> Condition:
        if not re.fullmatch(r"-?[0-9]{1,9}", clause.value):
            raise clause.invalid_value(f"{clause.value!r} is not a whole number of pixels")
        return _OPERATORS[clause.op](column, int(clause.value))

    return build


def _decimal(column: ColumnElement[float]) -> Callable[[_Clause], Condition]:
    def build(clause: _Clause) -> Condition:
        if not _DECIMAL.fullmatch(clause.value):
            raise clause.invalid_value(f"{clause.value!r} is not a number such as 48.137")
        return _OPERATORS[clause.op](column, float(clause.value))

    return build


def _orientation(clause: _Clause) -> Condition:
    shapes = {
        "landscape": _image.width > _image.height,
        "portrait": _image.width < _image.height,
        "square": _image.width == _image.height,
    }
    clause.require_equality()
    if clause.value.lower() not in shapes:
        raise clause.invalid_value(f"orientation is landscape, portrait or square, not {clause.value!r}")
    return shapes[clause.value.lower()]


def _taken_at(clause: _Clause) -> Condition:
    """ISO dates compare by their prefix: `taken_at = 2024` matches the whole year."""
    match = re.fullmatch(r"(\d{4})(?:-(\d\d)(?:-(\d\d)(?:[T ][\d:]+)?)?)?", clause.value, re.ASCII)
    if match is None or not _is_date(*(int(part or 1) for part in match.groups())):
        raise clause.invalid_value(f"{clause.value!r} is not a date such as 2024-01-31")
    prefix = func.substr(_image.taken_at, 1, len(clause.value))
    return _OPERATORS[clause.op](prefix, clause.value.replace(" ", "T"))


def _is_date(year: int, month: int, day: int) -> bool:
    try:
        date(year, month, day)
    except ValueError:
        return False
    return True


def _has_date(clause: _Clause) -> Condition:
    return _image.taken_at.is_not(None) if _boolean(clause) else _image.taken_at.is_(None)


def _camera(clause: _Clause) -> Condition:
    clause.require_equality()
    return _like(_image.camera, clause.value)


def _format(clause: _Clause) -> Condition:
    clause.require_equality()
    return _like(_image.format, _FORMATS.get(clause.value.lower(), clause.value))


def _within(clause: _Clause) -> Condition:
    """A bounding box in degrees: south, west, north, east. If west > east, it crosses the antimeridian."""
    clause.require_equality()
    parts = [part.strip() for part in clause.value.split(",")]
    if len(parts) != 4 or not all(_DECIMAL.fullmatch(part) for part in parts):
        raise clause.invalid_value(
            f"{clause.value!r} is not south,west,north,east in degrees, such as 48.1,11.4,48.3,11.8"
        )
    south, west, north, east = (float(part) for part in parts)
    if not (-90 <= south <= north <= 90 and -180 <= west <= 180 and -180 <= east <= 180):
        raise clause.invalid_value("latitudes run from -90 to 90, south before north, longitudes from -180 to 180")
    after_west, before_east = _image.longitude >= west, _image.longitude <= east
    in_longitude = and_(after_west, before_east) if west <= east else or_(after_west, before_east)
    return and_(_image.latitude.between(south, north), in_longitude)


def _size(clause: _Clause) -> Condition:
    match = _SIZE.fullmatch(clause.value.lower())
    if match is None or match["unit"] not in _UNITS:
        raise clause.invalid_value(f"{clause.value!r} is not a size such as 2MB, 500 kB, 1.5MiB, or a number of bytes")
    size = min(round(float(match["count"]) * _UNITS[match["unit"]]), MAX_INTEGER)
    return _has_file(_OPERATORS[clause.op](_location.size, size))


def _folder(clause: _Clause) -> Condition:
    """All files below a folder, as a range of the index on folded paths."""
    clause.require_equality()
    expanded = os.path.expanduser(clause.value)  # noqa: PTH111  Path.expanduser raises where there is no such user
    folder = folded(os.path.abspath(expanded)).rstrip(os.sep)
    return _has_file(and_(_location.folded > folder + os.sep, _location.folded < folder + chr(ord(os.sep) + 1)))


def _name(clause: _Clause) -> Condition:
    """The file name. Comparing the end of the whole path first is fast, and leaves few paths to split."""
    clause.require_equality()
    path = _location.folded
    folder = func.rtrim(path, func.replace(path, os.sep, ""))  # strips trailing characters up to the last separator
    name = func.substr(path, func.length(folder) + 1)
    value = folded(clause.value)
    return _has_file(and_(_like(path, f"*{os.sep}{value}"), _like(name, value)))


def _annotated(name: Annotation) -> Callable[[_Clause], Condition]:
    """An annotation of a name; `*` matches any text."""

    def build(clause: _Clause) -> Condition:
        clause.require_equality()
        return _has_annotation(name, _like(_annotation.folded, folded(clause.value)))

    return build


def _place(clause: _Clause) -> Condition:
    """A place that the picture names, or any name of the place of its position."""
    clause.require_equality()
    value, place_name = folded(clause.value), schema.place_name.c
    of_position = select(place_name.place_id).where(_like(place_name.folded, value))
    named = _has_annotation(Annotation.PLACE, _like(_annotation.folded, value))
    return or_(named, and_(_image.place_id.is_not(None), _image.place_id.in_(of_position)))


def _rating(clause: _Clause) -> Condition:
    """Stars from 1 to 5; -1 is a picture that was rejected. Images without a rating match only `!=`."""
    if not re.fullmatch(r"-?[0-9]", clause.value):
        raise clause.invalid_value(f"{clause.value!r} is not a rating from -1 to 5")
    value = sql_cast(_annotation.folded, Integer)
    return _has_annotation(Annotation.RATING, _OPERATORS[clause.op](value, int(clause.value)))


def _has_annotation(name: Annotation, matches: Condition) -> Condition:
    return _image.id.in_(select(_annotation.image_id).where(_annotation.name == name.value, matches))


def _has_caption(clause: _Clause) -> Condition:
    captioned = _image.id.in_(select(_caption.image_id).where(_caption.image_id.is_not(None)))
    return captioned if _boolean(clause) else ~captioned


def _boolean(clause: _Clause) -> bool:
    clause.require_equality()
    if clause.value.lower() not in ("true", "false"):
        raise clause.invalid_value(f"{clause.field} is true or false, not {clause.value!r}")
    return clause.value.lower() == "true"


def _has_file(matches: Condition) -> Condition:
    """At least one file of the image matches a condition and is not missing."""
    return _image.id.in_(select(_location.image_id).where(matches, _location.missing_since.is_(None)))


def _like(column: ColumnElement[str], value: str) -> Condition:
    """Equality ignoring case; `*` matches any text."""
    pattern = re.sub(r"([%_\\])", r"\\\1", value).replace("*", "%")
    return column.like(pattern, escape="\\")


_BUILDERS: dict[str, Callable[[_Clause], Condition]] = {
    "width": _pixels(_image.width),
    "height": _pixels(_image.height),
    "megapixels": _decimal(cast(ColumnElement[float], _image.width * _image.height / 1e6)),
    "orientation": _orientation,
    "taken_at": _taken_at,
    "has_date": _has_date,
    "camera": _camera,
    "format": _format,
    "latitude": _decimal(_image.latitude),
    "longitude": _decimal(_image.longitude),
    "within": _within,
    "size": _size,
    "folder": _folder,
    "name": _name,
    "has_caption": _has_caption,
    "keyword": _annotated(Annotation.KEYWORD),
    "person": _annotated(Annotation.PERSON),
    "place": _place,
    "lens": _annotated(Annotation.LENS),
    "rating": _rating,
}
FIELDS = tuple(_BUILDERS)
