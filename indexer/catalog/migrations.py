"""Upgrade an older catalog, one version at a time, in a single transaction.

Each step is literal SQL and never changes once a version is out: a later change of `schema.py` is a step of its own.
SQL functions whose names end in a version are those of `words.py`; a change of what they return is a new version.
"""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import Connection

from ..errors import CatalogError, CatalogVersionError, IndexNotFoundError
from . import schema
from .connection import write_transaction
from .words import folded, words_of

STEPS: dict[int, tuple[str, ...]] = {
    1: (
        "ALTER TABLE encoder ADD COLUMN path VARCHAR",
        "CREATE TABLE root (path VARCHAR NOT NULL, PRIMARY KEY (path))",
        """CREATE TABLE tally (encoder_id INTEGER NOT NULL, kind VARCHAR NOT NULL, count INTEGER NOT NULL,
        changes INTEGER NOT NULL, PRIMARY KEY (encoder_id, kind),
        FOREIGN KEY(encoder_id) REFERENCES encoder (id) ON DELETE CASCADE) WITHOUT ROWID""",
        "INSERT INTO tally SELECT encoder_id, kind, count(*), count(*) FROM embedding GROUP BY encoder_id, kind",
        "CREATE INDEX location_missing ON location (image_id) WHERE missing_since IS NOT NULL",
        """CREATE TRIGGER embedding_added AFTER INSERT ON embedding BEGIN
        INSERT INTO tally VALUES (new.encoder_id, new.kind, 1, 1)
        ON CONFLICT (encoder_id, kind) DO UPDATE SET count = count + 1, changes = changes + 1; END""",
        """CREATE TRIGGER embedding_removed AFTER DELETE ON embedding BEGIN
        UPDATE tally SET count = count - 1, changes = changes + 1
        WHERE encoder_id = old.encoder_id AND kind = old.kind; END""",
        """CREATE VIRTUAL TABLE caption_words
        USING fts5(text, content='caption', content_rowid='id', tokenize='porter unicode61 remove_diacritics 2')""",
        """CREATE TRIGGER caption_words_added AFTER INSERT ON caption BEGIN
        INSERT INTO caption_words(rowid, text) VALUES (new.id, new.text); END""",
        """CREATE TRIGGER caption_words_removed AFTER DELETE ON caption BEGIN
        INSERT INTO caption_words(caption_words, rowid, text) VALUES ('delete', old.id, old.text); END""",
        """CREATE TRIGGER caption_words_changed AFTER UPDATE OF text ON caption BEGIN
        INSERT INTO caption_words(caption_words, rowid, text) VALUES ('delete', old.id, old.text);
        INSERT INTO caption_words(rowid, text) VALUES (new.id, new.text); END""",
        "INSERT INTO caption_words(caption_words) VALUES ('rebuild')",
        """CREATE VIRTUAL TABLE location_words
        USING fts5(path, content='location', content_rowid='id', tokenize='porter unicode61 remove_diacritics 2')""",
        """CREATE TRIGGER location_words_added AFTER INSERT ON location BEGIN
        INSERT INTO location_words(rowid, path) VALUES (new.id, new.path); END""",
        """CREATE TRIGGER location_words_removed AFTER DELETE ON location BEGIN
        INSERT INTO location_words(location_words, rowid, path) VALUES ('delete', old.id, old.path); END""",
        """CREATE TRIGGER location_words_changed AFTER UPDATE OF path ON location BEGIN
        INSERT INTO location_words(location_words, rowid, path) VALUES ('delete', old.id, old.path);
        INSERT INTO location_words(rowid, path) VALUES (new.id, new.path); END""",
        "INSERT INTO location_words(location_words) VALUES ('rebuild')",
    ),
    2: ("CREATE INDEX image_taken ON image (taken_at)",),
    3: (
        """CREATE TABLE unsettled (image_id INTEGER NOT NULL, new BOOLEAN NOT NULL, was_at VARCHAR,
        PRIMARY KEY (image_id), FOREIGN KEY(image_id) REFERENCES image (id) ON DELETE CASCADE)""",
    ),
    4: (
        "CREATE TABLE edition (count INTEGER NOT NULL)",
        "INSERT INTO edition VALUES (0)",
        """CREATE TRIGGER location_insert AFTER INSERT ON location BEGIN
        UPDATE edition SET count = count + 1; END""",
        """CREATE TRIGGER location_update AFTER UPDATE ON location BEGIN
        UPDATE edition SET count = count + 1; END""",
        """CREATE TRIGGER location_delete AFTER DELETE ON location BEGIN
        UPDATE edition SET count = count + 1; END""",
    ),
    5: (
        "ALTER TABLE root ADD COLUMN found BOOLEAN",
        "CREATE TABLE exclusion (folder VARCHAR NOT NULL, patterns VARCHAR NOT NULL, PRIMARY KEY (folder))",
        "ALTER TABLE location ADD COLUMN ctime_ns INTEGER",
        "ALTER TABLE location ADD COLUMN xmp_mtime_ns INTEGER",
        "ALTER TABLE location ADD COLUMN excluded BOOLEAN",
        "ALTER TABLE failure ADD COLUMN ctime_ns INTEGER",
        """CREATE TABLE place (id INTEGER NOT NULL, digest VARCHAR NOT NULL, city VARCHAR, region VARCHAR,
        country VARCHAR NOT NULL, PRIMARY KEY (id), UNIQUE (digest))""",
        """CREATE TABLE place_name (id INTEGER NOT NULL, place_id INTEGER NOT NULL, folded VARCHAR NOT NULL,
        words VARCHAR NOT NULL, PRIMARY KEY (id), FOREIGN KEY(place_id) REFERENCES place (id) ON DELETE CASCADE)""",
        "CREATE INDEX ix_place_name_place_id ON place_name (place_id)",
        "CREATE INDEX ix_place_name_words ON place_name (words)",
        "ALTER TABLE image ADD COLUMN record VARCHAR",
        "ALTER TABLE image ADD COLUMN record_version INTEGER DEFAULT 0 NOT NULL",
        "ALTER TABLE image ADD COLUMN pixel_hash VARCHAR",
        "ALTER TABLE image ADD COLUMN place_id INTEGER REFERENCES place (id)",
        "ALTER TABLE image ADD COLUMN date_source VARCHAR",
        "CREATE INDEX ix_image_pixel_hash ON image (pixel_hash)",
        "CREATE INDEX ix_image_place_id ON image (place_id)",
        "DROP TRIGGER location_words_added",
        "DROP TRIGGER location_words_removed",
        "DROP TRIGGER location_words_changed",
        "DROP TABLE location_words",
        "DROP TRIGGER caption_words_added",
        "DROP TRIGGER caption_words_removed",
        "DROP TRIGGER caption_words_changed",
        "DROP TABLE caption_words",
        "ALTER TABLE location ADD COLUMN folded VARCHAR DEFAULT '' NOT NULL",
        "ALTER TABLE location ADD COLUMN words VARCHAR DEFAULT '' NOT NULL",
        "ALTER TABLE location ADD COLUMN record VARCHAR",
        "ALTER TABLE caption ADD COLUMN words VARCHAR DEFAULT '' NOT NULL",
        "UPDATE location SET folded = folded_6(path), words = words_6(path)",
        "UPDATE caption SET words = words_6(text)",
        "CREATE INDEX location_folded ON location (folded)",
        """CREATE TABLE annotation (id INTEGER NOT NULL, image_id INTEGER NOT NULL, name VARCHAR NOT NULL,
        value VARCHAR NOT NULL, folded VARCHAR NOT NULL, words VARCHAR NOT NULL, PRIMARY KEY (id),
        FOREIGN KEY(image_id) REFERENCES image (id) ON DELETE CASCADE)""",
        "CREATE INDEX ix_annotation_image_id ON annotation (image_id)",
        "CREATE INDEX annotation_value ON annotation (name, folded, image_id)",
        """CREATE VIRTUAL TABLE caption_words
        USING fts5(words, content='caption', content_rowid='id', tokenize='porter unicode61 remove_diacritics 2')""",
        """CREATE TRIGGER caption_words_added AFTER INSERT ON caption BEGIN
        INSERT INTO caption_words(rowid, words) VALUES (new.id, new.words); END""",
        """CREATE TRIGGER caption_words_removed AFTER DELETE ON caption BEGIN
        INSERT INTO caption_words(caption_words, rowid, words) VALUES ('delete', old.id, old.words); END""",
        """CREATE TRIGGER caption_words_changed AFTER UPDATE OF words ON caption BEGIN
        INSERT INTO caption_words(caption_words, rowid, words) VALUES ('delete', old.id, old.words);
        INSERT INTO caption_words(rowid, words) VALUES (new.id, new.words); END""",
        "INSERT INTO caption_words(caption_words) VALUES ('rebuild')",
        """CREATE VIRTUAL TABLE location_words
        USING fts5(words, content='location', content_rowid='id', tokenize='porter unicode61 remove_diacritics 2')""",
        """CREATE TRIGGER location_words_added AFTER INSERT ON location BEGIN
        INSERT INTO location_words(rowid, words) VALUES (new.id, new.words); END""",
        """CREATE TRIGGER location_words_removed AFTER DELETE ON location BEGIN
        INSERT INTO location_words(location_words, rowid, words) VALUES ('delete', old.id, old.words); END""",
        """CREATE TRIGGER location_words_changed AFTER UPDATE OF words ON location BEGIN
        INSERT INTO location_words(location_words, rowid, words) VALUES ('delete', old.id, old.words);
        INSERT INTO location_words(rowid, words) VALUES (new.id, new.words); END""",
        "INSERT INTO location_words(location_words) VALUES ('rebuild')",
        """CREATE VIRTUAL TABLE annotation_words
        USING fts5(words, content='annotation', content_rowid='id', tokenize='porter unicode61 remove_diacritics 2')""",
        """CREATE TRIGGER annotation_words_added AFTER INSERT ON annotation BEGIN
        INSERT INTO annotation_words(rowid, words) VALUES (new.id, new.words); END""",
        """CREATE TRIGGER annotation_words_removed AFTER DELETE ON annotation BEGIN
        INSERT INTO annotation_words(annotation_words, rowid, words) VALUES ('delete', old.id, old.words); END""",
        """CREATE TRIGGER annotation_words_changed AFTER UPDATE OF words ON annotation BEGIN
        INSERT INTO annotation_words(annotation_words, rowid, words) VALUES ('delete', old.id, old.words);
        INSERT INTO annotation_words(rowid, words) VALUES (new.id, new.words); END""",
        "INSERT INTO annotation_words(annotation_words) VALUES ('rebuild')",
    ),
}
"""The SQL that upgrades each version to the next."""

