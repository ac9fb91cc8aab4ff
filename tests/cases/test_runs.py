"""Runs over known files: edits that keep their times, `--again`, captions of other images."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from sqlalchemy import select

from encoders.datasets import read_captions
from indexer import Catalog, IndexReport, index_paths
from indexer.catalog import schema
from indexer.catalog.captions import captions_of_image
from indexer.catalog.contents import catalog_stats, recorded_failures
from indexer.catalog.images import content_hashes
from tests.cases.folders import keep_times, shown, write
from tests.conftest import Paint
from tests.fakes import FakeEncoder
from tests.indexer.ingest.opens import opened
from tests.indexer.ingest.test_pipeline import counts


def test_an_edit_that_keeps_size_and_time_is_seen(
    catalog: Catalog, encoder: FakeEncoder, paint: Paint, root: Path
) -> None:
    """By the change time, which no program can set."""
    picture = paint("a.bmp", "red")
    index_paths(catalog, encoder, [root])
    keep_times(picture, paint("../b.bmp", "blue").read_bytes())
    assert counts(index_paths(catalog, encoder, [])) == {"updated": 1}
    assert encoder.images_encoded == 2
    assert counts(index_paths(catalog, encoder, [])) == {"unchanged": 1}


def test_a_changed_change_time_alone_embeds_nothing(catalog: Catalog, encoder: FakeEncoder, folder: Path) -> None:
    """As after chmod or a restored backup: files are hashed once, and count as unchanged."""
    index_paths(catalog, encoder, [folder])
    for path in folder.iterdir():
        path.chmod(0o600)
    assert counts(index_paths(catalog, encoder, [])) == {"unchanged": 5}
    assert opened(lambda: index_paths(catalog, encoder, [])) == []
    assert encoder.images_encoded == 5


def test_a_catalog_without_change_times_learns_them_without_reading(
    catalog: Catalog, encoder: FakeEncoder, folder: Path
) -> None:
    """The first run of this version fills them in; the next sees an edit by them."""
    write(folder / "bad.png", b"no picture")
    index_paths(catalog, encoder, [folder])
    with catalog.transaction() as connection:
        connection.exec_driver_sql("UPDATE location SET ctime_ns = NULL")
        connection.exec_driver_sql("UPDATE failure SET ctime_ns = NULL")
    assert opened(lambda: index_paths(catalog, encoder, [])) == []
    assert {row.ctime_ns for row in catalog.rows(select(schema.location))} == {
        path.stat().st_ctime_ns for path in folder.iterdir() if path.name != "bad.png"
    }
    keep_times(folder / "bad.png", b"no Picture")
    assert str(folder / "bad.png") in opened(lambda: index_paths(catalog, encoder, []))


def test_a_damaged_file_that_is_restored_with_its_times_is_read(
    catalog: Catalog, encoder: FakeEncoder, paint: Paint, root: Path
) -> None:
    """As `rsync -a` does from a backup."""
    paint("fine.png", "green")
    picture = paint("a.bmp", "red")
    content = picture.read_bytes()
    picture.write_bytes(bytes(len(content)))
    assert counts(index_paths(catalog, encoder, [root])) == {"added": 1, "failed": 1}
    keep_times(picture, content)
    assert counts(index_paths(catalog, encoder, [])) == {"added": 1, "unchanged": 1}
    assert recorded_failures(catalog) == []


def test_again_embeds_anew_and_keeps_captions(
    catalog: Catalog, encoder: FakeEncoder, folder: Path, tmp_path: Path
) -> None:
    """The images are new ones with the files and captions of the old; failures are tried again."""
    (folder / "red.txt").write_text("a red square\n")
    shutil.copy(folder / "red.png", folder / "copy.png")
    write(folder / "bad.png", b"no picture")
    table = write(tmp_path / "captions.csv", b"image,caption\nblue.png,a blue wall\n")
    index_paths(catalog, encoder, [folder], captions=read_captions(table))
    before = content_hashes(catalog)
    report = index_paths(catalog, encoder, [folder], again=True)
    assert counts(report) == {"updated": 6, "failed": 1}
    assert encoder.images_encoded == 10
    after = content_hashes(catalog)
    assert before.keys() == after.keys()
    assert not set(before.values()) & set(after.values())
    texts = sorted(caption.text for image in after.values() for caption in captions_of_image(catalog, image))
    assert texts == ["a blue wall", "a red square"]
    assert (catalog_stats(catalog).locations, shown(catalog)) == (6, 5)
    assert counts(index_paths(catalog, encoder, [])) == {"unchanged": 6, "failed": 1}


def test_again_of_one_file_leaves_the_others(catalog: Catalog, encoder: FakeEncoder, folder: Path) -> None:
    """Only what is named is read."""
    index_paths(catalog, encoder, [folder])
    files = opened(lambda: index_paths(catalog, encoder, [folder / "red.png"], again=True))
    assert {Path(name).name for name in files if name.endswith(".png")} == {"red.png"}
    assert shown(catalog) == 5


def test_images_of_captions_that_match_none_are_named(
    catalog: Catalog, encoder: FakeEncoder, folder: Path, tmp_path: Path
) -> None:
    """Each once, in the order of the file."""
    rows = b"image,caption\nred.png,a red wall\nnowhere.jpg,a\nother.jpg,b\nnowhere.jpg,c\n"
    report: IndexReport = index_paths(
        catalog, encoder, [folder], captions=read_captions(write(tmp_path / "captions.csv", rows))
    )
    assert (report.captions_unmatched, report.unmatched_images) == (3, ["nowhere.jpg", "other.jpg"])


@pytest.mark.parametrize("edited", ["a.png", "b.png"])
def test_again_after_one_of_two_copies_was_edited(
    catalog: Catalog, encoder: FakeEncoder, paint: Paint, root: Path, edited: str
) -> None:
    """Whichever of the two comes first; the other one keeps the image's captions."""
    original = paint("a.png", "red")
    shutil.copy(original, root / "b.png")
    (root / "a.txt").write_text("a red square\n")
    index_paths(catalog, encoder, [root])
    paint(edited, "blue")
    report = index_paths(catalog, encoder, [root], again=True, batch_size=1)
    assert counts(report)["updated"] == 2
    assert (catalog_stats(catalog).images, catalog_stats(catalog).locations, shown(catalog)) == (2, 2, 2)
    texts = {c.text for image in content_hashes(catalog).values() for c in captions_of_image(catalog, image)}
    assert texts == {"a red square"}
    assert counts(index_paths(catalog, encoder, [])) == {"unchanged": 2}


@pytest.mark.parametrize("batch_size", [1, 3, 32])
def test_again_encodes_copies_once(
    catalog: Catalog, encoder: FakeEncoder, paint: Paint, root: Path, batch_size: int
) -> None:
    """New content as well as known, in whatever batches."""
    known = paint("known.png", "red")
    index_paths(catalog, encoder, [root])
    shutil.copy(known, root / "other.png")
    picture = paint("0.png", "blue")
    for number in (1, 2, 3):
        shutil.copy(picture, root / f"{number}.png")
    report = index_paths(catalog, encoder, [root], again=True, batch_size=batch_size)
    assert counts(report) == {"added": 1, "updated": 1, "duplicates": 4}
    assert encoder.images_encoded == 3
