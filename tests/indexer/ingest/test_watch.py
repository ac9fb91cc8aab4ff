"""Watching folders with the operating system's events: every `next` waits for the run that a change triggers."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from indexer import Catalog, IndexReport, follow, index_paths
from indexer.catalog.contents import catalog_stats
from indexer.catalog.exclusions import found_roots
from indexer.catalog.images import hidden_image_ids
from indexer.errors import SourceError
from indexer.ingest import watch
from tests.conftest import Paint
from tests.fakes import FakeEncoder
from tests.indexer.ingest.opens import opened
from tests.indexer.ingest.test_pipeline import counts
from tests.indexer.ingest.test_roots import plug, unplug


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Shorten ticks and pauses to a few hundredths of a second."""
    monkeypatch.setattr("indexer.ingest.watch.TICK", 0.05)
    monkeypatch.setattr("indexer.ingest.watch.QUIET", 0.05)


@pytest.fixture
def stop() -> Iterator[threading.Event]:
    """An event that is set after a minute, so that a missing report fails a test instead of blocking it."""
    event = threading.Event()
    timer = threading.Timer(60, event.set)
    timer.start()
    yield event
    timer.cancel()


def until(reports: Iterator[IndexReport], **expected: int) -> None:
    """Consume reports until their counts add up to the expected ones, because a burst may be split."""
    total: dict[str, int] = {}
    while any(total.get(name, 0) < count for name, count in expected.items()):
        for name, count in counts(next(reports)).items():
            total[name] = total.get(name, 0) + count
    assert {name: total[name] for name in expected} == expected


def test_changes_are_followed(
    catalog: Catalog, encoder: FakeEncoder, folder: Path, paint: Paint, stop: threading.Event
) -> None:
    """Files that are added, renamed, captioned or deleted; only these are opened. `stop` ends it."""
    reports = follow(catalog, encoder, [folder], stop=stop)
    assert counts(next(reports)) == {"added": 5}
    paint("new/yellow.png", "yellow")
    opened_files = opened(lambda: until(reports, added=1))
    assert set(opened_files) == {str(folder / "new" / "yellow.png")}
    (folder / "red.png").rename(folder / "crimson.png")
    until(reports, updated=1, missing=1)
    (folder / "crimson.txt").write_text("a red wall\n")
    until(reports, captions_added=1)
    shutil.rmtree(folder / "new")
    until(reports, missing=1)
    assert catalog_stats(catalog).images - len(hidden_image_ids(catalog)) == 5
    assert encoder.images_encoded == 6
    stop.set()
    assert list(reports) == []


def test_all_files_of_a_folder_moved_in_are_indexed(
    catalog: Catalog, encoder: FakeEncoder, folder: Path, paint: Paint, tmp_path: Path, stop: threading.Event
) -> None:
    """One event, several files; hidden folders and the index itself are ignored."""
    reports = follow(catalog, encoder, [tmp_path], stop=stop)  # the index is below the watched folder
    assert counts(next(reports)) == {"added": 5}
    hidden = paint(".staging/a/1.png", seed=1).parent.parent
    paint(".staging/b/2.png", seed=2)
    hidden.rename(folder / "ready")
    until(reports, added=2)
    assert encoder.images_encoded == 7


def test_drives_come_and_go(
    catalog: Catalog, encoder: FakeEncoder, paint: Paint, tmp_path: Path, stop: threading.Event
) -> None:
    """An unplugged root is hidden even with --prune; plugged in again, it is visible and watched."""
    paint("home/one.png", "red")
    drive = paint("drive/two.png", "blue").parent
    reports = follow(catalog, encoder, [tmp_path / "pictures" / "home", drive], prune=True, stop=stop)
    until(reports, added=2)
    unplug(drive)
    until(reports, missing=1)
    assert catalog_stats(catalog).images - len(hidden_image_ids(catalog)) == 1
    plug(drive)
    until(reports, unchanged=1)
    assert catalog_stats(catalog).images - len(hidden_image_ids(catalog)) == 2
    assert encoder.images_encoded == 2
    paint("drive/three.png", "green")
    until(reports, added=1)


@pytest.mark.parametrize("moment", ["between two watches", "in the last scan of a watch", "a watch fails"])
def test_changes_beside_a_drive_that_comes_and_goes_are_not_lost(
    catalog: Catalog,
    encoder: FakeEncoder,
    paint: Paint,
    tmp_path: Path,
    stop: threading.Event,
    monkeypatch: pytest.MonkeyPatch,
    moment: str,
) -> None:
    """A file added to one root between the last read of the old watch and the opening of the new one is indexed."""
    paint("home/one.png", "red")
    drive = paint("drive/two.png", "blue").parent
    reports = follow(catalog, encoder, [tmp_path / "pictures" / "home", drive], stop=stop)
    until(reports, added=2)
    bursts, identity = watch._bursts, watch._identity
    left = [True]

    def copy_once() -> bool:
        if left and unplugged.is_dir():
            left.clear()
            paint("home/three.png", "green")
            return True
        return False

    def bursts_after_a_copy(folders: list[str], stop: threading.Event) -> Any:
        if copy_once() and moment == "a watch fails":
            folders = [*folders, str(tmp_path / "nowhere")]
        return bursts(folders, stop)

    def identity_after_a_copy(root: str) -> Any:
        copy_once()
        return identity(root)

    if moment == "in the last scan of a watch":
        monkeypatch.setattr(watch, "_identity", identity_after_a_copy)
    else:
        monkeypatch.setattr(watch, "_bursts", bursts_after_a_copy)
    unplugged = drive.with_name("away")
    unplug(drive)
    until(reports, added=1, missing=1)
    assert not left


