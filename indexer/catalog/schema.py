"""The catalog's tables. SQLite is the source of truth of an index; everything else can be rebuilt from it.

Vectors are often read all at once, states (region grids, token states) rarely and by id. Separate tables let a read of
all vectors touch 512 bytes per item instead of seven thousand.
"""

from __future__ import annotations

from sqlalchemy import (
    Boolean,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    text,
)

VERSION = 6
"""Stored as SQLite's `user_version`. `migrations.py` upgrades lower versions; higher ones are rejected."""

metadata = MetaData()

encoder = Table(
    "encoder",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("name", String, nullable=False),
    Column("fingerprint", String, nullable=False, unique=True),
    Column("dimension", Integer, nullable=False),
    Column("active", Boolean, nullable=False),
    Column("path", String),  # directory of the model; NULL for the base model
)

root = Table(
    "root",
    metadata,
    Column("path", String, primary_key=True),  # a folder or file passed to `crosslook index`
    Column("found", Boolean),  # or a drive or linked folder that a walk found below one
)

exclusion = Table(  # patterns of `crosslook index --exclude`
    "exclusion",
    metadata,
    Column("folder", String, primary_key=True),
    Column("patterns", String, nullable=False),  # lines of a .gitignore file in this folder
)

place = Table(  # where pictures were taken, by their positions: see places.py
    "place",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("digest", String, nullable=False, unique=True),  # of its names
    Column("city", String),
    Column("region", String),
    Column("country", String, nullable=False),
)

