"""Listing images page by page, and the details of one image."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from indexer import Catalog, index_paths
from indexer.catalog.browse import Browsed, browse, image_details
from indexer.catalog.images import content_hashes, images_by_id
from indexer.errors import FilterError
from tests.conftest import Paint
from tests.fakes import FakeEncoder

DATES = {1: "2020-05-01T10:00:00", 2: None, 3: "2023-01-01T00:00:00", 4: "2020-05-01T10:00:00", 5: None}
NEWEST_FIRST = [3, 4, 1, 5, 2]


@pytest.fixture
def dated(indexed: Catalog) -> Catalog:
    """Five images: two with the same date, two without a date."""
    with sqlite3.connect(indexed.directory / "catalog.db") as connection:
        connection.executemany("UPDATE image SET taken_at = ? WHERE id = ?", [(d, i) for i, d in DATES.items()])
    return indexed


def all_pages(catalog: Catalog, k: int) -> list[int]:
    """The ids of all pages, in order."""
    images: list[Browsed] = []
    while page := browse(catalog, k=k, after=images[-1] if images else None):
        images += page
    return [image.id for image in images]


def test_the_newest_come_first_and_undated_ones_last(dated: Catalog) -> None:
    """Equal dates, and images without a date, are ordered by descending id."""
    assert [browsed.id for browsed in browse(dated, k=10)] == NEWEST_FIRST
    assert [browsed.id for browsed in browse(dated, k=10, where=["taken_at = 2020"])] == [4, 1]


@pytest.mark.parametrize("k", [1, 2, 3, 4, 5, 6])
def test_pages_joined_are_the_whole_listing(dated: Catalog, k: int) -> None:
    """With any page size, no image is repeated or skipped."""
    assert all_pages(dated, k) == NEWEST_FIRST


def test_images_removed_or_added_between_pages_shift_nothing(
    dated: Catalog, folder: Path, paint: Paint, encoder: FakeEncoder
) -> None:
    """The next page starts after the last image, even if that was removed."""
    first = browse(dated, k=2)
    last = images_by_id(dated, [first[-1].id])[first[-1].id].path
    assert last is not None
    last.unlink()
    paint("new.png", "yellow")
    index_paths(dated, encoder, [folder], prune=True)
    assert [browsed.id for browsed in browse(dated, k=2, after=first[-1])] == [1, 6]


def test_images_whose_files_are_missing_are_left_out(dated: Catalog, folder: Path, encoder: FakeEncoder) -> None:
    """They are listed again once their files are back."""
    (folder / "red.png").rename(folder.parent / "away.png")
    index_paths(dated, encoder, [folder])
    assert len(browse(dated, k=10)) == 4
    (folder.parent / "away.png").rename(folder / "red.png")
    index_paths(dated, encoder, [folder])
    assert len(browse(dated, k=10)) == 5


def test_dated_and_undated_images_are_read_from_the_index(dated: Catalog) -> None:
    """A page never sorts the whole table."""
    for condition in ("(taken_at, id) < ('2021', 3)", "taken_at IS NULL AND id < 3"):
        plan = f"EXPLAIN QUERY PLAN SELECT id FROM image WHERE {condition} ORDER BY taken_at DESC, id DESC"  # noqa: S608  from above
        with sqlite3.connect(dated.directory / "catalog.db") as connection:
            steps = [row[3] for row in connection.execute(plan)]
        assert len(steps) == 1
        assert "image_taken" in steps[0]


def test_an_invalid_filter_is_rejected(dated: Catalog) -> None:
    """An unknown field raises a FilterError."""
    with pytest.raises(FilterError, match="unknown field 'colour'"):
        browse(dated, k=1, where=["colour = red"])


def test_details_list_every_file(indexed: Catalog, folder: Path, encoder: FakeEncoder) -> None:
    """They also show which files have changed since indexing."""
    (folder / "copy.png").write_bytes((folder / "red.png").read_bytes())
    index_paths(indexed, encoder, [folder])
    ids = content_hashes(indexed)
    details = next(d for i in ids.values() if (d := image_details(indexed, i)) is not None and len(d.places) == 2)
    assert [place.path.name for place in details.places] == ["copy.png", "red.png"]
    assert ids[details.content_hash] == details.id
    assert details.unchanged()
    (folder / "copy.png").write_bytes(b"something else")
    assert details.unchanged()
    (folder / "red.png").unlink()
    assert not details.unchanged()
    assert details.places[1].status() is None
    assert image_details(indexed, 999) is None


def test_only_a_regular_file_has_a_status(indexed: Catalog, folder: Path) -> None:
    """A folder at the path of a file has none."""
    (folder / "red.png").unlink()
    (folder / "red.png").mkdir()
    places = [place for i in range(1, 6) if (d := image_details(indexed, i)) is not None for place in d.places]
    assert sum(place.status() is None for place in places) == 1
