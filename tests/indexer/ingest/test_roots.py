"""Folders that come and go: nothing is lost because a drive was unplugged."""

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


def unplug(drive: Path) -> Path:
    """Leave an empty mount point, and return where the files are meanwhile."""
    away = drive.with_name("away")
    drive.rename(away)
    drive.mkdir()
    return away


def plug(drive: Path) -> None:
    """Put the files back, with the times that they had."""
    shutil.rmtree(drive, ignore_errors=True)
    drive.with_name("away").rename(drive)


@pytest.mark.parametrize("mount_point", ["gone", "empty", "with a note"])
@pytest.mark.parametrize("prune", [False, True])
def test_an_unplugged_drive_is_hidden_and_comes_back(
    catalog: Catalog, encoder: FakeEncoder, two: tuple[Path, Path], mount_point: str, *, prune: bool
) -> None:
    """Whether its folder is gone or empty, and even with --prune; back again, no file is opened."""
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


def test_without_a_path_all_roots_are_brought_up_to_date(
    catalog: Catalog, encoder: FakeEncoder, two: tuple[Path, Path], paint: Paint
) -> None:
    """What is new anywhere is found, what is gone below a root that holds others is pruned."""
    home, drive = two
    index_paths(catalog, encoder, [home])
    index_paths(catalog, encoder, [drive])
    assert indexed_roots(catalog) == [str(drive), str(home)]
    paint("home/new.png", "green")
    (drive / "deep" / "0.png").unlink()
    report = index_paths(catalog, encoder, [], prune=True)
    assert counts(report) == {"added": 1, "unchanged": 4, "missing": 1, "removed": 1}
    assert report.away == []


def test_an_index_that_knows_no_folder_says_so(catalog: Catalog, encoder: FakeEncoder) -> None:
    """With what to do."""
    with pytest.raises(SourceError, match="has no folders yet; name one: crosslook index FOLDER"):
        index_paths(catalog, encoder, [])


def test_paths_that_lead_nowhere_are_named(catalog: Catalog, encoder: FakeEncoder, tmp_path: Path) -> None:
    """A slip of the pen is told, an empty folder says what would count, and neither becomes a root."""
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


def test_a_root_below_another_is_covered_by_it(
    catalog: Catalog, encoder: FakeEncoder, two: tuple[Path, Path], tmp_path: Path
) -> None:
    """In whichever order they are given; but not while it is away, for then it must not be judged by the other."""
    home, drive = two
    index_paths(catalog, encoder, [home, drive])
    unplug(drive)
    report = index_paths(catalog, encoder, [tmp_path / "pictures"], prune=True)
    assert indexed_roots(catalog) == [str(tmp_path / "pictures"), str(drive)]
    assert report.away == [str(drive)]
    plug(drive)
    index_paths(catalog, encoder, [tmp_path / "pictures", home])
    assert indexed_roots(catalog) == [str(tmp_path / "pictures")]
    assert catalog_stats(catalog).missing == 3  # where the drive's files were meanwhile


def test_a_drive_below_a_root_is_a_root_of_its_own(
    catalog: Catalog, encoder: FakeEncoder, two: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was mounted when it was indexed; unplugged, its pictures are not pruned with its neighbours'."""
    home, drive = two
    monkeypatch.setattr("indexer.ingest.scan._device", lambda path: 2 if Path(path).is_relative_to(drive) else 1)
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
    """A subfolder of a root that still holds pictures is gone for good, even when it is named itself first."""
    home, _ = two
    index_paths(catalog, encoder, [tmp_path / "pictures"])
    shutil.rmtree(home)
    assert counts(index_paths(catalog, encoder, [home], prune=True)) == {"missing": 2}
    report = index_paths(catalog, encoder, [tmp_path / "pictures"], prune=True)
    assert counts(report) == {"unchanged": 3, "missing": 2, "removed": 2}


def test_a_drive_that_goes_in_the_middle_of_a_run_loses_nothing(
    catalog: Catalog, encoder: FakeEncoder, two: tuple[Path, Path], paint: Paint
) -> None:
    """A new picture is read while the drive is pulled: what was listed before is not taken for the whole."""
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
    """Permission given later changes neither size nor time."""
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
    """Its neighbours stay out; deleted, it is pruned where its folder still holds something, else only hidden."""
    home, drive = two
    index_paths(catalog, encoder, [home / "0.png", drive / "deep" / "1.png"])
    assert catalog_stats(catalog).images == 2
    (home / "0.png").unlink()
    unplug(drive)
    report = index_paths(catalog, encoder, [], prune=True)
    assert counts(report) == {"missing": 2, "removed": 1}
    assert indexed_roots(catalog) == report.away == [str(drive / "deep" / "1.png")]


def test_what_a_walk_does_not_come_by_is_not_covered(tmp_path: Path, paint: Paint) -> None:
    """Hidden folders, links to folders, and files of other names keep their own roots."""
    root = tmp_path / "pictures"
    plain, hidden = paint("a/one.png"), paint(".hidden/two.png")
    (root / "link").symlink_to(plain.parent)
    odd = root / "a" / "picture.dat"
    odd.write_bytes(plain.read_bytes())
    paths = (plain, plain.parent, hidden, hidden.parent, root / "link", odd, root)
    covered = [path for path in paths if covering(str(path), {str(root)})]
    assert covered == [plain, plain.parent]


def test_hidden_roots_are_not_missing_when_their_neighbours_are_looked_at(
    catalog: Catalog, encoder: FakeEncoder, paint: Paint, tmp_path: Path
) -> None:
    """A walk that does not come by says nothing."""
    secret = paint(".secret/one.png", "red").parent
    paint("open.png", "blue")
    index_paths(catalog, encoder, [tmp_path / "pictures", secret])
    assert counts(index_paths(catalog, encoder, [tmp_path / "pictures"], prune=True)) == {"unchanged": 1}
    assert counts(index_paths(catalog, encoder, [], prune=True)) == {"unchanged": 2}


def test_a_folder_is_forgotten_when_it_is_named(catalog: Catalog, encoder: FakeEncoder, two: tuple[Path, Path]) -> None:
    """A drive that is gone for good leaves nothing behind; the files of a folder stay as they are."""
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
    """Which is told; not where it was deleted before."""
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
    """And not forgotten, for what it led to may be on a drive that comes back."""
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


def test_a_moved_file_and_a_copy_are_told_apart_wherever_they_lie(
    catalog: Catalog, encoder: FakeEncoder, two: tuple[Path, Path]
) -> None:
    """A copy below another root is a duplicate though that root is not looked at; a move is an update."""
    home, drive = two
    index_paths(catalog, encoder, [home, drive])
    shutil.copy(home / "0.png", drive / "copy.png")
    (home / "1.png").rename(drive / "moved.png")
    report = index_paths(catalog, encoder, [drive])
    assert counts(report) == {"updated": 1, "unchanged": 3, "duplicates": 1}
    assert encoder.images_encoded == 5


def test_an_unchanged_collection_is_not_opened(catalog: Catalog, encoder: FakeEncoder, folder: Path) -> None:
    """Neither pictures nor sidecars, old or new failures aside; and the model is asked for nothing but its name."""
    (folder / "red.txt").write_text("a red square\n")
    (folder / "bad.png").write_text("no picture")
    index_paths(catalog, encoder, [folder])

    class Named:
        name, fingerprint = encoder.name, encoder.fingerprint

    named = cast(FakeEncoder, Named())
    assert opened(lambda: index_paths(catalog, named, [folder])) == []
    assert opened((folder / "red.png").read_bytes) == [str(folder / "red.png")]
