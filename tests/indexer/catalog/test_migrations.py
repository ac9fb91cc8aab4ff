"""Catalogs written by earlier versions: upgrading, searching and indexing them."""

from __future__ import annotations

import importlib
import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine, select

from indexer import Catalog, index_paths
from indexer.catalog import migrations, schema
from indexer.catalog.connection import DATABASE
from indexer.catalog.contents import catalog_stats, indexed_roots, recorded_failures
from indexer.catalog.embeddings import read_vectors, vector_stamp
from indexer.catalog.facets import facets
from indexer.catalog.fulltext import images_named, images_with_term
from indexer.catalog.records import Kind
from indexer.models import add_model, model_states
from search import SearchEngine
from tests.fakes import FakeEncoder
from tests.indexer.ingest.opens import opened

VERSIONS = range(1, schema.VERSION + 1)
DUMPS = Path(__file__).parent / "data"
"""What the last commit of each version wrote for the pictures of `data/make.py`."""

HITS = {
    "red": [5, 1, 4, 7, 2, 3],
    "green": [7, 4, 1, 5, 2, 3],
    "blue": [2, 4, 7, 5, 3, 1],
    "a yellow thing": [1, 3, 7, 5, 4, 2],
}
"""The ids that every version answered with its own code; image 6 is missing."""


def load(version: int, directory: Path) -> Path:
    """Load a dump into an index directory, as it was written."""
    directory.mkdir()
    with closing(sqlite3.connect(directory / DATABASE)) as connection:
        connection.executescript((DUMPS / f"catalog-v{version}.sql").read_text(encoding="utf-8"))
    return directory


