"""Finding duplicates."""

from __future__ import annotations

import os
import shutil
import weakref
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from indexer import Catalog, find_duplicates, index_paths
from indexer.catalog.embeddings import features_of, read_vectors
from indexer.catalog.images import images_by_id
from indexer.catalog.records import Kind
from indexer.duplicates import DuplicateGroup, refreshed
from indexer.duplicates.candidates import AGREEMENT, agreements
from indexer.duplicates.looks import Look
from tests.fakes import FakeEncoder
from tests.indexer.duplicates.pictures import kinds, mosaic, names, scene
from tests.indexer.ingest.opens import opened


def test_copies_and_versions_are_one_picture(catalog: Catalog, encoder: FakeEncoder, tmp_path: Path) -> None:
    """The largest comes first, identical files are adjacent, and only files of candidates are opened."""
    pictures = tmp_path / "pictures"
    original = mosaic(pictures / "original.png", 1)
    shutil.copy(original, pictures / "zz copy.png")
    (pictures / "a link.png").symlink_to(original)  # not a copy: keeping only the link would lose the picture
    mosaic(pictures / "a large one.png", 1, size=(128, 128))
    mosaic(pictures / "small.png", 1, size=(32, 32))
    for seed in range(2, 6):
        mosaic(pictures / f"other {seed}.png", seed)
    index_paths(catalog, encoder, [pictures])
    groups: list[DuplicateGroup] = []
    opened_files = opened(lambda: groups.extend(find_duplicates(catalog)))
    assert {Path(path).name for path in opened_files if path.endswith(".png")} <= {
        *("a large one.png", "original.png", "zz copy.png", "small.png")
    }
    assert names(groups) == [["a large one.png", "original.png", "zz copy.png", "small.png"]]
    copies = groups[0].copies
    assert (copies[0].width, copies[0].height, copies[0].bytes) == (
        128,
        128,
        (pictures / "a large one.png").stat().st_size,
    )
    assert copies[1].image_id == copies[2].image_id != copies[0].image_id
    assert [str(copy.kind) for copy in copies] == ["largest", "version", "same bytes", "version"]
    assert groups[0].likeness > 0.8


def test_the_same_content_at_other_positions_is_another_picture(
    catalog: Catalog, encoder: FakeEncoder, tmp_path: Path
) -> None:
    """The vectors of both are equal, but their regions differ."""
    mosaic(tmp_path / "pictures" / "one.png", 1)
    mosaic(tmp_path / "pictures" / "two.png", 1, shift=5)
    index_paths(catalog, encoder, [tmp_path / "pictures"])
    assert find_duplicates(catalog) == []
    one, two = read_vectors(catalog, Kind.IMAGE)[1]
    assert one @ two > 0.99


