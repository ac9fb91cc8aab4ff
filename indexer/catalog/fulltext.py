"""Full-text search in captions and in file and folder names (SQLite FTS5).

The user's text is passed to FTS5 as one quoted string, so nothing in it is query syntax. The tokenizer splits it like
the indexed text: `IMG_2034` becomes the phrase "img 2034".
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

MAX_NAME_LENGTH = 255
"""Maximum characters of a file name; file systems allow no more."""


def images_with_term(catalog: Catalog, term: str, *, limit: int) -> tuple[Ids, Ids]:
    """Find images with a word or phrase in the path of a file that is not missing, or in a caption.

    The caption bank is not searched. Case, accents and word endings are ignored.

    Args:
        catalog: an open catalog.
        term: a word or phrase; any text.
        limit: maximum number of ids in each result; which ones are dropped is arbitrary.

    Returns:
        Ids of images with a match in a path, and of images with a match in a caption, both ascending.
    """
    quoted = _quoted(term)
    names, captions = (np.sort(catalog.ids(query, term=quoted, limit=limit)) for query in (_IN_NAMES, _IN_CAPTIONS))
    return names, captions


def images_named(catalog: Catalog, name: str, *, limit: int = 1000) -> Ids:
    """Find images with a file of exactly this name, with or without suffix, ignoring case; ids are ascending."""
    name = _storable(name)
    if len(name) > MAX_NAME_LENGTH:
        return np.empty(0, np.int64)
    pattern = "%" + re.sub(r"([/%_])", r"/\1", os.sep + name)
    candidates = catalog.ids(_NAMED, term=_quoted(name), full=pattern, stem=pattern + ".%", limit=limit)
    lowered = name.lower()
    records = images_by_id(catalog, np.sort(candidates).tolist())
    ids = [i for i, r in records.items() if any(lowered in (p.name.lower(), p.stem.lower()) for p in r.paths)]
    return np.array(sorted(ids), np.int64)


def _quoted(term: str) -> str:
    """Quote a term as one FTS5 string."""
    return f'"{_storable(term).replace(chr(0), " ").replace(chr(34), " ")}"'


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
_location, _caption = schema.location.c, schema.caption.c
_PRESENT_MATCH = _location.id.in_(_matching_rows("location_words")) & _location.missing_since.is_(None)
_IN_NAMES = _distinct_ids(_location.image_id, _PRESENT_MATCH)
_IN_CAPTIONS = _distinct_ids(
    _caption.image_id, _caption.id.in_(_matching_rows("caption_words")), _caption.image_id.is_not(None)
)
_NAMED = _distinct_ids(
    _location.image_id,
    _PRESENT_MATCH,
    _location.path.like(bindparam("full"), escape="/") | _location.path.like(bindparam("stem"), escape="/"),
)
