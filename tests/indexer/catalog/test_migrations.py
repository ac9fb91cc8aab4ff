"""Catalogs that an older crosslook wrote."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from indexer import Catalog, index_paths
from indexer.catalog import migrations, schema
from indexer.catalog.contents import catalog_stats
from indexer.catalog.embeddings import read_vectors
from indexer.catalog.records import Kind
from tests.fakes import FakeEncoder

VERSION_1 = Path(__file__).parent / "data" / "catalog-v1.sql"
"""What crosslook 0.1.0 wrote for the folder of five pictures, one with a caption, as `sqlite3 catalog.db .dump`."""


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """An index directory of version 1."""
    directory = tmp_path / "old"
    directory.mkdir()
    with sqlite3.connect(directory / "catalog.db") as connection:
        connection.executescript(VERSION_1.read_text(encoding="utf-8"))
        connection.execute("PRAGMA user_version = 1")
    return directory


def layout(directory: Path) -> dict[str, str]:
    """Every table's columns, and the SQL of every trigger, by name."""
    with sqlite3.connect(directory / "catalog.db") as connection:
        every = "SELECT name, type, sql FROM sqlite_master WHERE name NOT LIKE 'sqlite_%'"
        found = connection.execute(every).fetchall()
        return {
            name: str(sorted(row[1:4] for row in connection.execute(f"PRAGMA table_info({name})")))
            if kind == "table"
            else str(sql)
            for name, kind, sql in found
        }


def test_an_older_catalog_becomes_what_a_new_one_is(old: Path, catalog: Catalog) -> None:
    """Same tables, columns, triggers; everything in it still there, and its words can be looked for."""
    with Catalog.open(old) as opened:
        assert catalog_stats(opened).images == 5
        assert len(read_vectors(opened, Kind.IMAGE)[0]) == 5
        opened.check()
    assert layout(old) == layout(catalog.directory)
    with sqlite3.connect(old / "catalog.db") as connection:
        assert connection.execute("PRAGMA user_version").fetchone() == (schema.VERSION,)
        words = "SELECT rowid FROM {0} WHERE {0} MATCH ?"
        assert len(connection.execute(words.format("caption_words"), ("square",)).fetchall()) == 1
        assert len(connection.execute(words.format("location_words"), ("red",)).fetchall()) == 1


def test_an_upgrade_that_fails_leaves_the_catalog_as_it_was(old: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All of a step, or nothing: a step cut short is taken again the next time."""
    before = layout(old)
    with monkeypatch.context() as broken:
        broken.setitem(migrations.STEPS, 1, [*migrations.STEPS[1][:3], "nonsense"])
        with pytest.raises(Exception, match="nonsense"):
            Catalog.open(old)
    assert layout(old) == before
    Catalog.open(old).close()
    assert "caption_words" in layout(old)


def test_words_stay_in_step_with_what_they_are_of(indexed: Catalog, folder: Path, encoder: FakeEncoder) -> None:
    """A file that is renamed is found by its new name and not by its old one; so for one that is forgotten."""

    def named(word: str) -> int:
        with sqlite3.connect(indexed.directory / "catalog.db") as connection:
            query = "SELECT count(*) FROM location_words WHERE location_words MATCH ?"
            return int(connection.execute(query, (word,)).fetchone()[0])

    assert named("red") == 1
    (folder / "red.png").rename(folder / "sunset.png")
    index_paths(indexed, encoder, [folder], prune=True)
    assert (named("red"), named("sunset")) == (0, 1)
    with sqlite3.connect(indexed.directory / "catalog.db") as connection:
        for words in schema.KEYWORDS:  # raises where the two are out of step
            connection.execute(f"INSERT INTO {words}({words}, rank) VALUES ('integrity-check', 1)")  # noqa: S608  our own names
