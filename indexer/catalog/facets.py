"""Facets: counts of images by folder, camera, format, orientation, year and month, and by annotations."""

from __future__ import annotations

import itertools
import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import ColumnElement, Select, case, func, select

from . import schema
from .annotations import Annotation
from .browse import present
from .catalog import Catalog
from .filters import condition

MAX_FOLDERS = 50
"""Maximum number of folders listed."""

MAX_VALUES = 100
"""Maximum number of keywords, persons, places and lenses listed: the most frequent."""

_image, _location, _annotation = schema.image.c, schema.location.c, schema.annotation.c
_COUNTED = (Annotation.KEYWORD, Annotation.PERSON, Annotation.PLACE, Annotation.LENS, Annotation.RATING)

Counts = dict[str | None, int]
"""Count by value; the key None counts images whose value is unknown."""


@dataclass(frozen=True)
class Facets:
    """Counts of images. `folders` counts files instead, as an image can be in several. Missing files do not count."""

    images: int
    folders: Counts
    cameras: Counts
    formats: Counts
    orientations: Counts
    years: Counts
    months: Counts
    keywords: Counts
    persons: Counts
    places: Counts
    lenses: Counts
    ratings: Counts


def facets(catalog: Catalog, where: Sequence[str] = ()) -> Facets:
    """Count the images that match every filter, with one query per facet.

    Raises:
        FilterError: a filter does not parse.
    """
    matching = (present(), *map(condition, where))

    def count_by(value: ColumnElement[str]) -> Counts:
        rows = catalog.rows(select(value.label("value"), func.count().label("n")).where(*matching).group_by(value))
        return {row.value: int(row.n) for row in sorted(rows, key=lambda row: (-row.n, row.value or ""))}

    shape = case(
        (_image.width > _image.height, "landscape"), (_image.width < _image.height, "portrait"), else_="square"
    )
    annotations = _annotations(catalog, matching)
    months = count_by(func.substr(_image.taken_at, 1, 7))
    years: Counter[str | None] = Counter()
    for month, count in months.items():
        years[None if month is None else month[:4]] += count
    return Facets(
        images=sum(months.values()),
        folders=_merge_folders(_folders(catalog, matching if where else ()), MAX_FOLDERS),
        cameras=count_by(_image.camera),
        formats=count_by(_image.format),
        orientations=count_by(shape),
        years=_newest_first(years),
        months=_newest_first(months),
        keywords=annotations[Annotation.KEYWORD],
        persons=annotations[Annotation.PERSON],
        places=annotations[Annotation.PLACE],
        lenses=annotations[Annotation.LENS],
        ratings=annotations[Annotation.RATING],
    )


def facets_state(catalog: Catalog) -> tuple[object, ...]:
    """A stamp that changes whenever facets may: with every change of a location, image or caption.

    A caption is written and deleted together with its embeddings, so the tallies of all models cover captions too.
    """
    rows = (*catalog.rows(select(schema.edition)), *catalog.rows(select(schema.tally)))
    return tuple(tuple(row) for row in rows)


def _annotations(catalog: Catalog, matching: Sequence[ColumnElement[bool]]) -> dict[Annotation, Counts]:
    """Count images by the values of their annotations, the most frequent first; ratings from the highest."""
    query = select(_annotation.name, _annotation.value, func.count().label("n"))
    query = query.where(_annotation.name.in_(_COUNTED), _annotation.image_id.in_(select(_image.id).where(*matching)))
    counts: dict[Annotation, Counts] = {name: {} for name in _COUNTED}
    rows = catalog.rows(query.group_by(_annotation.name, _annotation.value))
    for row in sorted(rows, key=lambda row: (-row.n, row.value)):
        values = counts[Annotation(row.name)]
        if len(values) < MAX_VALUES:
            values[row.value] = int(row.n)
    ratings = counts[Annotation.RATING]
    counts[Annotation.RATING] = {value: ratings[value] for value in sorted(ratings, key=lambda v: -int(v or 0))}
    return counts


def _folders(catalog: Catalog, matching: Sequence[ColumnElement[bool]]) -> dict[str, int]:
    """Count the files that are not missing by their folder."""
    path = _location.path
    folder = func.rtrim(path, func.replace(path, os.sep, ""))  # strips trailing characters up to the last separator
    query: Select[tuple[str, int]] = select(folder.label("folder"), func.count().label("n"))
    query = query.where(_location.missing_since.is_(None)).group_by(folder)
    if matching:
        query = query.where(_location.image_id.in_(select(_image.id).where(*matching)))
    return {row.folder: int(row.n) for row in catalog.rows(query)}


def _merge_folders(folders: dict[str, int], limit: int) -> Counts:
    """Merge folders at the deepest level with at most `limit` of them; if the top one has more, keep the largest."""
    merged: Counter[str | None] = Counter()
    for depth in itertools.count(2):
        level: Counter[str | None] = Counter()
        for folder, count in folders.items():
            level[str(Path(*Path(folder).parts[:depth]))] += count
        if level == merged or (merged and len(level) > limit):
            break
        merged = level
    return dict(sorted(merged.most_common(limit), key=lambda item: item[0] or ""))


def _newest_first(counts: Counts) -> Counts:
    """Sort newest first, undated last."""
    return dict(sorted(counts.items(), key=lambda item: item[0] or "", reverse=True))
