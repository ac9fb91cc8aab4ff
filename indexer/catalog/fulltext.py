"""Words of captions and of file and folder names: which images hold them (SQLite FTS5).

What a person typed reaches FTS5 as one quoted string, which its own tokeniser takes apart just as it took apart the
texts: `IMG_2034` is then the words img and 2034, one after the other. So nothing in it can be query syntax.
"""

from __future__ import annotations

import os
import re
from typing import Any

import numpy as np
from sqlalchemy import Column, ColumnElement, Select, bindparam, literal_column, select, table

from . import schema
from .catalog import Catalog
from .records import Ids

LONGEST_NAME = 255
"""Characters of a file name; file systems allow no more."""


def images_with_term(catalog: Catalog, term: str, *, limit: int) -> tuple[Ids, Ids]:
    """Images that hold a word, or several words that follow one another, where they lie now or in a caption.

    Captions of a bank belong to no image and never count. Case, accents and endings make no difference.

    Args:
        catalog: where.
        term: what to look for; any text.
        limit: at most so many of each; which ones is then left to chance.

    Returns:
        Ids of the images whose file or folder names hold it, and of those whose captions do, both ascending.
    """
    quoted = _quoted(term)
    names, captions = (np.sort(catalog.ids(query, term=quoted, limit=limit)) for query in (_IN_NAMES, _IN_CAPTIONS))
    return names, captions


def images_named(catalog: Catalog, name: str, *, limit: int = 1000) -> Ids:
    """Images one of whose files has just this name, with or without its ending, ascending; case makes no difference."""
    name = _storable(name)
    if len(name) > LONGEST_NAME:
        return np.empty(0, np.int64)
    like = "%" + re.sub(r"([/%_])", r"/\1", os.sep + name)
    found = catalog.ids(_NAMED, term=_quoted(name), ends=like, goes_on=like + ".%", limit=limit)
    wanted = name.lower()
    records = catalog.images(np.sort(found).tolist())
    named = [i for i, r in records.items() if any(wanted in (p.name.lower(), p.stem.lower()) for p in r.paths)]
    return np.array(sorted(named), np.int64)


def _quoted(term: str) -> str:
    """A term as FTS5 takes it: one string, and no syntax."""
    return f'"{_storable(term).replace(chr(0), " ").replace(chr(34), " ")}"'


def _storable(text: str) -> str:
    """Without bytes that are no text, of which the catalog has none."""
    return text.encode("utf-8", "replace").decode()


def _rows_with(words: str) -> Select[tuple[int]]:
    """Rows of a full-text table that hold a term."""
    matching: ColumnElement[bool] = literal_column(words).op("MATCH")(bindparam("term"))
    return select(literal_column("rowid")).select_from(table(words)).where(matching)


def _some_images(column: Column[int], *where: ColumnElement[bool]) -> Select[Any]:
    return select(column).where(*where).distinct().limit(bindparam("limit"))


# Built once: building takes longer than asking.
_place, _caption = schema.location.c, schema.caption.c
_HERE = _place.id.in_(_rows_with("location_words")) & _place.missing_since.is_(None)
_IN_NAMES = _some_images(_place.image_id, _HERE)
_IN_CAPTIONS = _some_images(
    _caption.image_id, _caption.id.in_(_rows_with("caption_words")), _caption.image_id.is_not(None)
)
_NAMED = _some_images(
    _place.image_id,
    _HERE,
    _place.path.like(bindparam("ends"), escape="/") | _place.path.like(bindparam("goes_on"), escape="/"),
)
