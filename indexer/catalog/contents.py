"""The index as a whole: counts, roots, failures, and a stamp that changes with its images."""

from __future__ import annotations

from sqlalchemy import (
    func,
    select,
)

from . import schema
from .catalog import Catalog
from .embeddings import vector_stamp
from .exclusions import stored_exclusions
from .images import count_excluded, count_missing
from .records import (
    CatalogStats,
    FailureRecord,
    Kind,
)


def catalog_state(catalog: Catalog) -> tuple[object, ...]:
    """A stamp that changes when this model's image vectors, or any location, do; constant time.

    Captions and other models do not change it, unlike `facets_state`: duplicates do not depend on them.
    """
    return vector_stamp(catalog, Kind.IMAGE), int(catalog.rows(select(schema.edition.c.count))[0][0])  # type: ignore[call-overload]  # a number


def count_items(catalog: Catalog) -> dict[str, int]:
    """The number of images and of captions."""
    tables = (schema.image, schema.caption)
    return {t.name: int(catalog.rows(select(func.count().label("n")).select_from(t))[0].n) for t in tables}


def indexed_roots(catalog: Catalog) -> list[str]:
    """The folders and files given to `crosslook index`, sorted."""
    return [str(row.path) for row in catalog.rows(select(schema.root.c.path).order_by(schema.root.c.path))]


def recorded_failures(catalog: Catalog) -> list[FailureRecord]:
    """The files that could not be indexed."""
    rows = catalog.rows(select(schema.failure).order_by(schema.failure.c.path))
    return [FailureRecord(r.path, r.reason, r.size, r.mtime_ns, r.ctime_ns) for r in rows]


def catalog_stats(catalog: Catalog) -> CatalogStats:
    """What the index holds; `bytes_on_disk` counts every file in its directory."""
    counts = {
        t.name: int(catalog.rows(select(func.count().label("n")).select_from(t))[0].n)
        for t in (schema.image, schema.location, schema.failure)
    }
    c = schema.caption.c
    by_source = catalog.rows(select(c.source, func.count().label("n")).group_by(c.source).order_by(c.source))
    files = (f for f in catalog.directory.rglob("*") if f.is_file())
    return CatalogStats(
        images=counts["image"],
        locations=counts["location"],
        missing=count_missing(catalog),
        excluded=count_excluded(catalog),
        captions={row.source: int(row.n) for row in by_source},
        failures=counts["failure"],
        encoder=catalog.active_encoder(),
        bytes_on_disk=sum(file.stat().st_size for file in files),
        roots=tuple(indexed_roots(catalog)),
        exclusions=stored_exclusions(catalog),
    )
