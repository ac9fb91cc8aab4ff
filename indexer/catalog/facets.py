"""How many images there are of each kind: by folder, camera, format, orientation, year and month."""

from __future__ import annotations

import itertools
import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import ColumnElement, Select, case, func, select

from . import schema
from .browse import present
from .catalog import Catalog
from .filters import condition

MOST = 50
"""Folders that are told apart at most."""

_image, _location = schema.image.c, schema.location.c

Counts = dict[str | None, int]
"""How many by value; None is whatever is not known."""


@dataclass(frozen=True)
class Facets:
    """Counts of images, of `folders` those of files: a picture may lie in several. Missing files count nowhere."""

    images: int
    folders: Counts
    cameras: Counts
    formats: Counts
    orientations: Counts
    years: Counts
    months: Counts


def facets(catalog: Catalog, where: Sequence[str] = ()) -> Facets:
    """Count the images that fulfil every filter, one pass a facet.

    Raises:
        FilterError: a filter does not parse.
    """
    chosen = (present(), *map(condition, where))

    def counted(value: ColumnElement[str]) -> Counts:
        rows = catalog.rows(select(value.label("value"), func.count().label("n")).where(*chosen).group_by(value))
        return {row.value: int(row.n) for row in sorted(rows, key=lambda row: (-row.n, row.value or ""))}

    shape = case(
        (_image.width > _image.height, "landscape"), (_image.width < _image.height, "portrait"), else_="square"
    )
    months = counted(func.substr(_image.taken_at, 1, 7))
    years: Counter[str | None] = Counter()
    for month, count in months.items():
        years[None if month is None else month[:4]] += count
    return Facets(
        images=sum(months.values()),
        folders=_at_most(_folders(catalog, chosen if where else ()), MOST),
        cameras=counted(_image.camera),
        formats=counted(_image.format),
        orientations=counted(shape),
        years=_ordered(years),
        months=_ordered(months),
    )


def facets_state(catalog: Catalog) -> tuple[object, ...]:
    """What changes whenever facets may: with every place of an image, and with every embedding of an image or caption.

    A caption is written and removed together with its embedding, so the tallies of all models tell of captions too.
    """
    rows = (*catalog.rows(select(schema.edition)), *catalog.rows(select(schema.tally)))
    return tuple(tuple(row) for row in rows)


def _folders(catalog: Catalog, chosen: Sequence[ColumnElement[bool]]) -> dict[str, int]:
    """Files that are not missing, by their folder."""
    path = _location.path
    folder = func.rtrim(path, func.replace(path, os.sep, ""))  # all letters but separators off the end
    query: Select[tuple[str, int]] = select(folder.label("folder"), func.count().label("n"))
    query = query.where(_location.missing_since.is_(None)).group_by(folder)
    if chosen:
        query = query.where(_location.image_id.in_(select(_image.id).where(*chosen)))
    return {row.folder: int(row.n) for row in catalog.rows(query)}


def _at_most(folders: dict[str, int], most: int) -> Counts:
    """The deepest level at which there are at most so many folders; of a first level with more, the fullest."""
    found: Counter[str | None] = Counter()
    for depth in itertools.count(2):
        level: Counter[str | None] = Counter()
        for folder, count in folders.items():
            level[str(Path(*Path(folder).parts[:depth]))] += count
        if level == found or (found and len(level) > most):
            break
        found = level
    return dict(sorted(found.most_common(most), key=lambda item: item[0] or ""))


def _ordered(counts: Counts) -> Counts:
    """The newest first, and last what has no date."""
    return dict(sorted(counts.items(), key=lambda item: item[0] or "", reverse=True))