@pytest.fixture(params=VERSIONS)
def old(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """An index of each version, moved to a folder of files with the recorded sizes and times.

    The files contain zeros: a run that opened one would fail to decode it.
    """
    pictures, directory = tmp_path / "holiday" / "pictures", load(request.param, tmp_path / "old")
    with closing(sqlite3.connect(directory / DATABASE)) as connection, connection:
        for table in ("location", "failure", *(["root"] if request.param > 1 else [])):
            connection.execute(
                f"UPDATE {table} SET path = replace(path, '/tmp/holiday/pictures', ?)",  # noqa: S608  our own names
                (str(pictures),),
            )
        files = connection.execute(
            "SELECT path, size, mtime_ns, NULL, NULL FROM failure UNION ALL "
            "SELECT path, size, mtime_ns, sidecar_mtime_ns, image_id FROM location WHERE missing_since IS NULL"
        )
        for path, size, mtime_ns, sidecar_mtime_ns, image_id in files.fetchall():
            write(Path(path), bytes(size), mtime_ns)
            if sidecar_mtime_ns is not None:
                captions = "SELECT text FROM caption WHERE image_id = ? AND source = 'sidecar'"
                lines = [text for (text,) in connection.execute(captions, (image_id,))]
                write(Path(path).with_suffix(".txt"), "\n".join(lines).encode(), sidecar_mtime_ns)
        for table in ("location", "failure") if request.param > 5 else ():  # no program can set a change time
            for (path,) in connection.execute(f"SELECT path FROM {table}").fetchall():  # noqa: S608  our own names
                if Path(path).exists():
                    ctime_ns = Path(path).stat().st_ctime_ns
                    connection.execute(f"UPDATE {table} SET ctime_ns = ? WHERE path = ?", (ctime_ns, path))  # noqa: S608
    return directory


@pytest.fixture
def upgraded(old: Path) -> Iterator[Catalog]:
    """The same index, opened and upgraded."""
    with Catalog.open(old) as catalog:
        yield catalog


def write(path: Path, content: bytes, mtime_ns: int) -> None:
    """Create a file with a modification time."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    os.utime(path, ns=(mtime_ns, mtime_ns))


def database_schema(directory: Path) -> dict[str, object]:
    """Every table, index, trigger and virtual table by name, independent of SQL formatting."""
    with closing(sqlite3.connect(directory / DATABASE)) as connection:

        def pragma(name: str, of: str) -> list[tuple[Any, ...]]:
            return sorted(connection.execute(f"SELECT * FROM pragma_{name}(?)", (of,)), key=repr)  # noqa: S608  ours

        def indexes(table: str) -> list[object]:
            """Unlike names of automatic indexes and their order, which the order of constraints decides."""
            return sorted(((*row[2:], pragma("index_xinfo", row[1])) for row in pragma("index_list", table)), key=repr)

        entries = connection.execute("SELECT name, type, sql FROM sqlite_master WHERE sql IS NOT NULL").fetchall()
        return {
            name: (
                pragma("table_xinfo", name),
                pragma("foreign_key_list", name),
                indexes(name),
                [row[1:] for row in pragma("table_list", name)],
                "AUTOINCREMENT" in sql,
            )
            if sql.startswith("CREATE TABLE")
            else " ".join(sql.split())
            for name, kind, sql in entries
            if not name.startswith("sqlite_")
        }


def test_every_version_has_a_dump() -> None:
    """A new version comes with a catalog made by the one before it."""
    versions = {int(path.stem.removeprefix("catalog-v")) for path in DUMPS.glob("*.sql")}
    assert versions == set(VERSIONS)


def test_an_upgraded_catalog_has_the_schema_of_a_new_one(old: Path, catalog: Catalog) -> None:
    """The same columns, keys, indexes and triggers; integrity checks pass."""
    Catalog.open(old).close()
    assert database_schema(old) == database_schema(catalog.directory)
    with Catalog.open(old) as upgraded:
        upgraded.check()
    with closing(sqlite3.connect(old / DATABASE)) as connection:
        assert connection.execute("PRAGMA user_version").fetchone() == (schema.VERSION,)
        for words in schema.KEYWORDS:  # raises where the two differ
            connection.execute(f"INSERT INTO {words}({words}, rank) VALUES ('integrity-check', 1)")  # noqa: S608  our own names


@pytest.mark.parametrize("version", VERSIONS[:-1])
def test_each_step_leads_to_the_schema_of_the_next_version(
    version: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The schemas in between are exactly those of the versions."""
    directory = load(version, tmp_path / "old")
    monkeypatch.setattr(schema, "VERSION", version + 1)
    engine = create_engine(f"sqlite:///{directory / DATABASE}")
    with engine.begin() as connection:
        migrations.upgrade(connection, version)
    engine.dispose()
    assert database_schema(directory) == database_schema(load(version + 1, tmp_path / "next"))


def test_a_migration_does_not_depend_on_the_current_schema(
    tmp_path: Path, catalog: Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Later changes of `schema.py` change no released step."""
    expected = database_schema(catalog.directory)
    steps = dict(migrations.STEPS)
    with monkeypatch.context() as later:
        later.setattr(schema, "KEYWORDS", {"camera_words": ("image", "camera")})
        later.setattr(schema, "TALLY_TRIGGERS", ("nonsense",))
        later.setattr(schema, "EDITION_STATEMENTS", ["nonsense"])
        try:
            assert steps == importlib.reload(migrations).STEPS
            Catalog.open(load(1, tmp_path / "old")).close()
        finally:
            later.undo()
            importlib.reload(migrations)
    assert database_schema(tmp_path / "old") == expected


def test_an_upgraded_catalog_answers_as_before(upgraded: Catalog) -> None:
    """All hits are those that the old version found; missing files stay hidden."""
    with SearchEngine.open(upgraded.directory, encoder=FakeEncoder()) as engine:
        for query, expected in HITS.items():
            hits = [hit.image_id for hit in engine.search_images(query).hits]
            assert hits[0] == expected[0], query
            assert sorted(hits) == sorted(expected), query
        assert "a red square" in {hit.text for hit in engine.find_captions(5).hits}


def test_an_upgraded_catalog_keeps_its_contents(upgraded: Catalog) -> None:
    """Counts, vectors, failures and metadata are those of the old catalog."""
    stats = catalog_stats(upgraded)
    assert (stats.images, stats.locations, stats.missing, stats.failures) == (7, 8, 1, 1)
    assert stats.captions == {"bank": 2, "sidecar": 3}
    assert len(read_vectors(upgraded, Kind.IMAGE)[0]) == vector_stamp(upgraded, Kind.IMAGE).count == 7
    assert len(read_vectors(upgraded, Kind.CAPTION)[0]) == vector_stamp(upgraded, Kind.CAPTION).count == 5
    assert [Path(failure.path).name for failure in recorded_failures(upgraded)] == ["damaged.jpg"]
    counts = facets(upgraded)
    assert counts.images == 6
    assert counts.formats == {"PNG": 5, "JPEG": 1}
    assert counts.years == {"2023": 1, None: 5}
    assert counts.orientations == {"landscape": 5, "portrait": 1}
    assert sum(counts.folders.values()) == 7


def test_words_of_an_upgraded_catalog_can_be_searched(upgraded: Catalog) -> None:
    """In captions and names, even if the version had no full-text tables."""
    found = images_with_term(upgraded, "red", limit=9)
    assert (found.names.tolist(), found.captions.tolist()) == ([5], [5])
    assert images_with_term(upgraded, "fjord", limit=9).captions.tolist() == [2]
    assert images_named(upgraded, "IMG_2034").tolist() == [1]


def test_indexing_an_upgraded_catalog_again_embeds_nothing(upgraded: Catalog) -> None:
    """All files are unchanged, and the damaged one is not tried again. Metadata is read once, if it has not been.

    Sidecars are read once as well, because their modification times do not tell whether they were edited.
    """
    before = upgraded.rows(select(schema.caption).order_by(schema.caption.c.id))
    encoder, pictures = FakeEncoder(), upgraded.directory.parent / "holiday" / "pictures"
    report = index_paths(upgraded, encoder, [pictures])
    assert (report.added, report.updated, report.unchanged, report.captions_added) == (0, 0, 7, 0)
    assert [Path(failure.path).name for failure in report.failed] == ["damaged.jpg"]
    assert (encoder.images_encoded, encoder.texts_encoded) == (0, 0)
    assert upgraded.rows(select(schema.caption).order_by(schema.caption.c.id)) == before
    assert indexed_roots(upgraded) == [str(pictures)]
    assert [name for name in opened(lambda: index_paths(upgraded, encoder, [pictures])) if "holiday" in name] == []


def test_models_of_an_upgraded_catalog_are_kept(upgraded: Catalog, request: pytest.FixtureRequest) -> None:
    """With all their embeddings; a second model can be added to version 1."""
    other = FakeEncoder(name="other", fingerprint="0" * 64, turn=1)
    version = request.node.callspec.params["old"]
    models = model_states(upgraded)
    assert [(model.name, model.active) for model in models] == [("fake", True), ("other", False)][: min(version, 2)]
    assert [(model.images, model.captions) for model in models] == [(7, 3), (6, 3)][: min(version, 2)]
    report = add_model(upgraded, other)
    assert (report.images_added, report.captions_added) == ((0, 5) if version == 1 else (0, 0))
    with SearchEngine.open(upgraded.directory, encoder=other) as engine:
        hits = [hit.image_id for hit in engine.search_images("red").hits]
        assert hits[:1] == ([] if version == 1 else [5])


def test_an_upgrade_that_fails_leaves_the_catalog_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is one transaction; the next attempt succeeds."""
    directory = load(1, tmp_path / "old")
    previous = database_schema(directory)
    with monkeypatch.context() as broken:
        broken.setitem(migrations.STEPS, 1, (*migrations.STEPS[1][:3], "nonsense"))
        with pytest.raises(Exception, match="nonsense"):
            Catalog.open(directory)
    assert database_schema(directory) == previous
    Catalog.open(directory).close()
    assert "caption_words" in database_schema(directory)


def test_full_text_tables_follow_renamed_and_removed_files(
    indexed: Catalog, folder: Path, encoder: FakeEncoder
) -> None:
    """A renamed file is found by its new name only, a removed one not at all."""

    def named(word: str) -> int:
        with closing(sqlite3.connect(indexed.directory / DATABASE)) as connection:
            query = "SELECT count(*) FROM location_words WHERE location_words MATCH ?"
            return int(connection.execute(query, (word,)).fetchone()[0])

    assert named("red") == 1
    (folder / "red.png").rename(folder / "sunset.png")
    index_paths(indexed, encoder, [folder], prune=True)
    assert (named("red"), named("sunset")) == (0, 1)
    with closing(sqlite3.connect(indexed.directory / DATABASE)) as connection:
        for words in schema.KEYWORDS:  # raises where the two are out of step
            connection.execute(f"INSERT INTO {words}({words}, rank) VALUES ('integrity-check', 1)")  # noqa: S608  our own names