def test_a_group_can_exceed_the_number_of_neighbours(
    catalog: Catalog, encoder: FakeEncoder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Groups are joined through their members, and pairs are processed in batches."""
    monkeypatch.setattr("indexer.duplicates.candidates.NEIGHBOURS", 2)
    monkeypatch.setattr("indexer.duplicates.candidates.QUERIES", 3)
    monkeypatch.setattr("indexer.duplicates.find.PAIRS", 2)
    for seed in (1, 2):
        for size in range(40, 48):
            mosaic(tmp_path / "pictures" / f"{seed} {size}.png", seed, size=(size, size))
    index_paths(catalog, encoder, [tmp_path / "pictures"])
    assert names(find_duplicates(catalog)) == [[f"{s} {n}.png" for n in range(47, 39, -1)] for s in (1, 2)]


def test_few_looks_stay_in_memory(
    catalog: Catalog, encoder: FakeEncoder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many pairs are compared, each image is looked at once."""
    monkeypatch.setattr("indexer.duplicates.find.PAIRS", 2)
    monkeypatch.setattr("indexer.duplicates.find.CACHED", 8)
    for size in (256, 320, 384):
        for seed in range(12):
            mosaic(tmp_path / "pictures" / f"{size} {seed}.png", seed, size=(size, size))
    index_paths(catalog, encoder, [tmp_path / "pictures"])
    read: list[weakref.ref[Look]] = []
    most = [0]
    of = Look.of

    def note(*picture: Any) -> Look:
        look = of(*picture)
        read.append(weakref.ref(look))
        most[0] = max(most[0], sum(reference() is not None for reference in read))
        return look

    monkeypatch.setattr(Look, "of", note)
    assert len(find_duplicates(catalog)) == 12
    assert len(read) == 36
    assert most[0] <= 8 + 4


def test_at_a_threshold_of_1_only_identical_files_are_duplicates(
    catalog: Catalog, encoder: FakeEncoder, tmp_path: Path
) -> None:
    """No file is opened, and missing files are left out."""
    pictures = tmp_path / "pictures"
    original = mosaic(pictures / "original.png", 1)
    mosaic(pictures / "large.png", 1, size=(128, 128))
    for name in ("copy.png", "gone.png"):
        shutil.copy(original, pictures / name)
    index_paths(catalog, encoder, [pictures])
    (pictures / "gone.png").unlink()
    index_paths(catalog, encoder, [pictures])
    groups: list[DuplicateGroup] = []
    assert opened(lambda: groups.extend(find_duplicates(catalog, threshold=1.0))) == []
    assert names(groups) == [["copy.png", "original.png"]]
    assert names(find_duplicates(catalog)) == [["large.png", "copy.png", "original.png"]]


def test_an_empty_index_has_no_duplicates(indexed: Catalog) -> None:
    """Nor has one of five different pictures."""
    assert find_duplicates(indexed) == []
    with Catalog.open(indexed.directory.with_name("empty"), create=True) as empty:
        assert find_duplicates(empty) == []


def test_a_scene_in_which_something_moved_is_another_picture(
    catalog: Catalog, encoder: FakeEncoder, tmp_path: Path
) -> None:
    """The regions of two photographs of one scene agree; the pictures differ at two places."""
    image = scene(1)
    later = image.copy()
    later.paste(image.crop((10, 10, 40, 40)), (200, 120))
    (tmp_path / "pictures").mkdir()
    for name, picture in (("one", image), ("two", later)):
        picture.save(tmp_path / "pictures" / f"{name}.png")
    index_paths(catalog, encoder, [tmp_path / "pictures"])
    one, two = features_of(catalog, Kind.IMAGE, [1, 2])[1]
    assert agreements(one[None], two[None])[0] > AGREEMENT
    assert find_duplicates(catalog) == []


def test_a_file_deleted_since_indexing_is_left_out(catalog: Catalog, encoder: FakeEncoder, tmp_path: Path) -> None:
    """It does not end the search."""
    for size in (40, 48, 64):
        mosaic(tmp_path / "pictures" / f"{size}.png", 1, size=(size, size))
    index_paths(catalog, encoder, [tmp_path / "pictures"])
    (tmp_path / "pictures" / "48.png").unlink()
    assert names(find_duplicates(catalog)) == [["64.png", "40.png"]]


def test_images_deleted_during_the_search_leave_no_group_of_one(
    catalog: Catalog, encoder: FakeEncoder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A group has at least two files."""
    for size in (32, 64):
        mosaic(tmp_path / "pictures" / f"{size}.png", 1, size=(size, size))
    index_paths(catalog, encoder, [tmp_path / "pictures"])
    assert names(find_duplicates(catalog)) == [["64.png", "32.png"]]
    read = images_by_id

    def without_the_first(catalog: Catalog, ids: list[int]) -> Any:
        return {image: record for image, record in read(catalog, ids).items() if image != min(ids)}

    monkeypatch.setattr("indexer.duplicates.groups.images_by_id", without_the_first)
    assert find_duplicates(catalog) == []


def copied(original: Path, path: Path) -> Path:
    """A copy with the same modification time."""
    shutil.copy2(original, path)
    return path


def test_names_of_one_file_are_not_copies(catalog: Catalog, encoder: FakeEncoder, tmp_path: Path) -> None:
    """Hard links are listed with their file, and free nothing; links and paths through linked folders are left out."""
    pictures = tmp_path / "pictures"
    original = mosaic(pictures / "a.png", 1)
    other_name = copied(original, pictures / "b.png")
    mosaic(tmp_path / "elsewhere" / "c.png", 2)
    linked_folder = pictures / "linked"
    linked_folder.mkdir()
    copied(tmp_path / "elsewhere" / "c.png", linked_folder / "c.png")
    link = copied(original, pictures / "link.png")
    index_paths(catalog, encoder, [pictures, tmp_path / "elsewhere"])
    for copy in (other_name, link, linked_folder / "c.png"):  # only now, because the index may leave such names out
        copy.unlink()
    other_name.hardlink_to(original)
    link.symlink_to(original)
    linked_folder.rmdir()
    linked_folder.symlink_to(tmp_path / "elsewhere", target_is_directory=True)
    (group,) = find_duplicates(catalog)
    assert kinds([group]) == [{"a.png": "largest", "b.png": "another name"}]
    assert [copy.frees for copy in group.copies] == [original.stat().st_size, 0]
    assert group.files == 1


def test_a_file_with_names_outside_the_index_frees_nothing(
    catalog: Catalog, encoder: FakeEncoder, tmp_path: Path
) -> None:
    """Deleting the copy that a backup links to would leave its bytes on the disk."""
    original = mosaic(tmp_path / "pictures" / "a.png", 1)
    shutil.copy(original, original.with_name("b.png"))
    (tmp_path / "backup.png").hardlink_to(original.with_name("b.png"))
    index_paths(catalog, encoder, [original.parent])
    (group,) = find_duplicates(catalog)
    assert [(Path(copy.path).name, copy.frees > 0) for copy in group.copies] == [("a.png", True), ("b.png", False)]


@pytest.mark.parametrize("fate", ["deleted", "rewritten", "folder", "pipe", "broken link", "link to the other"])
@pytest.mark.parametrize("threshold", [0.6, 1])
def test_what_is_no_copy_any_more_is_left_out(
    fate: str, threshold: float, catalog: Catalog, encoder: FakeEncoder, tmp_path: Path
) -> None:
    """The catalog is not believed: the disk is asked when duplicates are."""
    original = mosaic(tmp_path / "pictures" / "a.png", 1)
    copy = original.with_name("b.png")
    shutil.copy(original, copy)
    index_paths(catalog, encoder, [original.parent])
    assert names(find_duplicates(catalog, threshold=threshold)) == [["a.png", "b.png"]]
    copy.unlink()
    match fate:
        case "rewritten":
            mosaic(copy, 7)
        case "folder":
            copy.mkdir()
        case "pipe":
            os.mkfifo(copy)
        case "broken link":
            copy.symlink_to("nowhere.png")
        case "link to the other":
            copy.symlink_to(original)
    assert find_duplicates(catalog, threshold=threshold) == []


def test_an_unreadable_file_is_left_out(catalog: Catalog, encoder: FakeEncoder, tmp_path: Path) -> None:
    """One that keeps its size and time but is damaged now is not compared."""
    for size in (40, 48, 64):
        mosaic(tmp_path / "pictures" / f"{size}.png", 1, size=(size, size))
    index_paths(catalog, encoder, [tmp_path / "pictures"])
    damaged = tmp_path / "pictures" / "48.png"
    status = damaged.stat()
    damaged.write_bytes(bytes(status.st_size))
    os.utime(damaged, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert names(find_duplicates(catalog)) == [["64.png", "40.png"]]


def test_groups_are_refreshed(catalog: Catalog, encoder: FakeEncoder, tmp_path: Path) -> None:
    """Files that have gone since the groups were found are left out, and so are groups of which one file is left."""
    for seed in (1, 2):
        for size in (40, 48, 64):
            mosaic(tmp_path / "pictures" / f"{seed} {size}.png", seed, size=(size, size))
    index_paths(catalog, encoder, [tmp_path / "pictures"])
    groups = find_duplicates(catalog)
    assert refreshed(catalog, groups) == groups
    for name in ("1 64.png", "1 48.png", "2 64.png"):
        (tmp_path / "pictures" / name).unlink()
    assert kinds(refreshed(catalog, groups)) == [{"2 48.png": "largest", "2 40.png": "version"}]


def test_turned_and_cropped_versions_are_found(catalog: Catalog, encoder: FakeEncoder, tmp_path: Path) -> None:
    """Through vectors, regions and files; other pictures are not among them."""
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    image = scene(1)
    image.save(pictures / "original.png")
    image.transpose(Image.Transpose.ROTATE_90).save(pictures / "turned.jpg")
    image.transpose(Image.Transpose.FLIP_LEFT_RIGHT).save(pictures / "mirrored.jpg")
    image.crop((40, 0, 320, 240)).save(pictures / "cropped.jpg")
    for seed in range(2, 6):
        scene(seed).save(pictures / f"other {seed}.png")
    index_paths(catalog, encoder, [pictures])
    (group,) = names(find_duplicates(catalog))
    assert set(group) == {"original.png", "turned.jpg", "mirrored.jpg", "cropped.jpg"}
