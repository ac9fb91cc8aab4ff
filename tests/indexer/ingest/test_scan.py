"""Which files there are."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from indexer.ingest.scan import Scan, scan
from tests.conftest import Paint
from tests.indexer.ingest.opens import opened


def look(*paths: Path) -> Scan:
    """Scan some paths."""
    return scan([str(path) for path in paths])


def names(found: Scan) -> list[Path]:
    """The paths of the files found."""
    return [Path(item.path) for item in found.files]


def test_image_files_below_a_folder_are_found_once_and_sorted(paint: Paint, tmp_path: Path) -> None:
    """Subfolders count, other files do not, and a file given twice is one."""
    one, two = paint("b/two.png"), paint("one.JPG")
    (tmp_path / "pictures" / "notes.txt").write_text("no picture")
    found = look(tmp_path / "pictures", one, two)
    assert found.unreadable == []
    assert names(found) == [one, two]
    assert found.files[0].size == one.stat().st_size
    assert found.files[0].mtime_ns == one.stat().st_mtime_ns


def test_hidden_files_and_folders_are_left_out(paint: Paint, tmp_path: Path) -> None:
    """Thumbnails that programs hide are not the owner's pictures."""
    seen = paint("seen.png")
    paint(".hidden.png")
    paint(".thumbnails/small.png")
    assert names(look(tmp_path / "pictures")) == [seen]


def test_sidecars_are_noticed_with_their_time(paint: Paint) -> None:
    """NAME.txt beside NAME.png belongs to it."""
    picture = paint("a.png")
    assert look(picture).files[0].sidecar_mtime_ns is None
    sidecar = picture.with_suffix(".txt")
    sidecar.write_text("a red square")
    assert look(picture).files[0].sidecar_mtime_ns == sidecar.stat().st_mtime_ns


def test_a_link_to_a_file_keeps_its_own_name(paint: Paint, tmp_path: Path) -> None:
    """A linked picture is where its owner put the link."""
    link = tmp_path / "link.png"
    link.symlink_to(paint("a.png"))
    assert names(look(link)) == [link]


def test_a_loop_of_links_ends(paint: Paint, tmp_path: Path) -> None:
    """A folder that contains itself by a link is walked once."""
    picture = paint("a.png")
    (tmp_path / "pictures" / "again").symlink_to(tmp_path / "pictures")
    assert names(look(tmp_path / "pictures")) == [picture]


def test_a_pipe_named_like_a_picture_does_not_hang(paint: Paint, tmp_path: Path) -> None:
    """Only regular files are read."""
    picture = paint("a.png")
    os.mkfifo(tmp_path / "pictures" / "pipe.png")
    assert names(look(tmp_path / "pictures")) == [picture]
    assert look(tmp_path / "pictures" / "pipe.png") == Scan()


def test_a_path_that_is_not_there_is_absent(tmp_path: Path) -> None:
    """Whether that is a slip of the pen or an unplugged drive, the catalog knows."""
    assert look(tmp_path / "nowhere").absent == [str(tmp_path / "nowhere")]


def test_another_file_system_is_noticed(paint: Paint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A drive mounted below a folder is told once, where it begins."""
    drive = paint("drive/deep/one.png").parent.parent
    paint("two.png")
    monkeypatch.setattr("indexer.ingest.scan._device", lambda path: 2 if Path(path).is_relative_to(drive) else 1)
    assert look(tmp_path / "pictures").mounts == [str(drive)]


def test_scanning_opens_no_file(paint: Paint, tmp_path: Path) -> None:
    """Neither pictures nor sidecars; the interpreter's own audit says so."""
    paint("a/one.png").with_suffix(".txt").write_text("red")
    paint("two.png")
    assert opened(lambda: look(tmp_path / "pictures")) == []


def test_a_folder_that_cannot_be_read_is_told(paint: Paint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its pictures must not count as gone because permission was refused."""
    seen = paint("seen.png")
    locked = paint("locked/unseen.png").parent
    original = os.scandir

    def refuse(path: str) -> object:
        if Path(path) == locked:
            raise PermissionError(13, "Permission denied", str(path))
        return original(path)

    monkeypatch.setattr(os, "scandir", refuse)
    found = look(tmp_path / "pictures")
    assert names(found) == [seen]
    assert found.unreadable == [(str(locked), "cannot be read: Permission denied")]


def test_a_name_that_is_not_utf8_is_told(paint: Paint, tmp_path: Path) -> None:
    """Such a name cannot be kept in the catalog; the file is named, the others are found."""
    seen = paint("seen.png")
    strange = os.fsencode(tmp_path / "pictures") + b"/caf\xe9.png"
    Path(os.fsdecode(strange)).write_bytes(seen.read_bytes())
    found = look(tmp_path / "pictures")
    assert names(found) == [seen]
    assert found.unreadable[0].reason == "its name is not UTF-8; rename it"
