"""XMP sidecars."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from indexer.errors import SidecarError
from indexer.pictures.metadata import read_xmp_sidecar
from indexer.pictures.metadata.sidecar import MAX_SIDECAR

from .samples import bag, xmp


def test_a_sidecar_gives_words_date_and_place(tmp_path: Path) -> None:
    """In UTF-8 or UTF-16."""
    path = tmp_path / "IMG_0001.jpg.xmp"
    packet = xmp(
        bag("dc:subject", "Käthe"),
        'exif:DateTimeOriginal="1965-08-12" exif:GPSLatitude="48,8.22N" exif:GPSLongitude="11,30E"',
    )
    for encoding in ("utf-8", "utf-8-sig", "utf-16"):
        path.write_text(packet, encoding=encoding)
        found = read_xmp_sidecar(path)
        assert (found.taken_at, found.latitude, found.longitude) == ("1965-08-12", 48.137, 11.5)
        assert (found.words.keywords, found.words.date_source) == (("Käthe",), "sidecar")


def test_what_precedes_a_fault_is_kept(tmp_path: Path) -> None:
    """With a note."""
    path = tmp_path / "a.xmp"
    text = xmp(bag("dc:subject", "Käthe") + "<dc:title>x</dc:title>")
    path.write_text(text[: text.index("<dc:title>")], encoding="utf-8")
    words = read_xmp_sidecar(path).words
    assert words.keywords == ("Käthe",)
    assert words.notes[0].startswith("its sidecar a.xmp could not be read in full: it is damaged")


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("missing.xmp", "missing.xmp: cannot be read: No such file"),
        ("folder.xmp", "folder.xmp: cannot be read: Is a directory"),
        ("empty.xmp", "empty.xmp: the file is empty"),
        ("huge.xmp", "huge.xmp: too large (50,000,000 bytes); the limit is 4,000,000"),
        ("other.xmp", "other.xmp is not an XMP sidecar: it has no RDF"),
        ("bomb.xmp", "bomb.xmp is not an XMP sidecar: it has a DOCTYPE"),
    ],
)
def test_what_is_no_sidecar_is_refused(tmp_path: Path, name: str, reason: str) -> None:
    """The message names the file and the reason."""
    (tmp_path / "folder.xmp").mkdir()
    (tmp_path / "empty.xmp").touch()
    (tmp_path / "huge.xmp").touch()
    os.truncate(tmp_path / "huge.xmp", 50_000_000)
    (tmp_path / "other.xmp").write_text("<svg/>")
    (tmp_path / "bomb.xmp").write_text('<!DOCTYPE a [<!ENTITY b "c">]>' + xmp())
    with pytest.raises(SidecarError) as caught:
        read_xmp_sidecar(tmp_path / name)
    assert reason in str(caught.value)


def test_a_large_sidecar_is_read_whole(tmp_path: Path) -> None:
    """Raw developers store masks in them."""
    path = tmp_path / "a.xmp"
    path.write_text(xmp(f"<dc:x>{'A' * (MAX_SIDECAR // 2)}</dc:x>" + bag("dc:subject", "Käthe")), encoding="utf-8")
    assert read_xmp_sidecar(path).words.keywords == ("Käthe",)
