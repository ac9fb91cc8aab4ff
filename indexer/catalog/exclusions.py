"""What people excluded from the walks below a folder, and which roots walks have found."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, delete, insert, select

from . import schema
from .catalog import Catalog


def stored_exclusions(catalog: Catalog) -> dict[str, tuple[str, ...]]:
    """The patterns of each folder that has some, in the syntax of `.gitignore` files."""
    rows = catalog.rows(select(schema.exclusion).order_by(schema.exclusion.c.folder))
    return {row.folder: tuple(row.patterns.split("\n")) for row in rows}


def write_exclusions(connection: Connection, folder: str, patterns: Sequence[str]) -> None:
    """Replace the patterns of a folder; none removes them."""
    c = schema.exclusion.c
    connection.execute(delete(schema.exclusion).where(c.folder == folder))
    if patterns:
        connection.execute(insert(schema.exclusion).values(folder=folder, patterns="\n".join(patterns)))


def found_roots(catalog: Catalog) -> set[str]:
    """The roots that nobody named: drives and linked folders below others."""
    c = schema.root.c
    return {row.path for row in catalog.rows(select(c.path).where(c.found.is_not(None) & c.found))}