place_name = Table(  # all names under which a place is found, in many languages
    "place_name",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("place_id", ForeignKey("place.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("folded", String, nullable=False),  # words.folded of the name
    Column("words", String, nullable=False, index=True),  # words.words_of of the name
)

image = Table(
    "image",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("content_hash", String, nullable=False, unique=True),
    Column("width", Integer, nullable=False),
    Column("height", Integer, nullable=False),
    Column("format", String, nullable=False),
    Column("taken_at", String),
    Column("latitude", Float),
    Column("longitude", Float),
    Column("camera", String),
    Column("record", String),  # what the picture says about itself: JSON, see annotations.py
    Column("record_version", Integer, nullable=False, server_default=text("0")),
    Column("pixel_hash", String, index=True),  # of the pixels that the model was given
    Column("place_id", ForeignKey("place.id"), index=True),
    Column("date_source", String),  # of taken_at: picture, sidecar or name
    sqlite_autoincrement=True,  # ids are never reused, which reveals a stale FAISS file
)
Index("image_taken", image.c.taken_at)  # SQLite appends the id, which gives the order of browsing

location = Table(
    "location",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("path", String, nullable=False, unique=True),
    Column("image_id", ForeignKey("image.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("size", Integer, nullable=False),
    Column("mtime_ns", Integer, nullable=False),
    Column("sidecar_mtime_ns", Integer),
    Column("missing_since", String),
    Column("ctime_ns", Integer),  # NULL in a row of version 5
    Column("xmp_mtime_ns", Integer),
    Column("excluded", Boolean),  # missing because a pattern or a default leaves the file out
    Column("folded", String, nullable=False, server_default=text("''")),  # words.folded of the path
    Column("words", String, nullable=False, server_default=text("''")),  # words.words_of of the path
    Column("record", String),  # what its XMP sidecar says: JSON
)
Index("location_folded", location.c.folded)
_missing = location.c.missing_since.is_not(None)
location_missing = Index("location_missing", location.c.image_id, sqlite_where=_missing)

unsettled = Table(  # images added or displaced by an unfinished indexing run, see displaced.py
    "unsettled",
    metadata,
    Column("image_id", ForeignKey("image.id", ondelete="CASCADE"), primary_key=True),
    Column("new", Boolean, nullable=False),
    Column("was_at", String),  # its previous path, now of another image
)

caption = Table(
    "caption",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("text", String, nullable=False),
    Column("image_id", ForeignKey("image.id", ondelete="CASCADE")),
    Column("source", String, nullable=False),
    Column("language", String),
    Column("words", String, nullable=False, server_default=text("''")),  # words.words_of of the text
    sqlite_autoincrement=True,
)
Index("caption_once", caption.c.image_id, caption.c.source, caption.c.text, unique=True)
Index("bank_once", caption.c.text, unique=True, sqlite_where=text("image_id IS NULL"))

annotation = Table(  # what a picture, its sidecars and its position say, merged: title, keyword, person, place, …
    "annotation",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("image_id", ForeignKey("image.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("name", String, nullable=False),
    Column("value", String, nullable=False),
    Column("folded", String, nullable=False),  # words.folded of the value
    Column("words", String, nullable=False),  # words.words_of of the value; empty if it is not searched
)
Index("annotation_value", annotation.c.name, annotation.c.folded, annotation.c.image_id)

embedding = Table(
    "embedding",
    metadata,
    Column("encoder_id", ForeignKey("encoder.id", ondelete="CASCADE"), primary_key=True),
    Column("kind", String, primary_key=True),
    Column("item_id", Integer, primary_key=True),
    Column("vector", LargeBinary, nullable=False),  # D float16
    sqlite_with_rowid=False,
)

tally = Table(  # number of embeddings and of changes to it, updated by triggers because counting reads every row
    "tally",
    metadata,
    Column("encoder_id", ForeignKey("encoder.id", ondelete="CASCADE"), primary_key=True),
    Column("kind", String, primary_key=True),
    Column("count", Integer, nullable=False),
    Column("changes", Integer, nullable=False),
    sqlite_with_rowid=False,
)

states = Table(
    "states",
    metadata,
    Column("encoder_id", ForeignKey("encoder.id", ondelete="CASCADE"), primary_key=True),
    Column("kind", String, primary_key=True),
    Column("item_id", Integer, primary_key=True),
    Column("states", LargeBinary, nullable=False),  # encoders.pack_states
)

failure = Table(
    "failure",
    metadata,
    Column("path", String, primary_key=True),
    Column("reason", String, nullable=False),
    Column("size", Integer, nullable=False),
    Column("mtime_ns", Integer, nullable=False),
    Column("ctime_ns", Integer),
)

edition = Table("edition", metadata, Column("count", Integer, nullable=False))
"""One row with the number of changes to `location`, updated by triggers."""

KEYWORDS = {"caption_words": "caption", "location_words": "location", "annotation_words": "annotation"}
"""Full-text tables. Each indexes the column `words` of another table and is kept in sync by triggers."""


TALLY_TRIGGERS = (
    """CREATE TRIGGER embedding_added AFTER INSERT ON embedding BEGIN
    INSERT INTO tally VALUES (new.encoder_id, new.kind, 1, 1)
    ON CONFLICT (encoder_id, kind) DO UPDATE SET count = count + 1, changes = changes + 1; END""",
    """CREATE TRIGGER embedding_removed AFTER DELETE ON embedding BEGIN
    UPDATE tally SET count = count - 1, changes = changes + 1
    WHERE encoder_id = old.encoder_id AND kind = old.kind; END""",
)


EDITION_STATEMENTS = [
    "INSERT INTO edition VALUES (0)",
    *(
        f"CREATE TRIGGER location_{event.lower()} AFTER {event} ON location BEGIN "  # noqa: S608  our own names
        "UPDATE edition SET count = count + 1; END"
        for event in ("INSERT", "UPDATE", "DELETE")
    ),
]


def derived_statements() -> list[str]:
    """SQL that creates and fills the full-text tables, and creates the triggers of these and of `tally`.

    Source: https://sqlite.org/fts5.html, "External Content Tables".
    """
    statements = list(TALLY_TRIGGERS)
    for name, table in KEYWORDS.items():
        add = f"INSERT INTO {name}(rowid, words) VALUES (new.id, new.words);"  # noqa: S608  our own names
        drop = f"INSERT INTO {name}({name}, rowid, words) VALUES ('delete', old.id, old.words);"  # noqa: S608
        options = f"words, content='{table}', content_rowid='id', tokenize='porter unicode61 remove_diacritics 2'"
        statements += [
            f"CREATE VIRTUAL TABLE {name} USING fts5({options})",
            f"CREATE TRIGGER {name}_added AFTER INSERT ON {table} BEGIN {add} END",
            f"CREATE TRIGGER {name}_removed AFTER DELETE ON {table} BEGIN {drop} END",
            f"CREATE TRIGGER {name}_changed AFTER UPDATE OF words ON {table} BEGIN {drop} {add} END",
            f"INSERT INTO {name}({name}) VALUES ('rebuild')",  # noqa: S608
        ]
    return statements
