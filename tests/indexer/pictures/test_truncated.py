"""Files that break off."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from indexer import open_image
from indexer.errors import DecodeError
from indexer.pictures.decode import read_picture
from tests.indexer.pictures.hostile import encoded, photograph

PICTURE = photograph((320, 240))


@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"exif": b"Exif\0\0II*\0\x08\0\0\0\0\0\0\0\0\0"}])
def test_a_jpeg_without_its_end_marker_is_complete(options: dict[str, object]) -> None:
    """Every pixel is there; the note says what is not."""
    data = encoded(PICTURE, "JPEG", **options)
    image, metadata = read_picture(data[:-2])
    np.testing.assert_array_equal(np.asarray(image), np.asarray(open_image(data)))
    assert metadata.words.notes == ("truncated: its end is missing, but no row of the picture",)
    assert read_picture(data)[1].words.notes == ()


@pytest.mark.parametrize(("kind", "mode"), [("JPEG", "RGB"), ("JPEG", "L"), ("JPEG", "CMYK"), ("PNG", "RGB")])
@pytest.mark.parametrize("at_least", [None, 64])
def test_a_file_that_lacks_little_is_used_with_a_note(kind: str, mode: str, at_least: int | None) -> None:
    """The rows that are there are as in the whole file, also at reduced size."""
    data = encoded(PICTURE.convert(mode), kind)
    image, metadata = read_picture(data[: int(0.9 * len(data))], at_least=at_least)
    intact = np.asarray(open_image(data, at_least=at_least), int)
    rows = int(0.8 * image.height)
    assert np.abs(np.asarray(image, int) - intact)[:rows].max() <= 2
    assert metadata.words.notes[0].startswith("truncated: the last ")


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "BMP"])
@pytest.mark.parametrize("share", [0.1, 0.5])
def test_a_half_empty_picture_is_refused(kind: str, share: float) -> None:
    """The message says where it breaks off."""
    data = encoded(PICTURE, kind)
    with pytest.raises(DecodeError, match=r"damaged or truncated \(it breaks off after \d+ of 240 rows\)"):
        open_image(data[: int(share * len(data))])


@pytest.mark.parametrize("kind", ["GIF", "TIFF", "WEBP", "AVIF"])
def test_formats_that_do_not_say_what_is_missing_are_refused(kind: str) -> None:
    """Their decoders give all or nothing."""
    data = encoded(PICTURE, kind)
    with pytest.raises(DecodeError, match="damaged or truncated"):
        open_image(data[: int(0.9 * len(data))])


def test_a_bmp_is_stored_from_the_bottom() -> None:
    """Its missing rows are the upper ones."""
    data = encoded(PICTURE, "BMP")
    image, metadata = read_picture(data[: int(0.9 * len(data))])
    np.testing.assert_array_equal(np.asarray(image)[40:], np.asarray(PICTURE)[40:])
    assert metadata.words.notes == ("truncated: the last 10% of the picture is missing",)


def test_an_interlaced_png_that_breaks_off_is_refused() -> None:
    """Its missing pixels lie between the others."""
    data = bytearray(encoded(Image.new("L", (8, 8), 7), "PNG"))
    data[28] = 1  # interlaced, which Pillow does not write; its pixels are now too few
    with pytest.raises(DecodeError, match="damaged or truncated"):
        open_image(bytes(data[:-20]))


def test_zeros_after_a_broken_transfer_are_not_taken_for_pixels() -> None:
    """A file whose space was allocated before it arrived has its full size."""
    data = encoded(PICTURE, "JPEG")
    for share, refused in ((0.5, True), (0.95, False)):
        there = int(share * len(data))
        filled = data[:there] + bytes(len(data) - there)
        if refused:
            with pytest.raises(DecodeError, match="breaks off"):
                open_image(filled)
        else:
            assert "truncated" in read_picture(filled)[1].words.notes[0]
    assert read_picture(data + bytes(1000))[1].words.notes == ()
