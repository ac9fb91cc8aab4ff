"""Bringing an older catalog up to date, one version at a time, each step whole or not at all."""

from __future__ import annotations

from sqlalchemy import Connection

from . import schema

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