def test_an_empty_folder_can_be_watched(
    catalog: Catalog, encoder: FakeEncoder, paint: Paint, tmp_path: Path, stop: threading.Event
) -> None:
    """A missing one is an error."""
    with pytest.raises(SourceError, match="no such file or folder"):
        next(follow(catalog, encoder, [tmp_path / "nowhere"], stop=stop))
    (tmp_path / "pictures").mkdir()
    reports = follow(catalog, encoder, [tmp_path / "pictures"], stop=stop)
    assert counts(next(reports)) == {}
    paint("one.png")
    until(reports, added=1)


def test_a_single_file_is_followed(catalog: Catalog, encoder: FakeEncoder, paint: Paint, stop: threading.Event) -> None:
    """Editors replace a file by renaming another one."""
    picture = paint("one.png", "red")
    reports = follow(catalog, encoder, [picture], stop=stop)
    assert counts(next(reports)) == {"added": 1}
    paint("other.png", "blue").replace(picture)
    until(reports, updated=1)
    assert catalog_stats(catalog).images == 1


def test_rules_are_followed(
    catalog: Catalog, encoder: FakeEncoder, folder: Path, paint: Paint, stop: threading.Event
) -> None:
    """Ignored folders cause no run; an ignore file or `.nomedia` that appears, changes or goes does."""
    reports = follow(catalog, encoder, [folder], exclude=["private/"], stop=stop)
    until(reports, added=5)
    paint("private/secret.png", seed=1)
    paint("@eaDir/thumb.png", seed=2)
    paint("new/kept.png", seed=3)
    until(reports, added=1)
    assert encoder.images_encoded == 6
    (folder / ".crosslookignore").write_text("red.png\n")
    until(reports, excluded=1)
    (folder / "new" / ".nomedia").touch()
    until(reports, excluded=1)
    assert catalog_stats(catalog).images - len(hidden_image_ids(catalog)) == 4
    (folder / ".crosslookignore").unlink()
    (folder / "new" / ".nomedia").unlink()
    until(reports, unchanged=6)
    assert catalog_stats(catalog).images - len(hidden_image_ids(catalog)) == 6
    assert encoder.images_encoded == 6


def test_linked_folders_are_watched(
    catalog: Catalog, encoder: FakeEncoder, folder: Path, paint: Paint, tmp_path: Path, stop: threading.Event
) -> None:
    """Also one that is linked later, or whose target comes back."""
    (tmp_path / "elsewhere").mkdir()
    (folder / "link").symlink_to(tmp_path / "elsewhere")
    reports = follow(catalog, encoder, [folder], stop=stop)
    until(reports, added=5)
    paint("../elsewhere/yellow.png", "yellow")
    until(reports, added=1)
    paint("../later/other.png", seed=5)
    (folder / "later").symlink_to(tmp_path / "later")
    until(reports, added=1)
    (tmp_path / "later").rename(tmp_path / "unplugged")
    until(reports, missing=1)
    (tmp_path / "unplugged").rename(tmp_path / "later")
    until(reports, unchanged=1)
    assert catalog_stats(catalog).images - len(hidden_image_ids(catalog)) == 7


@pytest.mark.parametrize("name", ["red.png.xmp", "red.XMP"])
def test_a_changed_xmp_sidecar_causes_a_run_for_its_picture(
    catalog: Catalog, encoder: FakeEncoder, folder: Path, stop: threading.Event, name: str
) -> None:
    """And for no other."""
    reports = follow(catalog, encoder, [folder], stop=stop)
    until(reports, added=5)
    (folder / name).write_text("<x:xmpmeta/>")
    assert counts(next(reports)) == {"unchanged": 1}


def test_patterns_belong_to_the_folders_that_were_given(
    catalog: Catalog, encoder: FakeEncoder, folder: Path, paint: Paint, tmp_path: Path, stop: threading.Event
) -> None:
    """Those that walks found obey them, but have none of their own, and are no given folders."""
    paint("../elsewhere/yellow.png", "yellow")
    paint("../elsewhere/yellow.jpg", "yellow")
    (folder / "link").symlink_to(tmp_path / "elsewhere")
    index_paths(catalog, encoder, [folder])
    reports = follow(catalog, encoder, [folder], exclude=["*.jpg"], stop=stop)
    until(reports, unchanged=6, excluded=1)
    assert catalog_stats(catalog).exclusions == {str(folder): ("*.jpg",)}
    (tmp_path / "elsewhere").rename(tmp_path / "unplugged")
    until(reports, missing=2)
    (tmp_path / "unplugged").rename(tmp_path / "elsewhere")
    until(reports, unchanged=1)
    assert found_roots(catalog) == {str(folder / "link")}
    stop.set()
    assert list(reports) == []
    reports = follow(catalog, encoder, [folder / "link"], stop=threading.Event())
    until(reports, unchanged=1)
    assert found_roots(catalog) == set()
