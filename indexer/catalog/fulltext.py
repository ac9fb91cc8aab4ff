"""Full-text search in names of files and folders, captions, and annotations (SQLite FTS5).

A term is looked for as the phrases that `words.phrases_of` makes of it, each passed to FTS5 as one quoted string of
plain words, so nothing in it is query syntax.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np
from sqlalchemy import Column, ColumnElement, Select, bindparam, literal_column, select, table

from . import schema
from .catalog import Catalog
from .images import images_by_id
from .records import Ids
from .words import folded, phrases_of

MAX_NAME_LENGTH = 255
"""Maximum characters of a file name; file systems allow no more."""


class TermMatches(NamedTuple):
    """Ids of the images that contain a term, by where they do; each ascending."""

    names: Ids
    captions: Ids
    annotations: Ids


def images_with_term(catalog: Catalog, term: str, *, limit: int) -> TermMatches:
    """Find images with a word or phrase in the path of a file that is not missing, in a caption or in an annotation.

    The caption bank is not searched. Case, accents and word endings are ignored. The place of a picture's position is
    also found by any of its whole names, in other languages.

    Args:
        catalog: an open catalog.
        term: a word or phrase; any text.
        limit: maximum number of ids in each result; which ones are dropped is arbitrary.
    """
    phrases = phrases_of(_storable(term))
    if not phrases:
        return TermMatches(*(np.empty(0, np.int64) for _ in TermMatches._fields))
    names, captions = (
        np.sort(catalog.ids(query, term=_any_of(phrases), limit=limit)) for query in (_IN_NAMES, _IN_CAPTIONS)
    )
    return TermMatches(names, captions, images_annotated(catalog, term, limit=limit))


def images_annotated(catalog: Catalog, term: str, *, limit: int) -> Ids:
    """Find images with a word or phrase in an annotation, as `images_with_term` does; ids are ascending."""
    phrases = phrases_of(_storable(term))
    if not phrases:
        return np.empty(0, np.int64)
    annotated = catalog.ids(_IN_ANNOTATIONS, term=_any_of(phrases), limit=limit)
    placed = catalog.ids(_IN_PLACES, phrases=phrases, limit=limit)
    return np.union1d(annotated, placed)[:limit]


def places_among(catalog: Catalog, texts: Iterable[str]) -> list[str]:
    """Return those of some texts that are whole names of places where indexed pictures were taken."""
    phrases = {phrase: text for text in texts for phrase in phrases_of(_storable(text))}
    if not phrases:
        return []
    rows = catalog.rows(_PLACE_NAMES, phrases=list(phrases))
    return list(dict.fromkeys(phrases[str(row.words)] for row in rows))


def images_named(catalog: Catalog, name: str, *, limit: int = 1000) -> Ids:
    """Find images with a file of exactly this name, with or without suffix, ignoring case; ids are ascending."""
    name, phrases = folded(_storable(name)), phrases_of(_storable(name))
    if len(name) > MAX_NAME_LENGTH or not phrases:
        return np.empty(0, np.int64)
    pattern = "%" + re.sub(r"([/%_])", r"/\1", os.sep + name)
    candidates = catalog.ids(_NAMED, term=_any_of(phrases), full=pattern, stem=pattern + ".%", limit=limit)
    records = images_by_id(catalog, np.sort(candidates).tolist())
    ids = [i for i, r in records.items() if any(name in (folded(p.name), folded(p.stem)) for p in r.paths)]
    return np.array(sorted(ids), np.int64)


def _any_of(phrases: Iterable[str]) -> str:
    """Return an FTS5 query for any of some phrases."""
    return " OR ".join(f'"{phrase}"' for phrase in phrases)


def _storable(text: str) -> str:
    """Replace surrogate escapes; the catalog only stores UTF-8."""
    return text.encode("utf-8", "replace").decode()


def _matching_rows(name: str) -> Select[tuple[int]]:
    """Select the rows of a full-text table that match a term."""
    matches: ColumnElement[bool] = literal_column(name).op("MATCH")(bindparam("term"))
    return select(literal_column("rowid")).select_from(table(name)).where(matches)


def _distinct_ids(column: Column[int], *where: ColumnElement[bool]) -> Select[Any]:
    return select(column).where(*where).distinct().limit(bindparam("limit"))


# Built once, because building a query takes longer than running it.
_location, _caption, _annotation = schema.location.c, schema.caption.c, schema.annotation.c
_PRESENT_MATCH = _location.id.in_(_matching_rows("location_words")) & _location.missing_since.is_(None)
_IN_NAMES = _distinct_ids(_location.image_id, _PRESENT_MATCH)
_IN_CAPTIONS = _distinct_ids(
    _caption.image_id, _caption.id.in_(_matching_rows("caption_words")), _caption.image_id.is_not(None)
)
_IN_ANNOTATIONS = _distinct_ids(_annotation.image_id, _annotation.id.in_(_matching_rows("annotation_words")))
_place = schema.place_name.c
_PLACED = _place.words.in_(bindparam("phrases", expanding=True))  # Munich is also Monaco di Baviera
_PLACE_NAMES = select(_place.words.label("words")).distinct().where(_PLACED)
_IN_PLACES = _distinct_ids(schema.image.c.id, schema.image.c.place_id.in_(select(_place.place_id).where(_PLACED)))
_NAMED = _distinct_ids(
    _location.image_id,
    _PRESENT_MATCH,
    _location.folded.like(bindparam("full"), escape="/") | _location.folded.like(bindparam("stem"), escape="/"),
)
