"""JPEG XL, where pylibjxl is installed."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from indexer import open_image
from indexer.errors import DecodeError
from indexer.pictures import limits
from indexer.pictures.decode import read_picture
from indexer.pictures.formats import FORMATS, foreign_kind
from tests.indexer.pictures.hostile import encoded, photograph

pylibjxl = pytest.importorskip("pylibjxl")


def jxl(image: Image.Image, **options: object) -> bytes:
    """A lossless JPEG XL."""
    pixels = np.asarray(image)
    return bytes(pylibjxl.encode(pixels if pixels.ndim == 3 else pixels[..., None], lossless=True, **options))


def test_pixels_are_read_as_stored() -> None:
    """Colour and grey."""
    np.testing.assert_array_equal(np.asarray(open_image(jxl(photograph()))), np.asarray(photograph()))
    grey = photograph().convert("L")
    np.testing.assert_array_equal(np.asarray(open_image(jxl(grey)))[..., 0], np.asarray(grey))


def test_alpha_lies_over_a_ground() -> None:
    """Transparency is treated as in any format."""
    image = Image.new("RGBA", (60, 40), (200, 0, 0, 255))
    image.paste((0, 0, 0, 0), (0, 0, 30, 40))
    assert np.asarray(open_image(jxl(image)))[5, 5].tolist() == [255, 255, 255]


def test_a_turned_jpeg_made_smaller_is_turned_once() -> None:
    """The decoder turns it; its EXIF block, which says so too, gives the camera."""
    exif = Image.Exif()
    exif[274], exif[271] = 6, "Leitz"
    data = pylibjxl.jpeg_to_jxl(encoded(photograph(), "JPEG", exif=exif))
    image, metadata = read_picture(data)
    assert image.size == (metadata.width, metadata.height) == (48, 64)
    assert (metadata.format, metadata.camera) == ("JXL", "Leitz")


def test_a_truncated_file_is_refused() -> None:
    """Its decoder does not say how much is missing."""
    data = jxl(photograph())
    for cut in (2, 5, 20, len(data) // 2, len(data) - 3):
        with pytest.raises(DecodeError, match="damaged or truncated"):
            open_image(data[:cut])


def test_a_bomb_is_refused_by_its_header(monkeypatch: pytest.MonkeyPatch) -> None:
    """A gigapixel of one colour takes a hundred bytes; neither its pixels nor their memory may be too many."""
    data = jxl(Image.new("RGB", (2000, 2000)))
    assert len(data) < 1000
    monkeypatch.setattr(pylibjxl, "decode", lambda *_, **__: pytest.fail("was decoded"))
    monkeypatch.setattr(limits, "MAX_PIXELS", 1_000_000)
    with pytest.raises(DecodeError, match="too many pixels"):
        open_image(data)
    monkeypatch.setattr(limits, "MAX_PIXELS", 10_000_000)
    monkeypatch.setattr(limits, "MAX_MEMORY", 1_000_000)
    with pytest.raises(DecodeError, match="would take"):
        open_image(data)


def test_both_containers_are_recognized() -> None:
    """A bare codestream, and one in boxes with metadata."""
    for data in (jxl(photograph()), jxl(photograph(), exif=b"Exif\0\0II*\0\x08\0\0\0\0\0\0\0\0\0")):
        assert FORMATS["JXL"].signature.match(data)
        assert foreign_kind(data) == "a JPEG XL file"  # its name where it cannot be read
