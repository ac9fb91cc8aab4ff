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
    """Nine pictures in three folders, of all shapes."""
    shapes = [(40, 30), (30, 40), (32, 32)]
    for n in range(9):
        paint(f"{('a', 'b/c', 'b/d')[n % 3]}/{n}.{('png', 'jpg')[n % 2]}", "red", size=shapes[n // 3], seed=n)
    index_paths(catalog, encoder, [tmp_path / "pictures"])
    with sqlite3.connect(catalog.directory / "catalog.db") as connection:
        connection.execute("UPDATE image SET camera = 'Canon EOS 5D' WHERE id IN (3, 4, 5)")
        connection.execute("UPDATE image SET taken_at = '2023-02-03T10:00:00' WHERE id = 1")
        connection.execute("UPDATE image SET taken_at = '2023-11-03T10:00:00' WHERE id IN (2, 3)")
    return catalog


def test_counts_are_those_of_a_slow_count(library: Catalog, tmp_path: Path) -> None:
    """Every facet, against the records counted one by one."""
    found, records = facets(library), images_by_id(library, list(range(1, 10))).values()
    assert found.images == 9
    assert found.formats == Counter(record.format for record in records)
    assert found.folders == Counter(str(record.path.parent) for record in records if record.path)
    assert set(found.folders) == {str(tmp_path / "pictures" / name) for name in ("a", "b/c", "b/d")}
    assert found.orientations == {"landscape": 3, "portrait": 3, "square": 3}
    assert found.cameras == {None: 6, "Canon EOS 5D": 3}
    assert list(found.months.items()) == [("2023-11", 2), ("2023-02", 1), (None, 6)]
    assert list(found.years.items()) == [("2023", 3), (None, 6)]


def test_filters_hold_for_every_facet(library: Catalog, tmp_path: Path) -> None:
    """What is counted is what a search with them would choose among."""
    found = facets(library, ["camera = canon*", f"folder = {tmp_path / 'pictures' / 'b'}"])
    counts = (found.folders, found.cameras, found.formats, found.orientations, found.years, found.months)
    assert found.images == 2
    assert [sum(count.values()) for count in counts] == [2] * 6
    assert facets(library, ["width > 9999"]).folders == {}
    with pytest.raises(FilterError):
        facets(library, ["colour = red"])


def test_missing_files_count_nowhere(library: Catalog, encoder: FakeEncoder, tmp_path: Path) -> None:
    """A folder that is gone is no choice."""
    for file in (tmp_path / "pictures" / "a").iterdir():
        file.unlink()
    index_paths(library, encoder, [tmp_path / "pictures"])
    found = facets(library)
    assert (found.images, sum(found.folders.values()), sum(found.formats.values())) == (6, 6, 6)


def test_folders_are_told_apart_as_deep_as_they_are_few_enough() -> None:
    """Below /p there are 60 albums, so that is where it stops; a level alone above is passed."""
    albums = {f"/srv/p/2024/{n}/": 1 for n in range(60)}
    assert _merge_folders(albums | {"/srv/p/2023/x/": 5, "/srv/p/": 2}, MAX_FOLDERS) == {
        "/srv/p": 2,
        "/srv/p/2023": 5,
        "/srv/p/2024": 60,
    }
    assert len(_merge_folders({f"/{n}/": n for n in range(60)}, MAX_FOLDERS)) == MAX_FOLDERS
    assert _merge_folders({"/": 3}, MAX_FOLDERS) == {"/": 3}
    assert _merge_folders({}, MAX_FOLDERS) == {}
