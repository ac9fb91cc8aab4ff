"""Annotations of images: what pictures, their sidecars and their positions say in words, each by its name."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum

from sqlalchemy import Connection, delete, insert, select, update

from . import schema
from .catalog import Catalog
from .words import folded, words_of


class Annotation(StrEnum):
    """The name of an annotation. An image may have several keywords, persons and places, and one of each other."""

    TITLE = "title"
    DESCRIPTION = "description"
    KEYWORD = "keyword"
    PERSON = "person"
    PLACE = "place"
    CREATOR = "creator"
    COPYRIGHT = "copyright"
    LENS = "lens"
    RATING = "rating"


SINGLE = tuple(name for name in Annotation if name not in (Annotation.KEYWORD, Annotation.PERSON, Annotation.PLACE))
"""The annotations of which an image has at most one."""

NOT_SEARCHED = {Annotation.COPYRIGHT, Annotation.LENS, Annotation.RATING}
"""Annotations that are filters and facets, but whose words do not find an image."""

_annotation = schema.annotation.c


def annotations_of_image(catalog: Catalog, image_id: int) -> dict[Annotation, list[str]]:
    """The annotations of an image by name, in the order in which they were written."""
    found: dict[Annotation, list[str]] = {}
    query = select(_annotation.name, _annotation.value).where(_annotation.image_id == image_id).order_by(_annotation.id)
    for row in catalog.rows(query):
        found.setdefault(Annotation(row.name), []).append(row.value)
    return found


def write_annotations(connection: Connection, image_id: int, annotations: Iterable[tuple[Annotation, str]]) -> None:
    """Replace the annotations of an image.

    Args:
        connection: an open transaction.
        image_id: the image.
        annotations: name and value of each; equal ones are written once.
    """
    rows = [
        {
            "image_id": image_id,
            "name": name.value,
            "value": value,
            "folded": folded(value),
            "words": "" if name in NOT_SEARCHED else words_of(value),
        }
        for name, value in dict.fromkeys(annotations)
    ]
    previous = connection.execute(delete(schema.annotation).where(_annotation.image_id == image_id)).rowcount
    if rows:
        connection.execute(insert(schema.annotation), rows)
    if rows or previous:
        connection.execute(update(schema.edition).values(count=schema.edition.c.count + 1))
