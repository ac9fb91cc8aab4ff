"""Values of black and white."""

from __future__ import annotations

import zlib

import numpy as np
import pytest
from PIL import Image

from indexer import open_image
from indexer.pictures.ranges import shown_range
from tests.indexer.pictures.hostile import encoded, photograph, png


@pytest.mark.parametrize("bits", [8, 10, 12, 14, 16])
@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_fewer_bits_in_sixteen_are_scaled_to_what_is_used(bits: int, kind: str) -> None:
    """A picture of 12 bits in 16 is not black."""
    grey = np.asarray(photograph().convert("L"))
    deep = (grey.astype(np.float64) / 255 * (2**bits - 1)).round().astype(np.uint16)
    pixels = np.asarray(open_image(encoded(Image.fromarray(deep), kind)))[..., 0]
    assert np.abs(pixels.astype(int) - grey).max() <= 1


def test_fewer_bits_in_colour_are_scaled_too() -> None:
    """Pillow keeps the upper eight of 16 bits; a dark picture is better than a black one."""
    colours = np.asarray(photograph()).astype(np.uint16) * 16  # 12 bits
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in colours)
    pixels = np.asarray(open_image(png(64, 48, packed=zlib.compress(rows), bits=16)))
    assert np.abs(pixels.astype(int) - np.asarray(photograph())).max() <= 18


def test_a_narrow_band_is_stretched() -> None:
    """A thermal camera's values are hundredths of a kelvin."""
    values = np.linspace(27_000, 31_000, 64 * 48).reshape(48, 64).astype(np.uint16)
    pixels = np.asarray(open_image(encoded(Image.fromarray(values), "TIFF")))
    assert (pixels.min(), pixels.max()) == (0, 255)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ((0, 0, True), (0, 255)),
        ((65535, 65535, True), (0, 65535)),
        ((10, 4095, True), (0, 4095)),
        ((10, 4096, True), (0, 16383)),
        ((0, 70000, True), (0, 70000)),
        ((-5, 5, True), (-5, 5)),
        ((0, 0.9, False), (0, 1)),
        ((0, 0.3, False), (0, 0.3)),
        ((0, 1.5, False), (0, 1.5)),
        ((float("inf"), float("-inf"), False), (0, 255)),
    ],
)
def test_the_range_follows_from_the_extremes(values: tuple[float, float, bool], expected: tuple[float, float]) -> None:
    """Whole numbers have depths; others are shown from their lowest to their highest, or from 0 to 1."""
    low, high, whole = values
    assert shown_range(low, high, whole=whole) == expected
