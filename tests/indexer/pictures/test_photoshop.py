"""Photoshop files, by their flat composite."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from indexer import open_image
from indexer.errors import DecodeError
from indexer.pictures.decode import read_picture
from tests.indexer.pictures.raws import psd

WHOLE = psd(Image.new("RGB", (40, 30)))
BOMB = WHOLE[:14] + b"\0\1\0\0\0\1\0\0" + WHOLE[22:]  # 65,536 by 65,536 pixels


@pytest.mark.parametrize("mode", ["L", "RGB", "CMYK"])
def test_the_flat_picture_of_each_mode_is_read(mode: str) -> None:
    """Its colours and size are those of the composite, and its EXIF block applies."""
    picture = Image.new("RGB", (40, 30), (200, 100, 50)).convert(mode)
    image, metadata = read_picture(psd(picture, orientation=6))
    assert (image.size, metadata.format) == ((30, 40), "PSD")
    np.testing.assert_array_equal(np.asarray(image)[5, 5], np.asarray(picture.convert("RGB"))[5, 5])


def test_a_saved_selection_is_no_transparency() -> None:
    """A fourth channel hides pixels only if the layers say that it is the composite's alpha."""
    picture = Image.new("RGBA", (40, 30), (200, 0, 0, 255))
    picture.paste((200, 0, 0, 0), (0, 0, 20, 30))
    assert np.asarray(open_image(psd(picture)))[5, 5].tolist() == [200, 0, 0]
    assert np.asarray(open_image(psd(picture, transparency=True)))[5, 5].tolist() == [255, 255, 255]


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (psd(Image.new("RGB", (40, 30)), bits=16), "16 bits per channel; save it with 8 bits"),
        (psd(Image.new("RGB", (40, 30)), bits=32), "32 bits per channel"),
        (psd(Image.new("RGB", (40, 30)), merged=False), "without a flat picture"),
        (WHOLE[:-900], "damaged or truncated"),
        (WHOLE[:60], "damaged or truncated"),
        (b"8BPS\0\2" + WHOLE[6:], "PSB"),
        (BOMB, "too many pixels"),
    ],
    ids=["16 bits", "32 bits", "layers only", "cut", "header only", "PSB", "bomb"],
)
def test_an_unreadable_photoshop_file_is_refused_with_a_reason(data: bytes, words: str) -> None:
    """One sentence says what is wrong, and what to do where something can be done."""
    with pytest.raises(DecodeError, match=words):
        open_image(data)
