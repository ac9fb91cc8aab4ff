"""List images newest first, and look up the details of one.

Keyset pagination over the index (taken_at, id): a page starts after the last image of the previous one. The thousandth
page costs as much as the first, and images added or removed in between do not shift later pages.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path

from sqlalchemy import ColumnElement, Select, select, tuple_

from . import schema
from .catalog import Catalog
from .filters import condition
from .images import hidden_images

_image, _location = schema.image.c, schema.location.c


@dataclass(frozen=True)
class Browsed:
    """An image of a listing. Undated images, whose `taken_at` is None, come last."""

    id: int
    taken_at: str | None


@dataclass(frozen=True)
class FileLocation:
    """A file of an image, with the size and modification time it had when it was indexed."""

    path: Path
    size: int
    mtime_ns: int

    def status(self) -> os.stat_result | None:
        """Stat the file; None if it does not exist or is not a regular file."""
        try:
            status = self.path.stat()
        except OSError:
            return None
        return status if stat.S_ISREG(status.st_mode) else None

    def unchanged(self, status: os.stat_result) -> bool:
        """Whether size and modification time are those at indexing."""
        return (status.st_size, status.st_mtime_ns) == (self.size, self.mtime_ns)


@dataclass(frozen=True)
class ImageDetails:
    """Everything stored about an image: size of the upright picture in pixels, position in degrees."""

    id: int
    content_hash: str
    width: int
    height: int
    format: str
    taken_at: str | None
    date_source: str | None
    camera: str | None
    latitude: float | None
    longitude: float | None
    places: tuple[FileLocation, ...]

    def unchanged(self) -> bool:
        """Whether at least one of its files has not changed since it was indexed."""
        return any((status := place.status()) is not None and place.unchanged(status) for place in self.places)


def browse(catalog: Catalog, *, k: int, where: Sequence[str] = (), after: Browsed | None = None) -> list[Browsed]:
    """Return the next page of images, newest first, then by descending id, without images whose files are missing.

    Args:
        catalog: an open catalog.
        k: maximum number of images.
        where: filters that must all match.
        after: last image of the previous page; None for the first page.

    Raises:
        FilterError: a filter does not parse.
    """
    query = select(_image.id, _image.taken_at).where(present(), *map(condition, where))
    page: list[Browsed] = []
    for part in _ranges(query, after):
        if len(page) < k:
            rows = catalog.rows(part.order_by(_image.taken_at.desc(), _image.id.desc()).limit(k - len(page)))
            page += [Browsed(row.id, row.taken_at) for row in rows]
    return page


def image_details(catalog: Catalog, image_id: int) -> ImageDetails | None:
    """Return everything stored about an image; None if the id does not exist."""
    rows = catalog.rows(select(schema.image).where(_image.id == image_id))
    if not rows:
        return None
    places = catalog.rows(select(schema.location).where(_location.image_id == image_id).order_by(_location.path))
    names = [field.name for field in fields(ImageDetails) if field.name != "places"]
    values = {name: getattr(rows[0], name) for name in names}
    return ImageDetails(**values, places=tuple(FileLocation(Path(p.path), p.size, p.mtime_ns) for p in places))


def present() -> ColumnElement[bool]:
    """SQL condition: at least one file of the image is not missing."""
    return _image.id.not_in(hidden_images())


def _ranges(query: Select[tuple[int, str | None]], after: Browsed | None) -> list[Select[tuple[int, str | None]]]:
    """Split the images after `after` into dated and undated ones: each is one range of the index."""
    undated = _image.taken_at.is_(None)
    if after is None:
        return [query]
    if after.taken_at is None:
        return [query.where(undated, _image.id < after.id)]
    older = tuple_(_image.taken_at, _image.id) < tuple_(after.taken_at, after.id)
    return [query.where(older), query.where(undated)]
