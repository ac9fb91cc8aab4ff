"""Images one after the other, newest first, and all that is known about one.

The order is that of an index (taken_at, id), and a page begins behind the last image of the one before it, not after so
many: the thousandth page costs what the first one does, and pictures that come or go meanwhile shift nothing.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import ColumnElement, Select, select, tuple_

from . import schema
from .catalog import Catalog, hidden_images
from .filters import condition

_image, _location = schema.image.c, schema.location.c


@dataclass(frozen=True)
class Browsed:
    """An image in the order of browsing; `taken_at` is None where that is not known, which comes last."""

    id: int
    taken_at: str | None


@dataclass(frozen=True)
class FileLocation:
    """Where an image lies; `size` and `mtime_ns` as they were when it was indexed."""

    path: Path
    size: int
    mtime_ns: int

    def status(self) -> os.stat_result | None:
        """What the system says about the file now; None where there is none, or none that is a plain file."""
        try:
            found = self.path.stat()
        except OSError:
            return None
        return found if stat.S_ISREG(found.st_mode) else None

    def unchanged(self, status: os.stat_result) -> bool:
        """Whether the file is still as it was when it was indexed."""
        return (status.st_size, status.st_mtime_ns) == (self.size, self.mtime_ns)


@dataclass(frozen=True)
class ImageDetails:
    """All that is stored about an image. Pixels are those of the upright picture, latitude and longitude degrees."""

    id: int
    content_hash: str
    width: int
    height: int
    format: str
    taken_at: str | None
    camera: str | None
    latitude: float | None
    longitude: float | None
    places: tuple[FileLocation, ...]

    def unchanged(self) -> bool:
        """Whether one of its files is still as it was when it was indexed."""
        return any((status := place.status()) is not None and place.unchanged(status) for place in self.places)


def browse(catalog: Catalog, *, k: int, where: Sequence[str] = (), after: Browsed | None = None) -> list[Browsed]:
    """The next images, newest first by when they were taken, then by id; those whose files are all missing left out.

    Args:
        catalog: where.
        k: how many at most.
        where: filters, all of which must hold.
        after: the last image of the page before.

    Raises:
        FilterError: a filter does not parse.
    """
    query = select(_image.id, _image.taken_at).where(present(), *map(condition, where))
    found: list[Browsed] = []
    for part in _parts(query, after):
        if len(found) < k:
            rows = catalog.rows(part.order_by(_image.taken_at.desc(), _image.id.desc()).limit(k - len(found)))
            found += [Browsed(row.id, row.taken_at) for row in rows]
    return found


def image_details(catalog: Catalog, image_id: int) -> ImageDetails | None:
    """All that is stored about an image; None where there is none of that id."""
    rows = catalog.rows(select(schema.image).where(_image.id == image_id))
    if not rows:
        return None
    places = catalog.rows(select(schema.location).where(_location.image_id == image_id).order_by(_location.path))
    names = ("id", "content_hash", "width", "height", "format", "taken_at", "camera", "latitude", "longitude")
    facts = {name: getattr(rows[0], name) for name in names}
    return ImageDetails(**facts, places=tuple(FileLocation(Path(p.path), p.size, p.mtime_ns) for p in places))


def present() -> ColumnElement[bool]:
    """Whether one of an image's files is there, as far as is known."""
    return _image.id.not_in(hidden_images())


def _parts(query: Select[tuple[int, str | None]], after: Browsed | None) -> list[Select[tuple[int, str | None]]]:
    """What follows an image: the dated ones, then those without a date. In two, for either is a range of the index."""
    undated = _image.taken_at.is_(None)
    if after is None:
        return [query]
    if after.taken_at is None:
        return [query.where(undated, _image.id < after.id)]
    older = tuple_(_image.taken_at, _image.id) < tuple_(after.taken_at, after.id)
    return [query.where(older), query.where(undated)]
