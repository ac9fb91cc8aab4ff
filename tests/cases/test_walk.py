"""What a walk lists: kinds of files, raw files, sidecars."""

from __future__ import annotations

from pathlib import Path

import pytest

from indexer.ingest.scan import scan
from indexer.pictures import formats
from tests.cases.folders import walked, write
from tests.conftest import Paint


def test_kinds_that_are_not_read_are_counted_by_name(paint: Paint, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pictures and videos; notes, databases and settings are of no interest."""
    monkeypatch.setattr("indexer.ingest.listing.SUFFIXES", frozenset({".png"}))
    paint("a.png")
    for name in ("b.mov", "c.MOV", "d.psd", "e.jxl", "f.nef", "g.svg", "h.json", "Thumbs.db", "desktop.ini", "i.txt"):
        write(root / name)
    left_out = walked(root)[1].left_out
    assert left_out.kinds == {".mov": 2, ".psd": 1, ".jxl": 1, ".nef": 1, ".svg": 1}


@pytest.mark.parametrize(
    "suffix", [".jfif", ".jif", ".jpe", ".mpo", ".hif", ".heics", ".avifs", ".dib", ".apng", ".JFIF"]
)
def test_every_suffix_of_a_kind_that_is_read_is_listed(root: Path, suffix: str) -> None:
    """The walk knows what the decoder reads."""
    write(root / f"a{suffix}")
    assert walked(root)[0] == [f"a{suffix}"]


@pytest.mark.parametrize("reads_raw", [False, True])
def test_a_raw_file_beside_its_jpeg_is_one_picture(
    paint: Paint, root: Path, monkeypatch: pytest.MonkeyPatch, *, reads_raw: bool
) -> None:
    """Whether raw files are read or not; one without a JPEG is a picture of its own, or a kind that is not read."""
    raws = formats.RAW_SUFFIXES if reads_raw else frozenset[str]()
    monkeypatch.setattr("indexer.ingest.listing.SUFFIXES", formats.SUFFIXES - formats.RAW_SUFFIXES | raws)
    for name in ("IMG_1.CR2", "IMG_2.dng", "IMG_3.NEF", "IMG_1.XMP.png"):
        write(root / name)
    paint("img_1.JPG")
    write(root / "IMG_2.HEIC")
    names, result = walked(root)
    assert names == ["IMG_1.XMP.png", "IMG_2.HEIC", *(["IMG_3.NEF"] if reads_raw else []), "img_1.JPG"]
    assert result.left_out.raw == 2
    assert result.left_out.kinds == ({} if reads_raw else {".nef": 1})


def test_a_raw_file_comes_back_when_its_jpeg_is_excluded(
    paint: Paint, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is then the only file of the picture."""
    monkeypatch.setattr("indexer.ingest.listing.SUFFIXES", formats.SUFFIXES | formats.RAW_SUFFIXES)
    write(root / "IMG_1.CR2")
    paint("IMG_1.JPG")
    assert walked(root, patterns=("*.JPG",))[0] == ["IMG_1.CR2"]


def test_xmp_sidecars_are_found(paint: Paint, root: Path) -> None:
    """`NAME.jpg.xmp` before `NAME.xmp`, whatever the case of the suffix; a folder is none."""
    for name in ("a.jpg", "b.jpg", "c.jpg", "d.jpg"):
        paint(name)
    both, _ = write(root / "a.jpg.xmp"), write(root / "a.xmp")
    short = write(root / "b.XMP")
    (root / "c.jpg.xmp").mkdir()
    fallback = write(root / "c.xmp")
    found = {Path(file.path).name: (file.xmp, file.xmp_mtime_ns) for file in walked(root)[1].files}
    expected = {"a.jpg": both, "b.jpg": short, "c.jpg": fallback}
    assert found == {n: (str(p), p.stat().st_mtime_ns) for n, p in expected.items()} | {"d.jpg": (None, None)}
    alone = scan([str(root / name) for name in found])
    assert {Path(file.path).name: (file.xmp, file.xmp_mtime_ns) for file in alone.files} == found
