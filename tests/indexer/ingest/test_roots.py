"""Roots that come and go: an unplugged drive loses nothing."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import cast

import pytest

from indexer import Catalog, forget, index_paths
from indexer.catalog.contents import catalog_stats, indexed_roots, recorded_failures
from indexer.catalog.images import hidden_image_ids
from indexer.errors import SourceError
from indexer.ingest import scan
from indexer.ingest.roots import covering
from tests.conftest import Paint
from tests.fakes import FakeEncoder
from tests.indexer.ingest.opens import opened
from tests.indexer.ingest.test_pipeline import counts


@pytest.fixture
def two(paint: Paint, tmp_path: Path) -> tuple[Path, Path]:
    """A folder with two pictures, and a drive with three."""
    for i in range(2):
        paint(f"home/{i}.png", "red", seed=i)
    for i in range(3):
        paint(f"drive/deep/{i}.png", "blue", seed=i)
    return tmp_path / "pictures" / "home", tmp_path / "pictures" / "drive"


def mount(monkeypatch: pytest.MonkeyPatch, drive: Path) -> None:
    """Pretend that a folder is on another file system."""
    identity = scan._identity

    def identity_with_drive(folder: str) -> tuple[int, int] | None:
        device_and_inode = identity(folder)
        is_on_drive = Path(folder).is_relative_to(drive)
        return device_and_inode and (-1 if is_on_drive else device_and_inode[0], device_and_inode[1])

    monkeypatch.setattr(scan, "_identity", identity_with_drive)


def unplug(drive: Path) -> Path:
    """Leave an empty mount point; return the folder that now holds the files."""
    away = drive.with_name("away")
    drive.rename(away)
    drive.mkdir()
    return away


def plug(drive: Path) -> None:
    """Put the files back, with their times."""
    shutil.rmtree(drive, ignore_errors=True)
    drive.with_name("away").rename(drive)


@pytest.mark.parametrize("mount_point", ["gone", "empty", "with a note"])
@pytest.mark.parametrize("prune", [False, True])
def test_an_unplugged_drive_is_hidden_and_comes_back(
    catalog: Catalog, encoder: FakeEncoder, two: tuple[Path, Path], mount_point: str, *, prune: bool
) -> None:
    """Whether its mount point is gone or empty, even with --prune; when it is back, no file is opened."""
    home, drive = two
    index_paths(catalog, encoder, [home, drive])
    unplug(drive)
    if mount_point == "gone":
        drive.rmdir()
    elif mount_point == "with a note":
        (drive / "NOT_MOUNTED.txt").write_text("plug it in")
    for _ in range(2):
        report = index_paths(catalog, encoder, [home, drive], prune=prune)
        assert counts(report) == {"unchanged": 2, "missing": 3}
        assert report.away == [str(drive)]
        assert catalog_stats(catalog).images - len(hidden_image_ids(catalog)) == 2
    plug(drive)
    assert opened(lambda: index_paths(catalog, encoder, [], prune=prune)) == []
    assert catalog_stats(catalog).images - len(hidden_image_ids(catalog)) == 5
    assert encoder.images_encoded == 5


def test_without_a_path_all_roots_are_updated(
    catalog: Catalog, encoder: FakeEncoder, two: tuple[Path, Path], paint: Paint
) -> None:
    """New files are added, and files missing below a root that holds others are pruned."""
    home, drive = two
    index_paths(catalog, encoder, [home])
    index_paths(catalog, encoder, [drive])
    assert indexed_roots(catalog) == [str(drive), str(home)]
    paint("home/new.png", "green")
    (drive / "deep" / "0.png").unlink()
    report = index_paths(catalog, encoder, [], prune=True)
    assert counts(report) == {"added": 1, "unchanged": 4, "missing": 1, "removed": 1}
    assert report.away == []


def test_an_index_without_roots_is_an_error(catalog: Catalog, encoder: FakeEncoder) -> None:
    """The message says what to do."""
    with pytest.raises(SourceError, match="has no folders yet; name one: crosslook index FOLDER"):
        index_paths(catalog, encoder, [])


def test_unusable_paths_are_rejected(catalog: Catalog, encoder: FakeEncoder, tmp_path: Path) -> None:
    """A missing path, a folder without images and a pipe each have a message, and none becomes a root."""
    (tmp_path / "empty").mkdir()
    os.mkfifo(tmp_path / "pipe.png")
    cases = {
        "nowhere": r"no such file or folder: .*nowhere",
        "empty": r"no image files in .*empty; crosslook reads .*\.jpg",
        "pipe.png": "neither a folder nor a regular file",
    }
    for name, words in cases.items():
        with pytest.raises(SourceError, match=words):
            index_paths(catalog, encoder, [tmp_path / name])
    assert indexed_roots(catalog) == []


def test_a_root_below_another_one_is_removed(
    catalog: Catalog, encoder: FakeEncoder, two: tuple[Path, Path], tmp_path: Path
) -> None:
    """In either order, except while it is away, because then it must not be pruned with the other."""
    home, drive = two
    index_paths(catalog, encoder, [home, drive])
    unplug(drive)
    report = index_paths(catalog, encoder, [tmp_path / "pictures"], prune=True)
    assert indexed_roots(catalog) == [str(tmp_path / "pictures"), str(drive)]
    assert report.away == [str(drive)]
    plug(drive)
    index_paths(catalog, encoder, [tmp_path / "pictures", home])
    assert indexed_roots(catalog) == [str(tmp_path / "pictures")]
    assert catalog_stats(catalog).missing == 3  # the files at their temporary path


def test_a_drive_below_a_root_is_a_root_of_its_own(
    catalog: Catalog, encoder: FakeEncoder, two: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once unplugged, its pictures are not pruned with those of the root."""
    home, drive = two
    mount(monkeypatch, drive)
    index_paths(catalog, encoder, [tmp_path / "pictures"])
    assert indexed_roots(catalog) == [str(tmp_path / "pictures"), str(drive)]
    (home / "0.png").unlink()
    unplug(drive).rename(tmp_path / "elsewhere")
    drive.rmdir()
    report = index_paths(catalog, encoder, [], prune=True)
    assert counts(report) == {"unchanged": 1, "missing": 4, "removed": 1}
    assert report.away == [str(drive)]
    assert catalog_stats(catalog).images == 4


