"""The fields of `--where` filters, and the SQL condition of each. `grammar` splits an expression into its clauses.

`!=` is the negation of `=` and therefore matches images whose field is unknown; no other operator matches those.
"""

from __future__ import annotations

import operator
import os
import re
from collections.abc import Callable
from typing import Any, cast

from sqlalchemy import ColumnElement, Integer, and_, func, or_, select, true
from sqlalchemy import cast as sql_cast

from . import schema
from .annotations import Annotation
from .grammar import Clause, clauses, like_pattern
from .words import folded, is_date, words_of

_OPERATORS: dict[str, Callable[[Any, Any], Any]] = {
    "=": operator.eq,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_DECIMAL = re.compile(r"[+-]?[0-9]{1,9}(?:\.[0-9]{1,9})?")
_SIZE = re.compile(r"(?P<count>[0-9]{1,15}(?:\.[0-9]{1,9})?)\s*(?P<unit>[a-z]*)")
_UNITS = {"": 1, "b": 1, "bytes": 1, "kb": 10**3, "mb": 10**6, "gb": 10**9, "kib": 2**10, "mib": 2**20, "gib": 2**30}
MAX_INTEGER = 2**63 - 1
"""SQLite's largest integer."""

_FORMATS = {"jpg": "jpeg", "tif": "tiff", "heic": "heif"}
_image, _location, _caption = schema.image.c, schema.location.c, schema.caption.c
_annotation = schema.annotation.c

Condition = ColumnElement[bool]


def condition(expression: str) -> Condition:
    """Translate an expression into an SQL condition on `image`.

    Raises:
        FilterError: the expression does not parse; the message gives the character and what was expected.
    """
    alternatives: list[list[Condition]] = [[]]
    for word, clause, negated in clauses(expression):
        if word == "or":
            alternatives.append([])
        if clause.field not in _BUILDERS:
            raise clause.invalid_field(f"unknown field {clause.field!r}; expected one of: {', '.join(FIELDS)}")
        comparison = _BUILDERS[clause.field](clause)
        alternatives[-1].append(comparison.is_not(true()) if negated else comparison)
    return or_(*(and_(*conditions) for conditions in alternatives))


def _pixels(column: ColumnElement[int]) -> Callable[[Clause], Condition]:
    def build(clause: Clause) -> Condition:
        if not re.fullmatch(r"-?[0-9]{1,9}", clause.value):
            raise clause.invalid_value(f"{clause.value!r} is not a whole number of pixels")
        return _OPERATORS[clause.op](column, int(clause.value))

    return build


def _decimal(column: ColumnElement[float]) -> Callable[[Clause], Condition]:
    def build(clause: Clause) -> Condition:
        if not _DECIMAL.fullmatch(clause.value):
            raise clause.invalid_value(f"{clause.value!r} is not a number such as 48.137")
        return _OPERATORS[clause.op](column, float(clause.value))

    return build


def _orientation(clause: Clause) -> Condition:
    shapes = {
        "landscape": _image.width > _image.height,
        "portrait": _image.width < _image.height,
        "square": _image.width == _image.height,
    }
    clause.require_equality()
    if clause.value.lower() not in shapes:
        raise clause.invalid_value(f"orientation is landscape, portrait or square, not {clause.value!r}")
    return shapes[clause.value.lower()]


def _taken_at(clause: Clause) -> Condition:
    """ISO dates compare by their prefix: `taken_at = 2024` matches the whole year."""
    match = re.fullmatch(r"(\d{4})(?:-(\d\d)(?:-(\d\d)(?:[T ][\d:]+)?)?)?", clause.value, re.ASCII)
    if match is None or not is_date(*(int(part or 1) for part in match.groups())):
        raise clause.invalid_value(f"{clause.value!r} is not a date such as 2024-01-31")
    prefix = func.substr(_image.taken_at, 1, len(clause.value))
    return _OPERATORS[clause.op](prefix, clause.value.replace(" ", "T"))


def _has_date(clause: Clause) -> Condition:
    return _image.taken_at.is_not(None) if _boolean(clause) else _image.taken_at.is_(None)


def _camera(clause: Clause) -> Condition:
    clause.require_equality()
    return _like(func.folded(_image.camera), folded(clause.value))


def _format(clause: Clause) -> Condition:
    clause.require_equality()
    value = folded(clause.value)
    return _like(func.folded(_image.format), _FORMATS.get(value, value))


def _within(clause: Clause) -> Condition:
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


def _size(clause: Clause) -> Condition:
    match = _SIZE.fullmatch(clause.value.lower())
    if match is None or match["unit"] not in _UNITS:
        raise clause.invalid_value(f"{clause.value!r} is not a size such as 2MB, 500 kB, 1.5MiB, or a number of bytes")
    size = min(round(float(match["count"]) * _UNITS[match["unit"]]), MAX_INTEGER)
    return _has_file(_OPERATORS[clause.op](_location.size, size))


def _folder(clause: Clause) -> Condition:
    """All files below a folder, as a range of the index on folded paths."""
    clause.require_equality()
    expanded = os.path.expanduser(clause.value)  # noqa: PTH111  Path.expanduser raises where there is no such user
    folder = folded(os.path.abspath(expanded)).rstrip(os.sep)
    return _has_file(and_(_location.folded > folder + os.sep, _location.folded < folder + chr(ord(os.sep) + 1)))


def _name(clause: Clause) -> Condition:
    """The file name. Comparing the end of the whole path first is fast, and leaves few paths to split."""
    clause.require_equality()
    path = _location.folded
    folder = func.rtrim(path, func.replace(path, os.sep, ""))  # strips trailing characters up to the last separator
    name = func.substr(path, func.length(folder) + 1)
    value = folded(clause.value)
    at_end = path.like(f"%{like_pattern(os.sep)}{like_pattern(value)}", escape="\\")
    return _has_file(and_(at_end, _like(name, value)))


def _annotated(name: Annotation) -> Callable[[Clause], Condition]:
    """An annotation of a name; `*` matches any text."""

    def build(clause: Clause) -> Condition:
        clause.require_equality()
        return _has_annotation(name, _says(clause.value))

    return build


def _says(value: str) -> Condition:
    """An annotation that is a value, or has the same words: without wildcards, accents do not matter."""
    is_value = _like(_annotation.folded, folded(value))
    words = words_of(value)
    return or_(is_value, _annotation.words == words) if words and "*" not in value else is_value


def _place(clause: Clause) -> Condition:
    """A place that the picture names, or any name of the place of its position."""
    clause.require_equality()
    value, place_name = folded(clause.value), schema.place_name.c
    of_position = select(place_name.place_id).where(_like(place_name.folded, value))
    named = _has_annotation(Annotation.PLACE, _says(clause.value))
    return or_(named, and_(_image.place_id.is_not(None), _image.place_id.in_(of_position)))


def _rating(clause: Clause) -> Condition:
    """Stars from 1 to 5; -1 is a picture that was rejected. Images without a rating match only `!=`."""
    if not re.fullmatch(r"-1|[0-5]", clause.value):  # 0 is between the two, for comparisons
        raise clause.invalid_value(f"{clause.value!r} is not a rating from 1 to 5, or -1 for rejected")
    value = sql_cast(_annotation.folded, Integer)
    return _has_annotation(Annotation.RATING, _OPERATORS[clause.op](value, int(clause.value)))


def _has_annotation(name: Annotation, matches: Condition) -> Condition:
    return _image.id.in_(select(_annotation.image_id).where(_annotation.name == name.value, matches))


def _has_caption(clause: Clause) -> Condition:
    captioned = _image.id.in_(select(_caption.image_id).where(_caption.image_id.is_not(None)))
    return captioned if _boolean(clause) else ~captioned


def _boolean(clause: Clause) -> bool:
    clause.require_equality()
    if clause.value.lower() not in ("true", "false"):
        raise clause.invalid_value(f"{clause.field} is true or false, not {clause.value!r}")
    return clause.value.lower() == "true"


def _has_file(matches: Condition) -> Condition:
    """At least one file of the image matches a condition and is not missing."""
    return _image.id.in_(select(_location.image_id).where(matches, _location.missing_since.is_(None)))


def _like(column: ColumnElement[str], value: str) -> Condition:
    """Equality of a folded text with a folded value; `*` in the value matches any text."""
    return column.like(like_pattern(value), escape="\\")


_BUILDERS: dict[str, Callable[[Clause], Condition]] = {
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