_FUNCTIONS = {"folded_6": folded, "words_6": words_of}


def upgrade(connection: Connection, version: int) -> None:
    """Apply every step from `version` on, in the caller's transaction."""
    database = connection.connection.driver_connection
    for name, function in _FUNCTIONS.items():
        database.create_function(name, 1, function, deterministic=True)  # type: ignore[union-attr]  # sqlite3's
    for step in range(version, schema.VERSION):
        for statement in STEPS[step]:
            connection.exec_driver_sql(statement)
    connection.exec_driver_sql(f"PRAGMA user_version = {schema.VERSION}")


def prepare(connection: Connection, file: Path, *, read_only: bool) -> None:
    """Create the tables of a new catalog, upgrade an older one, and reject a newer one."""

    def version() -> int:
        query = "SELECT user_version, (SELECT count(*) FROM sqlite_master) FROM pragma_user_version"
        number, tables = connection.exec_driver_sql(query).one()  # one query: another process may create the catalog
        if number > schema.VERSION:
            raise CatalogVersionError(
                f"{file} was written by a newer crosslook (catalog version {number}, this one reads {schema.VERSION}); "
                "update crosslook"
            )
        if number == 0 and tables:
            raise CatalogError(f"{file} is a database, but not a crosslook catalog; choose another --index")
        return int(number)

    current = version()
    if current == schema.VERSION:
        return
    if read_only and current == 0:
        raise IndexNotFoundError(f"the index in {file.parent} is empty and cannot be written")
    if read_only:
        raise CatalogError(
            f"{file} has an older version and must be upgraded, but it cannot be written; "
            "get write permission, or copy the index to a directory where you have it"
        )
    with write_transaction(connection):
        current = version()  # again: another process may have been first
        if current == 0:
            schema.metadata.create_all(connection)
            for statement in schema.derived_statements() + schema.EDITION_STATEMENTS:
                connection.exec_driver_sql(statement)
            connection.exec_driver_sql(f"PRAGMA user_version = {schema.VERSION}")
        else:
            upgrade(connection, current)