def test_a_folder_that_was_deleted_is_pruned(
    catalog: Catalog, encoder: FakeEncoder, two: tuple[Path, Path], tmp_path: Path
) -> None:
    """Its root still holds pictures, so it is gone for good, even if it was passed by itself first."""
    home, _ = two
    index_paths(catalog, encoder, [tmp_path / "pictures"])
    shutil.rmtree(home)
    assert counts(index_paths(catalog, encoder, [home], prune=True)) == {"missing": 2}
    report = index_paths(catalog, encoder, [tmp_path / "pictures"], prune=True)
    assert counts(report) == {"unchanged": 3, "missing": 2, "removed": 2}


def test_a_drive_unplugged_during_a_run_loses_nothing(
    catalog: Catalog, encoder: FakeEncoder, two: tuple[Path, Path], paint: Paint
) -> None:
    """The scan of a drive that was complete before is not trusted for --prune."""
    home, drive = two
    index_paths(catalog, encoder, [home, drive])
    (drive / "deep" / "0.png").unlink()
    paint("drive/new.png", "green")

    def pull(phase: str, done: int, _total: int) -> None:
        if phase == "images" and done == 0:
            unplug(drive)

    report = index_paths(catalog, encoder, [], prune=True, progress=pull)
    assert (report.removed, report.away) == (0, [str(drive)])
    assert [failure.reason for failure in report.failed] == ["cannot be read: No such file or directory"]
    plug(drive)
    assert counts(index_paths(catalog, encoder, [])) == {"added": 1, "unchanged": 4, "missing": 1}


