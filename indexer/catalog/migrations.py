"""Bringing an older catalog up to date, one version at a time, each step whole or not at all."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import Connection

from ..errors import CatalogError, CatalogVersionError, IndexNotFoundError
from . import schema
from .connection import write_transaction

STEPS: dict[int, list[str]] = {
    1: [
        "ALTER TABLE encoder ADD COLUMN path VARCHAR",
        "CREATE TABLE root (path VARCHAR NOT NULL, PRIMARY KEY (path))",
        """CREATE TABLE tally (encoder_id INTEGER NOT NULL, kind VARCHAR NOT NULL, count INTEGER NOT NULL,
        changes INTEGER NOT NULL, PRIMARY KEY (encoder_id, kind),
        FOREIGN KEY(encoder_id) REFERENCES encoder (id) ON DELETE CASCADE) WITHOUT ROWID""",
        "INSERT INTO tally SELECT encoder_id, kind, count(*), count(*) FROM embedding GROUP BY encoder_id, kind",
        "CREATE INDEX location_missing ON location (image_id) WHERE missing_since IS NOT NULL",
        *schema.derived_statements(),
    ],
    2: ["CREATE INDEX image_taken ON image (taken_at)"],
    3: [
        """CREATE TABLE unsettled (image_id INTEGER NOT NULL, new BOOLEAN NOT NULL, was_at VARCHAR,
        PRIMARY KEY (image_id), FOREIGN KEY(image_id) REFERENCES image (id) ON DELETE CASCADE)""",
    ],
    4: ["CREATE TABLE edition (count INTEGER NOT NULL)", *schema.EDITION_STATEMENTS],
}
"""What leads from a version to the next."""


def upgrade(connection: Connection, version: int) -> None:
    """Apply every step from `version` on, in the caller's transaction."""
    for step in range(version, schema.VERSION):
        for statement in STEPS[step]:
            connection.exec_driver_sql(statement)
    connection.exec_driver_sql(f"PRAGMA user_version = {schema.VERSION}")


def prepare(connection: Connection, file: Path, *, read_only: bool) -> None:
    """Make the tables of a new catalog, bring an older one up to date, and refuse a newer one."""

    def version() -> int:
        both = "SELECT user_version, (SELECT count(*) FROM sqlite_master) FROM pragma_user_version"
        found, tables = connection.exec_driver_sql(both).one()  # at once: another process may be making the catalog
        if found > schema.VERSION:
            raise CatalogVersionError(
                f"{file} was written by a newer crosslook (catalog version {found}, this one reads {schema.VERSION}); "
                "update crosslook"
            )
        if found == 0 and tables:
            raise CatalogError(f"{file} is a database, but not a crosslook catalog; give another --index")
        return int(found)

    found = version()
    if found == schema.VERSION:
        return
    if read_only and found == 0:
        raise IndexNotFoundError(f"the index in {file.parent} is empty, and nothing can be written there")
    if read_only:
        raise CatalogError(
            f"{file} is of an older version and has to be brought up to date, but nothing can be written there; "
            "give yourself permission, or copy the index to where you have it"
        )
    with write_transaction(connection):
        found = version()  # again: another process may have been first
        if found == 0:
            schema.metadata.create_all(connection)
            for statement in schema.derived_statements() + schema.EDITION_STATEMENTS:
                connection.exec_driver_sql(statement)
            connection.exec_driver_sql(f"PRAGMA user_version = {schema.VERSION}")
        else:
            upgrade(connection, found)
