"""Images and their files: look them up by id, path or filter; hide and delete them."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path

import numpy as np
from sqlalchemy import (
    BindParameter,
    CompoundSelect,
    Connection,
    Row,
    Select,
    Table,
    bindparam,
    delete,
    exists,
    false,
    func,
    or_,
    select,
    update,
)

from . import schema
from .captions import forget_captions
from .catalog import Catalog
from .embeddings import forget_embeddings
from .filters import condition
from .paths import at_or_below, is_storable
from .records import (
    Ids,
    ImageRecord,
    Kind,
    LocationRecord,
    chunks,
)

_MANY_PATHS = 200  # from here on reading every location costs less than asking for each; SQLite's limit is 1,000


def images_by_id(catalog: Catalog, ids: Sequence[int]) -> dict[int, ImageRecord]:
    """The images with these ids, each with its file locations; ids that do not exist are left out."""
    locations: dict[int, list[Row[tuple[object, ...]]]] = {}
    images: dict[int, ImageRecord] = {}
    for part in chunks(ids):
        for row in catalog.rows(_LOCATIONS, ids=part):
            locations.setdefault(row.image_id, []).append(row)
        for row in catalog.rows(_IMAGES, ids=part):
            files = locations.get(row.id, [])
            present = [Path(file.path) for file in files if file.missing_since is None]
            paths = tuple(Path(file.path) for file in files)
            images[row.id] = ImageRecord(
                row.id, present[0] if present else None, paths, row.width, row.height, row.format, row.taken_at
            )
    return images


def image_id_at(catalog: Catalog, path: Path, *, size: int, mtime_ns: int) -> int | None:
    """The id of the image at a path, if the file has not changed since it was indexed."""
    if not is_storable(path):
        return None
    c = schema.location.c
    where = (c.path == str(path)) & (c.size == size) & (c.mtime_ns == mtime_ns)
    rows = catalog.rows(select(c.image_id).where(where))
    return int(rows[0].image_id) if rows else None


def image_ids_where(catalog: Catalog, expressions: Sequence[str]) -> Ids:
    """Ids of the images that match every filter expression, ascending.

    Raises:
        FilterError: an expression does not parse; the message names the part.
    """
    query = select(schema.image.c.id).order_by(schema.image.c.id)
    for expression in expressions:
        query = query.where(condition(expression))
    return catalog.ids(query)


def hidden_image_ids(catalog: Catalog) -> Ids:
    """Ids of the images that no search may show, ascending: all files missing, or no location yet."""
    return np.union1d(catalog.ids(_MISSING), catalog.ids(_UNPLACED))


def is_settled(catalog: Catalog) -> bool:
    """Whether no run left displaced images behind that `ingest/displaced.py` has to resolve."""
    return not catalog.rows(select(schema.unsettled.c.image_id).limit(1))


def count_missing(catalog: Catalog) -> int:
    """The number of files that were missing when their folder was last indexed, without excluded ones."""
    c = schema.location.c
    missing = c.missing_since.is_not(None) & c.excluded.is_not(True)
    return int(catalog.rows(select(func.count().label("n")).where(missing))[0].n)


def count_excluded(catalog: Catalog) -> int:
    """The number of files in the catalog that were left out when their folder was last indexed."""
    excluded = schema.location.c.missing_since.is_not(None) & schema.location.c.excluded.is_(True)
    return int(catalog.rows(select(func.count().label("n")).where(excluded))[0].n)


def count_images_below(catalog: Catalog, path: Path) -> int:
    """The number of images with a file at or below a path, files known to be missing left out."""
    c, folder = schema.location.c, str(path)
    if not is_storable(folder):
        return 0
    present = c.missing_since.is_(None) & at_or_below(c.path, folder)
    return int(catalog.rows(select(func.count(c.image_id.distinct()).label("n")).where(present))[0].n)


def known_locations(catalog: Catalog, below: Collection[str] | None = None) -> dict[str, LocationRecord]:
    """The files in the catalog, by path.

    Args:
        catalog: an open index.
        below: only files at or below these paths; ignored when there are very many of them. None for all files.
    """
    c = schema.location.c
    missing, excluded = c.missing_since.is_not(None), c.excluded.is_(True)
    query = select(
        *(c.path, c.image_id, c.size, c.mtime_ns, c.sidecar_mtime_ns, missing, c.ctime_ns, c.xmp_mtime_ns, excluded)
    )
    if below is not None and len(below) <= _MANY_PATHS:
        query = query.where(or_(false(), *(at_or_below(c.path, path) for path in below if is_storable(path))))
    return {record.path: record for record in map(LocationRecord._make, catalog.rows(query))}


def content_hashes(catalog: Catalog) -> dict[str, int]:
    """Image ids by the SHA-256 of the file."""
    return {r.content_hash: r.id for r in catalog.rows(select(schema.image.c.content_hash, schema.image.c.id))}


def mark_missing(
    connection: Connection, paths: Sequence[str], since: str | None, *, excluded: bool | None = None
) -> None:
    """Record since when some files are missing, and whether they are excluded; None records that they exist again."""
    for part in chunks(paths):
        where = schema.location.c.path.in_(part)
        connection.execute(update(schema.location).where(where).values(missing_since=since, excluded=excluded))


def record_ctimes(connection: Connection, table: Table, ctimes: Sequence[tuple[str, int]]) -> None:
    """Record the change times of some files in `location` or `failure`, by path."""
    if ctimes:
        statement = update(table).where(table.c.path == bindparam("file")).values(ctime_ns=bindparam("ctime"))
        connection.execute(statement, [{"file": path, "ctime": ctime_ns} for path, ctime_ns in ctimes])


def forget_aliases(connection: Connection, paths: Sequence[str]) -> list[str]:
    """Delete the locations at some paths whose images have another one; return the paths of the others."""
    c, other = schema.location.c, schema.location.alias().c
    kept: list[str] = []
    for path in paths:  # one by one, so that the last location of an image stays
        present = (other.image_id == c.image_id) & (other.path != c.path) & other.missing_since.is_(None)
        row = delete(schema.location).where((c.path == path) & exists(select(other.id).where(present)))
        if not connection.execute(row).rowcount:
            kept.append(path)
    return kept


def orphaned_images(connection: Connection) -> list[int]:
    """Ids of the images without any location, except displaced ones that a later run may still find elsewhere."""
    c, unsettled = schema.image.c, schema.unsettled.c
    located = select(schema.location.c.image_id)
    displaced = select(unsettled.image_id).where(unsettled.was_at.is_not(None))
    return [row.id for row in connection.execute(select(c.id).where(c.id.not_in(located) & c.id.not_in(displaced)))]


def forget_images(connection: Connection, ids: Sequence[int]) -> list[str]:
    """Delete images with their captions and embeddings, and places without any; return their content hashes."""
    hashes: list[str] = []
    places: set[int] = set()
    c, place = schema.image.c, schema.place.c
    for part in chunks(ids):
        captions = connection.execute(select(schema.caption.c.id).where(schema.caption.c.image_id.in_(part)))
        forget_captions(connection, [row.id for row in captions])
        for row in connection.execute(select(c.content_hash, c.place_id).where(c.id.in_(part))):
            hashes.append(row.content_hash)
            places.add(row.place_id)
        forget_embeddings(connection, Kind.IMAGE, part)
        connection.execute(delete(schema.image).where(c.id.in_(part)))
    of_images = exists().where(c.place_id == place.id)
    for part in chunks(list(places - {None})):
        connection.execute(delete(schema.place).where(place.id.in_(part), ~of_images))
    return hashes


def release_hash(connection: Connection, image_id: int) -> None:
    """Free the content hash of an image for the one that replaces it in the same transaction."""
    c = schema.image.c
    connection.execute(update(schema.image).where(c.id == image_id).values(content_hash=c.content_hash + " replaced"))


def replace_image(connection: Connection, old: int, new: int) -> None:
    """Move the files and captions of an image to a new one, and delete it with the embeddings of every model."""
    for table in (schema.location, schema.caption):
        connection.execute(update(table).where(table.c.image_id == old).values(image_id=new))
    forget_images(connection, [old])


def hidden_images() -> CompoundSelect[tuple[int]]:
    """A query for the ids of hidden images (see `hidden_image_ids`). They are few, and indexes find them."""
    return _missing_images().union(_unplaced_images())


def _missing_images() -> Select[tuple[int]]:
    c, other = schema.location.c, schema.location.alias().c
    # Two counts that indexes alone can answer; testing whether another location is present would read the table.
    count = select(func.count()).where(other.image_id == c.image_id).scalar_subquery()
    missing = select(c.image_id).where(c.missing_since.is_not(None)).group_by(c.image_id)
    return missing.having(func.count() == count)


def _unplaced_images() -> Select[tuple[int]]:
    unsettled, location = schema.unsettled.c, schema.location.alias().c
    has_location = exists(select(location.id).where(location.image_id == unsettled.image_id))
    return select(unsettled.image_id).where(unsettled.was_at.is_not(None) & ~has_location)


# Statements of every search are built once: building one takes longer than running it.
_IDS: BindParameter[int] = bindparam("ids", expanding=True)
_IMAGES = select(schema.image).where(schema.image.c.id.in_(_IDS))
_LOCATIONS = select(schema.location).where(schema.location.c.image_id.in_(_IDS)).order_by(schema.location.c.path)
_MISSING = _missing_images().order_by(schema.location.c.image_id)
_UNPLACED = _unplaced_images()