def test_a_file_that_could_not_be_read_is_tried_again(
    catalog: Catalog, encoder: FakeEncoder, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Granting permission changes neither its size nor its time."""
    original = os.open

    def refuse(path: str, flags: int, mode: int = 0o777) -> int:
        if str(path).endswith("red.png"):
            raise PermissionError(13, "Permission denied", path)
        return original(path, flags, mode)

    with monkeypatch.context() as locked:
        locked.setattr("indexer.pictures.safe_read.os.open", refuse)
        assert counts(index_paths(catalog, encoder, [folder])) == {"added": 4, "failed": 1}
    assert counts(index_paths(catalog, encoder, [folder])) == {"added": 1, "unchanged": 4}
    assert recorded_failures(catalog) == []


def test_a_single_file_is_a_root_of_its_own(catalog: Catalog, encoder: FakeEncoder, two: tuple[Path, Path]) -> None:
    """Its neighbours are not indexed; once deleted, it is pruned only if its folder still holds something."""
    home, drive = two
    index_paths(catalog, encoder, [home / "0.png", drive / "deep" / "1.png"])
    assert catalog_stats(catalog).images == 2
    (home / "0.png").unlink()
    unplug(drive)
    report = index_paths(catalog, encoder, [], prune=True)
    assert counts(report) == {"missing": 2, "removed": 1}
    assert indexed_roots(catalog) == report.away == [str(drive / "deep" / "1.png")]


def test_a_scan_does_not_cover_what_it_skips(tmp_path: Path, paint: Paint) -> None:
    """Hidden folders, links to folders, and files without an image suffix stay roots."""
    root = tmp_path / "pictures"
    plain, hidden = paint("a/one.png"), paint(".hidden/two.png")
    (root / "link").symlink_to(plain.parent)
    odd = root / "a" / "picture.dat"
    odd.write_bytes(plain.read_bytes())
    paths = (plain, plain.parent, hidden, hidden.parent, root / "link", odd, root)
    covered = [path for path in paths if covering(str(path), {str(root)})]
    assert covered == [plain, plain.parent]


def test_hidden_roots_are_not_missing_when_their_parent_is_scanned(
    catalog: Catalog, encoder: FakeEncoder, paint: Paint, tmp_path: Path
) -> None:
    """A scan of the parent does not enter them."""
    secret = paint(".secret/one.png", "red").parent
    paint("open.png", "blue")
    index_paths(catalog, encoder, [tmp_path / "pictures", secret])
    assert counts(index_paths(catalog, encoder, [tmp_path / "pictures"], prune=True)) == {"unchanged": 1}
    assert counts(index_paths(catalog, encoder, [], prune=True)) == {"unchanged": 2}


def test_forget_removes_a_folder_from_the_index(catalog: Catalog, encoder: FakeEncoder, two: tuple[Path, Path]) -> None:
    """Nothing of an unplugged drive remains in the index; files are not touched."""
    home, drive = two
    shutil.copy(home / "0.png", drive / "copy.png")
    index_paths(catalog, encoder, [home, drive])
    unplug(drive)
    forgotten = forget(catalog, drive)
    assert (forgotten.files, forgotten.images) == (4, 3)
    assert indexed_roots(catalog) == [str(home)]
    assert catalog_stats(catalog).images == 2
    assert counts(index_paths(catalog, encoder, [])) == {"unchanged": 2}
    with pytest.raises(SourceError, match="has nothing at or below"):
        forget(catalog, drive)


def test_what_is_forgotten_below_a_root_is_found_again(
    catalog: Catalog, encoder: FakeEncoder, paint: Paint, tmp_path: Path
) -> None:
    """`forget` returns the root that will add it again, if the folder still exists."""
    inner = paint("inner/one.png", "red").parent
    paint("two.png", "blue")
    index_paths(catalog, encoder, [tmp_path / "pictures"])
    assert forget(catalog, inner).below == str(tmp_path / "pictures")
    assert counts(index_paths(catalog, encoder, [])) == {"added": 1, "unchanged": 1}
    shutil.rmtree(inner)
    assert forget(catalog, inner).below is None


@pytest.mark.parametrize("prune", [False, True])
def test_a_link_whose_target_is_gone_is_hidden(
    catalog: Catalog, encoder: FakeEncoder, paint: Paint, tmp_path: Path, *, prune: bool
) -> None:
    """It is not pruned, because the target may be on an unplugged drive."""
    paint("one.png", "red")
    target = tmp_path / "elsewhere.png"
    paint("two.png", "blue").rename(target)
    (tmp_path / "pictures" / "link.png").symlink_to(target)
    index_paths(catalog, encoder, [tmp_path / "pictures"])
    content = target.read_bytes()
    target.unlink()
    assert counts(index_paths(catalog, encoder, [], prune=prune)) == {"unchanged": 1, "missing": 1, "failed": 1}
    assert len(hidden_image_ids(catalog)) == 1
    target.write_bytes(content)
    index_paths(catalog, encoder, [], prune=prune)
    assert len(hidden_image_ids(catalog)) == 0


def test_a_moved_file_and_a_copy_are_told_apart_across_roots(
    catalog: Catalog, encoder: FakeEncoder, two: tuple[Path, Path]
) -> None:
    """A copy is a duplicate even if the original's root is not scanned; a move is an update."""
    home, drive = two
    index_paths(catalog, encoder, [home, drive])
    shutil.copy(home / "0.png", drive / "copy.png")
    (home / "1.png").rename(drive / "moved.png")
    report = index_paths(catalog, encoder, [drive])
    assert counts(report) == {"updated": 1, "unchanged": 3, "duplicates": 1}
    assert encoder.images_encoded == 5


def test_an_unchanged_collection_is_not_opened(catalog: Catalog, encoder: FakeEncoder, folder: Path) -> None:
    """Neither pictures, sidecars nor known failures; of the model, only name and fingerprint are used."""
    (folder / "red.txt").write_text("a red square\n")
    (folder / "bad.png").write_text("no picture")
    index_paths(catalog, encoder, [folder])

    class Named:
        name, fingerprint = encoder.name, encoder.fingerprint

    named = cast(FakeEncoder, Named())
    assert opened(lambda: index_paths(catalog, named, [folder])) == []
    assert opened((folder / "red.png").read_bytes) == [str(folder / "red.png")]
