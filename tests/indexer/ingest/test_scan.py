"""Scanning folders for image files."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from indexer.ingest.scan import Scan, scan
from tests.conftest import Paint
from tests.indexer.ingest.opens import opened
from tests.indexer.ingest.test_roots import mount


def scan_paths(*paths: Path) -> Scan:
    """Scan some paths."""
    return scan([str(path) for path in paths])


def names(result: Scan) -> list[Path]:
    """The paths of the scanned files."""
    return [Path(item.path) for item in result.files]


def test_image_files_below_a_folder_are_found_once_and_sorted(paint: Paint, tmp_path: Path) -> None:
    """Subfolders are scanned, other files are not listed, and a file given twice is listed once."""
    one, two = paint("b/two.png"), paint("one.JPG")
    (tmp_path / "pictures" / "notes.txt").write_text("no picture")
    result = scan_paths(tmp_path / "pictures", one, two)
    assert result.unreadable == []
    assert names(result) == [one, two]
    assert result.files[0].size == one.stat().st_size
    assert result.files[0].mtime_ns == one.stat().st_mtime_ns


def test_hidden_files_and_folders_are_left_out(paint: Paint, tmp_path: Path) -> None:
    """Programs keep thumbnails there."""
    visible = paint("seen.png")
    paint(".hidden.png")
    paint(".thumbnails/small.png")
    assert names(scan_paths(tmp_path / "pictures")) == [visible]


def test_the_time_of_a_sidecar_is_listed(paint: Paint) -> None:
    """NAME.txt is the sidecar of NAME.png."""
    picture = paint("a.png")
    assert scan_paths(picture).files[0].sidecar_mtime_ns is None
    sidecar = picture.with_suffix(".txt")
    sidecar.write_text("a red square")
    assert scan_paths(picture).files[0].sidecar_mtime_ns == sidecar.stat().st_ctime_ns


def test_a_link_to_a_file_keeps_its_own_name(paint: Paint, tmp_path: Path) -> None:
    """The path of the link is listed, not that of its target."""
    link = tmp_path / "link.png"
    link.symlink_to(paint("a.png"))
    assert names(scan_paths(link)) == [link]


def test_a_loop_of_links_ends(paint: Paint, tmp_path: Path) -> None:
    """A folder that contains a link to itself is scanned once."""
    picture = paint("a.png")
    (tmp_path / "pictures" / "again").symlink_to(tmp_path / "pictures")
    assert names(scan_paths(tmp_path / "pictures")) == [picture]


def test_a_pipe_named_like_a_picture_does_not_hang(paint: Paint, tmp_path: Path) -> None:
    """Only regular files are read."""
    picture = paint("a.png")
    os.mkfifo(tmp_path / "pictures" / "pipe.png")
    assert names(scan_paths(tmp_path / "pictures")) == [picture]
    alone = scan_paths(tmp_path / "pictures" / "pipe.png")
    assert (alone.files, alone.unreadable[0].reason) == ([], "not a regular file but a pipe")


def test_a_missing_path_is_absent(tmp_path: Path) -> None:
    """The catalog tells a mistyped path from an unplugged drive."""
    assert scan_paths(tmp_path / "nowhere").absent == [str(tmp_path / "nowhere")]


def test_another_file_system_is_listed_as_a_mount(
    paint: Paint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only its topmost folder is listed."""
    drive = paint("drive/deep/one.png").parent.parent
    paint("two.png")
    mount(monkeypatch, drive)
    assert scan_paths(tmp_path / "pictures").mounts == [str(drive)]


def test_a_folder_is_looked_at_once(paint: Paint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Network drives answer slowly."""
    inner = paint("in/one.png").parent
    seen: list[str] = []
    original = os.stat

    def stat(path: str, **options: bool) -> os.stat_result:
        seen.append(str(path))
        return original(path, **options)

    monkeypatch.setattr(os, "stat", stat)
    scan_paths(tmp_path / "pictures")
    assert seen.count(str(inner)) == 1


def test_scanning_opens_no_file(paint: Paint, tmp_path: Path) -> None:
    """Neither pictures nor sidecars."""
    paint("a/one.png").with_suffix(".txt").write_text("red")
    paint("two.png")
    assert opened(lambda: scan_paths(tmp_path / "pictures")) == []


def test_a_folder_that_cannot_be_read_is_listed_as_unreadable(
    paint: Paint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its pictures must not count as missing."""
    visible = paint("seen.png")
    locked = paint("locked/unseen.png").parent
    original = os.scandir

    def refuse(path: str) -> object:
        if Path(path) == locked:
            raise PermissionError(13, "Permission denied", str(path))
        return original(path)

    monkeypatch.setattr(os, "scandir", refuse)
    result = scan_paths(tmp_path / "pictures")
    assert names(result) == [visible]
    assert result.unreadable == [(str(locked), "cannot be read: Permission denied")]


def test_a_name_that_is_not_utf8_is_listed_as_unreadable(paint: Paint, tmp_path: Path) -> None:
    """The catalog cannot store such a name; other files are listed."""
    visible = paint("seen.png")
    undecodable = os.fsencode(tmp_path / "pictures") + b"/caf\xe9.png"
    Path(os.fsdecode(undecodable)).write_bytes(visible.read_bytes())
    result = scan_paths(tmp_path / "pictures")
    assert names(result) == [visible]
    assert result.unreadable[0].reason == "its name is not UTF-8; rename it"
