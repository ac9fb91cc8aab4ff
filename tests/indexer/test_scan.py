"""Which files there are."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from indexer import SourceError
from indexer.scan import scan
from tests.conftest import Paint


def test_image_files_below_a_folder_are_found_once_and_sorted(paint: Paint, tmp_path: Path) -> None:
    """Subfolders count, other files do not, and a file given twice is one."""
    one, two = paint("b/two.png"), paint("one.JPG")
    (tmp_path / "pictures" / "notes.txt").write_text("no picture")
    found, unreadable = scan([tmp_path / "pictures", one, two])
    assert unreadable == []
    assert [item.path for item in found] == [one, two]
    assert found[0].size == one.stat().st_size
    assert found[0].mtime_ns == one.stat().st_mtime_ns


def test_hidden_files_and_folders_are_left_out(paint: Paint, tmp_path: Path) -> None:
    """Thumbnails that programs hide are not the owner's pictures."""
    seen = paint("seen.png")
    paint(".hidden.png")
    paint(".thumbnails/small.png")
    assert [item.path for item in scan([tmp_path / "pictures"])[0]] == [seen]


def test_sidecars_are_noticed_with_their_time(paint: Paint) -> None:
    """NAME.txt beside NAME.png belongs to it."""
    picture = paint("a.png")
    assert scan([picture])[0][0].sidecar_mtime_ns is None
    sidecar = picture.with_suffix(".txt")
    sidecar.write_text("a red square")
    assert scan([picture])[0][0].sidecar_mtime_ns == sidecar.stat().st_mtime_ns


def test_a_link_to_a_file_keeps_its_own_name(paint: Paint, tmp_path: Path) -> None:
    """A linked picture is where its owner put the link."""
    link = tmp_path / "link.png"
    link.symlink_to(paint("a.png"))
    assert [item.path for item in scan([link])[0]] == [link]


def test_a_loop_of_links_ends(paint: Paint, tmp_path: Path) -> None:
    """A folder that contains itself by a link is walked once."""
    picture = paint("a.png")
    (tmp_path / "pictures" / "again").symlink_to(tmp_path / "pictures")
    assert [item.path for item in scan([tmp_path / "pictures"])[0]] == [picture]


def test_a_pipe_named_like_a_picture_does_not_hang(paint: Paint, tmp_path: Path) -> None:
    """Only regular files are read."""
    picture = paint("a.png")
    os.mkfifo(tmp_path / "pictures" / "pipe.png")
    assert [item.path for item in scan([tmp_path / "pictures"])[0]] == [picture]
    with pytest.raises(SourceError, match="neither a folder nor a regular file"):
        scan([tmp_path / "pictures" / "pipe.png"])


def test_a_path_that_is_not_there_is_named(tmp_path: Path) -> None:
    """A slip of the pen is told, not passed over."""
    with pytest.raises(SourceError, match=r"no such file or folder: .*nowhere"):
        scan([tmp_path / "nowhere"])


def test_a_folder_without_pictures_is_named_with_what_would_count(tmp_path: Path) -> None:
    """An empty folder says which formats are read."""
    with pytest.raises(SourceError, match=r"no image files in .*; crosslook reads .*\.jpg"):
        scan([tmp_path])


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
    found, unreadable = scan([tmp_path / "pictures"])
    assert [item.path for item in found] == [seen]
    assert [(item.path, item.reason) for item in unreadable] == [(locked, "cannot be read: Permission denied")]


def test_a_name_that_is_not_utf8_is_told(paint: Paint, tmp_path: Path) -> None:
    """Such a name cannot be kept in the catalog; the file is named, the others are found."""
    seen = paint("seen.png")
    strange = os.fsencode(tmp_path / "pictures") + b"/caf\xe9.png"
    Path(os.fsdecode(strange)).write_bytes(seen.read_bytes())
    found, unreadable = scan([tmp_path / "pictures"])
    assert [item.path for item in found] == [seen]
    assert unreadable[0].reason == "its name is not UTF-8; rename it"
