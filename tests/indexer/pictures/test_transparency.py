"""Grounds for transparent pictures."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image, ImageDraw

from indexer import open_image
from tests.indexer.pictures.hostile import encoded, photograph


def logo(*colours: str | tuple[int, ...], mode: str = "RGBA") -> Image.Image:
    """Bars of colours on transparency."""
    image = Image.new("RGBA", (300, 300), (255, 255, 255, 0))
    draw = ImageDraw.Draw(image)
    for number, colour in enumerate(colours):
        draw.rectangle((50, 50 + 60 * number, 250, 90 + 60 * number), fill=colour)
    return image.convert(mode)


def levels(image: Image.Image, kind: str = "PNG") -> tuple[int, int]:
    """The levels of the ground and of the first bar."""
    pixels = np.asarray(open_image(encoded(image, kind, **({"lossless": True} if kind == "WEBP" else {}))))
    return int(pixels[5, 5].mean()), int(pixels[70, 150].mean())


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "TIFF"])
@pytest.mark.parametrize("colour", ["white", "ivory", (240, 240, 240)])
def test_a_white_logo_is_seen(colour: str | tuple[int, ...], kind: str) -> None:
    """On white it would not be."""
    ground, bar = levels(logo(colour), kind)
    assert bar - ground > 100


def test_a_white_logo_in_grey_is_seen() -> None:
    """Mode LA."""
    ground, bar = levels(logo("white", mode="LA"))
    assert bar - ground > 100


@pytest.mark.parametrize("colours", [("black",), ("red", "navy"), ("black", "white")])
def test_what_is_seen_on_white_lies_on_white(colours: tuple[str, ...]) -> None:
    """White is the ground of web pages and of earlier versions."""
    assert levels(logo(*colours))[0] == 255


def test_mostly_white_with_black_is_seen_on_grey() -> None:
    """Neither of the two vanishes."""
    ground, bar = levels(logo("white", "white", "black"))
    assert 64 < ground < 192
    assert bar == 255


def test_rounded_corners_are_white() -> None:
    """A screenshot of a white page does not become a page on black."""
    image = Image.new("RGBA", (300, 300), "white")
    image.paste((0, 0, 0, 0), (0, 0, 20, 20))
    assert levels(image)[0] == 255


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "WEBP"])
def test_an_alpha_channel_of_zeros_is_ignored(kind: str) -> None:
    """It hides the whole picture, which nobody can have meant."""
    image = photograph()
    image.putalpha(0)
    options = {"lossless": True, "exact": True} if kind == "WEBP" else {}
    np.testing.assert_array_equal(np.asarray(open_image(encoded(image, kind, **options))), np.asarray(photograph()))


def test_one_visible_pixel_is_enough_for_an_alpha_channel() -> None:
    """The channel is then meant, however small what it shows."""
    image = photograph((2000, 1500))
    image.putalpha(0)
    image.putpixel((1001, 777), (0, 0, 0, 255))
    pixels = np.asarray(open_image(encoded(image, "PNG")))
    assert pixels[5, 5].tolist() == [255, 255, 255]
    assert pixels[777, 1001].tolist() == [0, 0, 0]
