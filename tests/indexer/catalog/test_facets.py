"""Counts by folder, camera, format, orientation, year and month."""

from __future__ import annotations

import sqlite3
from collections import Counter
from pathlib import Path

import pytest

from indexer import Catalog, index_paths
from indexer.catalog.facets import MAX_FOLDERS, _merge_folders, facets
from indexer.catalog.images import images_by_id
from indexer.errors import FilterError
from tests.conftest import Paint
from tests.fakes import FakeEncoder


@pytest.fixture
def library(catalog: Catalog, paint: Paint, encoder: FakeEncoder, tmp_path: Path) -> Catalog:
    """Nine pictures in three folders and of three orientations."""
    shapes = [(40, 30), (30, 40), (32, 32)]
    for n in range(9):
        paint(f"{('a', 'b/c', 'b/d')[n % 3]}/{n}.{('png', 'jpg')[n % 2]}", "red", size=shapes[n // 3], seed=n)
    index_paths(catalog, encoder, [tmp_path / "pictures"])
    with sqlite3.connect(catalog.directory / "catalog.db") as connection:
        connection.execute("UPDATE image SET camera = 'Canon EOS 5D' WHERE id IN (3, 4, 5)")
        connection.execute("UPDATE image SET taken_at = '2023-02-03T10:00:00' WHERE id = 1")
        connection.execute("UPDATE image SET taken_at = '2023-11-03T10:00:00' WHERE id IN (2, 3)")
    return catalog


def test_counts_match_the_records(library: Catalog, tmp_path: Path) -> None:
    """Every facet equals a count of the records one by one."""
    counts, records = facets(library), images_by_id(library, list(range(1, 10))).values()
    assert counts.images == 9
    assert counts.formats == Counter(record.format for record in records)
    assert counts.folders == Counter(str(record.path.parent) for record in records if record.path)
    assert set(counts.folders) == {str(tmp_path / "pictures" / name) for name in ("a", "b/c", "b/d")}
    assert counts.orientations == {"landscape": 3, "portrait": 3, "square": 3}
    assert counts.cameras == {None: 6, "Canon EOS 5D": 3}
    assert list(counts.months.items()) == [("2023-11", 2), ("2023-02", 1), (None, 6)]
    assert list(counts.years.items()) == [("2023", 3), (None, 6)]


def test_filters_apply_to_every_facet(library: Catalog, tmp_path: Path) -> None:
    """Only images that match the filters are counted."""
    counts = facets(library, ["camera = canon*", f"folder = {tmp_path / 'pictures' / 'b'}"])
    by_facet = (counts.folders, counts.cameras, counts.formats, counts.orientations, counts.years, counts.months)
    assert counts.images == 2
    assert [sum(count.values()) for count in by_facet] == [2] * 6
    assert facets(library, ["width > 9999"]).folders == {}
    with pytest.raises(FilterError):
        facets(library, ["colour = red"])


def test_missing_files_are_not_counted(library: Catalog, encoder: FakeEncoder, tmp_path: Path) -> None:
    """A folder without files is in no facet."""
    for file in (tmp_path / "pictures" / "a").iterdir():
        file.unlink()
    index_paths(library, encoder, [tmp_path / "pictures"])
    counts = facets(library)
    assert (counts.images, sum(counts.folders.values()), sum(counts.formats.values())) == (6, 6, 6)


def test_folders_are_split_until_there_are_too_many() -> None:
    """The split stops above the 60 albums, and skips levels with a single folder."""
    albums = {f"/srv/p/2024/{n}/": 1 for n in range(60)}
    assert _merge_folders(albums | {"/srv/p/2023/x/": 5, "/srv/p/": 2}, MAX_FOLDERS) == {
        "/srv/p": 2,
        "/srv/p/2023": 5,
        "/srv/p/2024": 60,
    }
    assert len(_merge_folders({f"/{n}/": n for n in range(60)}, MAX_FOLDERS)) == MAX_FOLDERS
    assert _merge_folders({"/": 3}, MAX_FOLDERS) == {"/": 3}
    assert _merge_folders({}, MAX_FOLDERS) == {}
