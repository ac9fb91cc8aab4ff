"""The frame that stands for an animation."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from PIL import Image

from indexer import open_image
from tests.indexer.pictures.hostile import encoded, photograph


def animation(kind: str, *frames: Image.Image, duration: int = 100) -> bytes:
    """An animation."""
    options: dict[str, Any] = {"lossless": True} if kind == "WEBP" else {}
    return encoded(frames[0], kind, save_all=True, append_images=frames[1:], duration=duration, **options)


def brightness(data: bytes) -> float:
    """The mean of all pixels."""
    return float(np.asarray(open_image(data)).mean())


BLACK, WHITE = Image.new("RGB", (64, 48)), Image.new("RGB", (64, 48), "white")
EXPECTED = float(np.asarray(photograph()).mean())


@pytest.mark.parametrize("kind", ["GIF", "PNG", "WEBP", "AVIF"])
@pytest.mark.parametrize("first", [BLACK, WHITE])
def test_an_animation_that_fades_in_is_shown_by_its_first_picture(kind: str, first: Image.Image) -> None:
    """A frame of one colour says nothing."""
    dark = Image.blend(first, photograph(), 0.01)
    assert abs(brightness(animation(kind, first, dark, photograph(), photograph().rotate(180))) - EXPECTED) < 4


@pytest.mark.parametrize("kind", ["GIF", "PNG", "WEBP"])
def test_a_transparent_first_frame_is_skipped(kind: str) -> None:
    """Nothing is seen on it."""
    clear = Image.new("RGBA", (64, 48), (0, 0, 0, 0))
    assert abs(brightness(animation(kind, clear, photograph().convert("RGBA"))) - EXPECTED) < 4


@pytest.mark.parametrize("kind", ["GIF", "PNG", "WEBP"])
def test_a_first_frame_with_a_picture_stays(kind: str) -> None:
    """Later frames are not decoded."""
    assert abs(brightness(animation(kind, photograph(), WHITE)) - EXPECTED) < 4


@pytest.mark.parametrize("kind", ["GIF", "PNG", "WEBP"])
def test_a_picture_after_the_first_seconds_is_not_looked_for(kind: str) -> None:
    """The cost is bounded, and the first frame stands."""
    assert brightness(animation(kind, WHITE, photograph(), duration=5000)) == 255
    assert brightness(animation(kind, WHITE, BLACK)) == 255


def test_a_broken_later_frame_does_not_matter() -> None:
    """What can be shown is shown: the first frame."""
    data = animation("PNG", WHITE, photograph())
    cut = data.index(b"fdAT") + 60
    assert brightness(data[:cut] + bytes(40) + data[cut + 40 :]) == 255
    assert brightness(animation("GIF", WHITE, photograph())[:-1500]) == 255
