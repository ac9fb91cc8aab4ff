"""Pictures that people who keep photo collections found shown wrongly, or refused."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, PngImagePlugin

from indexer import Catalog, index_paths, open_image
from indexer.pictures.decode import read_picture
from tests.fakes import FakeEncoder
from tests.indexer.pictures.hostile import encoded, photograph
from tests.indexer.pictures.metadata.samples import xmp


def test_a_jpeg_without_its_end_is_indexed_with_a_note(catalog: Catalog, encoder: FakeEncoder, tmp_path: Path) -> None:
    """Every pixel is there, and the run says what is not; a half-empty picture is refused, with the row."""
    data = encoded(photograph((320, 240)), "JPEG")
    (tmp_path / "no end.jpg").write_bytes(data[:-2])
    (tmp_path / "half.jpg").write_bytes(data[: len(data) // 2])
    report = index_paths(catalog, encoder, [tmp_path])
    assert report.added == 1
    assert [(Path(note.path).name, note.reason) for note in report.notes] == [
        ("no end.jpg", "truncated: its end is missing, but no row of the picture")
    ]
    assert [Path(failure.path).name for failure in report.failed] == ["half.jpg"]
    assert "it breaks off after" in report.failed[0].reason


def test_a_bmp_whose_alpha_is_zero_shows_its_picture() -> None:
    """Programs write the channel, and nothing into it."""
    pixels = np.dstack([np.asarray(photograph())[::-1, :, ::-1], np.zeros((48, 64), np.uint8)])  # bottom up, BGRA
    masks = struct.pack("<4I", 0xFF0000, 0xFF00, 0xFF, 0xFF000000)
    header = struct.pack("<IiiHHIIiiII", 108, 64, 48, 1, 32, 3, pixels.nbytes, 0, 0, 0, 0) + masks + bytes(52)
    head = struct.pack("<2sIII", b"BM", 14 + len(header) + pixels.nbytes, 0, 14 + len(header))
    shown = open_image(head + header + pixels.tobytes())
    np.testing.assert_array_equal(np.asarray(shown), np.asarray(photograph()))


def test_a_white_logo_on_transparency_is_seen() -> None:
    """White on white is nothing."""
    image = Image.new("RGBA", (300, 300), (255, 255, 255, 0))
    ImageDraw.Draw(image).ellipse((60, 60, 240, 240), outline=(255, 255, 255, 255), width=30)
    pixels = np.asarray(open_image(encoded(image, "PNG")))
    assert np.ptp(pixels) > 100


def test_twelve_of_sixteen_bits_are_not_black() -> None:
    """The picture is as bright as with 8 bits."""
    grey = np.asarray(photograph().convert("L")).astype(np.uint16)
    pixels = np.asarray(open_image(encoded(Image.fromarray(grey * 16), "PNG")))
    assert abs(pixels.mean() - grey.mean()) < 2


def test_orientation_is_that_of_exif() -> None:
    """XMP may claim another one, which viewers ignore."""
    packet = xmp(attributes='tiff:Orientation="6" xmp:Rating="3"')
    info = PngImagePlugin.PngInfo()
    info.add_itxt("XML:com.adobe.xmp", packet)
    exif = Image.Exif()
    exif[271] = "Leitz"
    for kind in ("JPEG", "PNG", "WEBP"):
        for options in ({}, {"exif": exif}):
            image, metadata = read_picture(encoded(photograph(), kind, xmp=packet.encode(), pnginfo=info, **options))
            assert (metadata.words.rating, metadata.words.notes) == (3, ()), kind
            assert image.size == (metadata.width, metadata.height) == (64, 48), kind
