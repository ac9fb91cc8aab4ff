"""Words of captions and of file and folder names: which images hold them (SQLite FTS5).

What a person typed reaches FTS5 as one quoted string, which its own tokeniser takes apart just as it took apart the
texts: `IMG_2034` is then the words img and 2034, one after the other. So nothing in it can be query syntax.
"""

from __future__ import annotations

import os

import numpy as np
from sqlalchemy import ColumnElement, Select, literal_column, or_, select, table

from . import schema
from .catalog import Catalog, Ids

LONGEST_NAME = 255
"""Characters of a file name; file systems allow no more."""


def images_that_say(catalog: Catalog, term: str, *, limit: int) -> tuple[Ids, Ids]:
    """Images that hold a word, or several words that follow one another, where they lie now or in a caption.

    Captions of a bank belong to no image and never count. Case, accents and endings make no difference.

    Args:
        catalog: where.
        term: what to look for; any text.
        limit: at most so many of each; which ones is then left to chance.

    Returns:
        Ids of the images whose file or folder names hold it, and of those whose captions do, both ascending.
    """
    places, captions = schema.location.c, schema.caption.c
    queries = (
        select(places.image_id).where(
            places.id.in_(_rows_with("location_words", term)), places.missing_since.is_(None)
        ),
        select(captions.image_id).where(
            captions.id.in_(_rows_with("caption_words", term)), captions.image_id.is_not(None)
        ),
    )
    names, texts = (np.sort(catalog.ids(query.distinct().limit(limit))) for query in queries)
    return names, texts


def images_named(catalog: Catalog, name: str, *, limit: int = 1000) -> Ids:
    """Images one of whose files has just this name, with or without its ending, ascending; case makes no difference."""
    name, c = _storable(name), schema.location.c
    if len(name) > LONGEST_NAME:
        return np.empty(0, np.int64)
    ends = or_(c.path.endswith(os.sep + name, autoescape=True), c.path.contains(f"{os.sep}{name}.", autoescape=True))
    there = c.id.in_(_rows_with("location_words", name)) & c.missing_since.is_(None)
    query = select(c.image_id).where(there, ends).distinct().limit(limit)
    wanted = name.lower()
    records = catalog.images(np.sort(catalog.ids(query)).tolist())
    named = [i for i, r in records.items() if any(wanted in (p.name.lower(), p.stem.lower()) for p in r.paths)]
    return np.array(sorted(named), np.int64)


def _rows_with(words: str, term: str) -> Select[tuple[int]]:
    """Rows of a full-text table that hold a term."""
    quoted = _storable(term).replace("\0", " ").replace('"', " ")
    matching: ColumnElement[bool] = literal_column(words).op("MATCH")(f'"{quoted}"')
    return select(literal_column("rowid")).select_from(table(words)).where(matching)


def _storable(text: str) -> str:
    """Without bytes that are no text, of which the catalog has none."""
    return text.encode("utf-8", "replace").decode()
