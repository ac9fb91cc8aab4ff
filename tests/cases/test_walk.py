"""What a walk lists: kinds of files, raw files, sidecars."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from sqlalchemy import select

from indexer import Catalog, index_paths
from indexer.catalog import schema
from indexer.catalog.annotations import Annotation, annotations_of_image
from indexer.catalog.captions import captions_of_image
from indexer.catalog.images import content_hashes
from indexer.ingest.reach import Reach
from indexer.ingest.rules import UNREAD_KINDS
from indexer.ingest.scan import scan
from indexer.pictures import formats
from tests.cases.folders import keep_times, walked, write
from tests.conftest import Paint
from tests.fakes import FakeEncoder
from tests.indexer.ingest.opens import opened


def test_kinds_that_are_not_read_are_counted_by_name(paint: Paint, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pictures and videos; notes, databases and settings are of no interest."""
    monkeypatch.setattr("indexer.ingest.listing.SUFFIXES", frozenset({".png"}))
    paint("a.png")
    for name in ("b.mov", "c.MOV", "d.psb", "e.jxl", "f.nef", "g.svg", "h.json", "Thumbs.db", "desktop.ini", "i.txt"):
        write(root / name)
    left_out = walked(root)[1].left_out
    assert left_out.kinds == {".mov": 2, ".psb": 1, ".jxl": 1, ".nef": 1, ".svg": 1}


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
    assert found == {n: (str(p), p.stat().st_ctime_ns) for n, p in expected.items()} | {"d.jpg": (None, None)}
    alone = scan([str(root / name) for name in found])
    assert {Path(file.path).name: (file.xmp, file.xmp_mtime_ns) for file in alone.files} == found


def test_a_single_file_is_listed_as_its_folder_lists_it(paint: Paint, root: Path) -> None:
    """With the same sidecars, without those that are excluded, in any spelling, and the first by name of several."""
    for name in ("a.png", "b.png", "c.png", "d.png"):
        paint(name)
    for name in ("a.Xmp", "b.xmp", "b.XMP", "c.png.xmp", "c.txt", "d.xMP"):
        write(root / name)
    for patterns in ((), ("*.png.xmp", "c.txt", "/d.*")):
        reach = Reach([str(root)], exclusions={str(root): patterns})
        folder = scan([str(root)], reach)
        alone = scan([str(root / f"{stem}.png") for stem in "abcd"], reach)
        assert alone.files == folder.files
        names = [file.xmp and Path(file.xmp).name for file in folder.files]
        assert names == (["a.Xmp", "b.XMP", None] if patterns else ["a.Xmp", "b.XMP", "c.png.xmp", "d.xMP"])


def test_a_file_that_is_given_is_listed_whatever_its_name_and_folder(paint: Paint, root: Path) -> None:
    """With its sidecars, also beside `.nomedia`."""
    picture = paint("a.png").rename(root / ".picture")
    write(root / ".nomedia")
    sidecar = write(root / ".picture.xmp")
    (file,) = scan([str(picture)]).files
    assert (file.path, file.xmp) == (str(picture), str(sidecar))


@pytest.mark.parametrize("name", ["a.txt", "a.xmp"])
def test_an_edited_sidecar_with_its_old_time_is_seen(
    catalog: Catalog, encoder: FakeEncoder, paint: Paint, root: Path, name: str
) -> None:
    """As `exiftool -P` leaves it, which sets the modification time back."""
    paint("a.png")
    packet = "<x:xmpmeta xmlns:x='adobe:ns:meta/'><rdf:RDF xmlns:rdf='http://www.w3.org/1999/02/22-rdf-syntax-ns#'>{}"
    subject = "<rdf:Description xmlns:dc='http://purl.org/dc/elements/1.1/'><dc:description>{}</dc:description>"
    text = packet.format(subject) + "</rdf:Description></rdf:RDF></x:xmpmeta>" if name == "a.xmp" else "{}\n"
    sidecar = write(root / name, text.format("a red wall").encode())
    index_paths(catalog, encoder, [root])
    keep_times(sidecar, text.format("a red gate").encode())
    report = index_paths(catalog, encoder, [])
    assert (report.captions_added, report.records) == ((1, 0) if name == "a.txt" else (0, 1))
    (image,) = content_hashes(catalog).values()
    captions = [caption.text for caption in captions_of_image(catalog, image)]
    assert captions + annotations_of_image(catalog, image).get(Annotation.DESCRIPTION, []) == ["a red gate"]
    report = index_paths(catalog, encoder, [])
    assert (report.captions_added, report.records) == (0, 0)


def test_sidecars_of_a_catalog_with_modification_times_are_read_once(
    catalog: Catalog, encoder: FakeEncoder, paint: Paint, root: Path
) -> None:
    """As version 5 wrote it: no caption is lost or added twice, and the next run reads nothing."""
    for number, name in enumerate(("a", "b")):
        paint(f"{name}.png", seed=number)
        sidecar = write(root / f"{name}.txt", f"{name} one\n{name} two\n".encode())
        os.utime(sidecar, ns=(1, 1))
    index_paths(catalog, encoder, [root])
    before = catalog.rows(select(schema.caption).order_by(schema.caption.c.id))
    with catalog.transaction() as connection:
        connection.exec_driver_sql("UPDATE location SET sidecar_mtime_ns = 1")
    names = opened(lambda: index_paths(catalog, encoder, []))
    assert {Path(name).name for name in names} == {"a.txt", "b.txt"}
    assert catalog.rows(select(schema.caption).order_by(schema.caption.c.id)) == before
    assert opened(lambda: index_paths(catalog, encoder, [])) == []


def test_counted_kinds_are_not_read() -> None:
    """No suffix is both counted and listed, or that of a raw file, but for those that need a package."""
    always = {suffix for kind in formats.FORMATS.values() if kind.needs is None for suffix in kind.suffixes.split()}
    assert not UNREAD_KINDS & (always | formats.RAW_SUFFIXES)
