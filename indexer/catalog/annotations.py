"""Annotations of images: what pictures, their sidecars and their positions say in words, each by its name."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from enum import StrEnum

from sqlalchemy import Connection, delete, insert, select

from ..places import Place
from . import schema
from .catalog import Catalog
from .records import chunks
from .words import folded, words_of


class Annotation(StrEnum):
    """The name of an annotation.

    An image may have several keywords, persons and places, and further texts beside its title and description, such as
    those in other languages. Of the others it has at most one.
    """

    TITLE = "title"
    DESCRIPTION = "description"
    TEXT = "text"
    KEYWORD = "keyword"
    PERSON = "person"
    PLACE = "place"
    CREATOR = "creator"
    COPYRIGHT = "copyright"
    LENS = "lens"
    RATING = "rating"


SEVERAL = {Annotation.TEXT, Annotation.KEYWORD, Annotation.PERSON, Annotation.PLACE}
"""Annotations of which an image may have several."""

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


def write_annotations(connection: Connection, annotations: Mapping[int, Iterable[tuple[Annotation, str]]]) -> None:
    """Replace the annotations of some images. Those of a name that are as they were are not written again.

    Args:
        connection: an open transaction.
        annotations: name and value of each annotation by image id; equal ones are written once.
    """
    stored: dict[tuple[int, str], list[tuple[int, str]]] = {}
    for part in chunks(list(annotations)):
        query = select(schema.annotation).where(_annotation.image_id.in_(part)).order_by(_annotation.id)
        for row in connection.execute(query):
            stored.setdefault((row.image_id, row.name), []).append((row.id, row.value))
    wanted: dict[tuple[int, str], list[str]] = {}
    for image_id, pairs in annotations.items():
        for name, value in dict.fromkeys(pairs):
            wanted.setdefault((image_id, name.value), []).append(value)
    same = {key for key, rows in stored.items() if [value for _, value in rows] == wanted.get(key)}
    stale = [row_id for key, rows in stored.items() if key not in same for row_id, _ in rows]
    new = [_row(*key, value) for key, values in wanted.items() if key not in same for value in values]
    for part in chunks(stale):
        connection.execute(delete(schema.annotation).where(_annotation.id.in_(part)))
    if new:
        connection.execute(insert(schema.annotation), new)


def _row(image_id: int, name: str, value: str) -> dict[str, object]:
    words = "" if name in NOT_SEARCHED else words_of(value)
    return {"image_id": image_id, "name": name, "value": value, "folded": folded(value), "words": words}


def write_place(connection: Connection, place: Place) -> int:
    """Add a place with all its names, unless the catalog has it; return its id."""
    digest = hashlib.sha256("\n".join(place.names).encode()).hexdigest()
    c = schema.place.c
    place_id = connection.execute(select(c.id).where(c.digest == digest)).scalar_one_or_none()
    if place_id is None:
        values = {"digest": digest, "city": place.city, "region": place.region, "country": place.country}
        place_id = connection.execute(insert(schema.place).values(values).returning(c.id)).scalar_one()
        variants = [*place.names, *(name[:-1] for name in place.names if name.endswith("市") and len(name) > 2)]
        names = {(folded(name), words_of(name)): None for name in variants}  # 市 is "city", which people leave out
        rows = [{"place_id": place_id, "folded": fold, "words": words} for fold, words in names]
        connection.execute(insert(schema.place_name), rows)
    return int(place_id)
