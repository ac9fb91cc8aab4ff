"""Full-text search in captions and in file and folder names (SQLite FTS5).

The user's text reaches FTS5 as one quoted string, so nothing in it is query syntax. The tokenizer splits it as it split
the indexed texts: `IMG_2034` becomes the phrase of the words img and 2034.
"""

from __future__ import annotations

import os
import re
from typing import Any

import numpy as np
from sqlalchemy import Column, ColumnElement, Select, bindparam, literal_column, select, table

from . import schema
from .catalog import Catalog
from .images import images_by_id
from .records import Ids

LONGEST_NAME = 255
"""Characters of a file name; file systems allow no longer ones."""


def images_with_term(catalog: Catalog, term: str, *, limit: int) -> tuple[Ids, Ids]:
    """Find images with a word or phrase in a present file's path or in a caption.

    Captions of the bank belong to no image and are not searched. Case, accents and word endings are ignored.

    Args:
        catalog: an open catalog.
        term: a word or phrase; any text.
        limit: maximum number of ids in each result; beyond it the choice is arbitrary.

    Returns:
        Ids of images with a match in a path, and of images with a match in a caption, both ascending.
    """
    quoted = _quoted(term)
    names, captions = (np.sort(catalog.ids(query, term=quoted, limit=limit)) for query in (_IN_NAMES, _IN_CAPTIONS))
    return names, captions


def images_named(catalog: Catalog, name: str, *, limit: int = 1000) -> Ids:
    """Find images with a file of exactly this name, with or without its suffix, ignoring case. Ids are ascending."""
    name = _storable(name)
    if len(name) > LONGEST_NAME:
        return np.empty(0, np.int64)
    like = "%" + re.sub(r"([/%_])", r"/\1", os.sep + name)
    candidates = catalog.ids(_NAMED, term=_quoted(name), ends=like, goes_on=like + ".%", limit=limit)
    lowered = name.lower()
    records = images_by_id(catalog, np.sort(candidates).tolist())
    named = [i for i, r in records.items() if any(lowered in (p.name.lower(), p.stem.lower()) for p in r.paths)]
    return np.array(sorted(named), np.int64)


def _quoted(term: str) -> str:
    """Quote a term for FTS5 as one string."""
    return f'"{_storable(term).replace(chr(0), " ").replace(chr(34), " ")}"'


def _storable(text: str) -> str:
    """Replace bytes that are not UTF-8, which the catalog never holds."""
    return text.encode("utf-8", "replace").decode()


def _rows_with(words: str) -> Select[tuple[int]]:
    """Select the rows of a full-text table that match a term."""
    matching: ColumnElement[bool] = literal_column(words).op("MATCH")(bindparam("term"))
    return select(literal_column("rowid")).select_from(table(words)).where(matching)


def _some_images(column: Column[int], *where: ColumnElement[bool]) -> Select[Any]:
    return select(column).where(*where).distinct().limit(bindparam("limit"))


# Built once: building a query takes longer than running it.
_location, _caption = schema.location.c, schema.caption.c
_PRESENT_MATCH = _location.id.in_(_rows_with("location_words")) & _location.missing_since.is_(None)
_IN_NAMES = _some_images(_location.image_id, _PRESENT_MATCH)
_IN_CAPTIONS = _some_images(
    _caption.image_id, _caption.id.in_(_rows_with("caption_words")), _caption.image_id.is_not(None)
)
_NAMED = _some_images(
    _location.image_id,
    _PRESENT_MATCH,
    _location.path.like(bindparam("ends"), escape="/") | _location.path.like(bindparam("goes_on"), escape="/"),
)
