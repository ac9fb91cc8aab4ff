"""From a picture to the input of a pair's image encoder."""

from __future__ import annotations

import numpy as np
from PIL import Image

from ..features import Pixels
from .description import ImageInput

_RESAMPLING = {
    "bicubic": Image.Resampling.BICUBIC,
    "bilinear": Image.Resampling.BILINEAR,
    "nearest": Image.Resampling.NEAREST,
}

LONGEST = 16
"""Times its shorter side that a picture is long at most before it is resized and cropped to its middle square."""


def to_input(image: Image.Image, settings: ImageInput) -> Pixels:
    """Resize and crop a picture to the input square (S, S, 3), uint8.

    Source: open_clip's and torchvision's transforms, whose roundings these are.
    """
    rgb = image if image.mode == "RGB" else image.convert("RGB")
    size, resampling = settings.size, _RESAMPLING[settings.interpolation]
    if settings.resize == "squash":
        resized = rgb if rgb.size == (size, size) else rgb.resize((size, size), resampling)
        return np.array(resized, np.uint8)
    if settings.resize == "shortest":
        rgb = _middle(rgb)
    shortest, longest = sorted(rgb.size)
    factor = size / (shortest if settings.resize == "shortest" else longest)
    width, height = (size if round(side * factor) == size else max(1, int(side * factor)) for side in rgb.size)
    resized = rgb if rgb.size == (width, height) else rgb.resize((width, height), resampling)
    square = Image.new("RGB", (size, size))
    square.paste(resized, (round((size - width) / 2), round((size - height) / 2)))
    return np.array(square, np.uint8)


def _middle(image: Image.Image) -> Image.Image:
    """Cut off what a crop leaves out of a very long picture, which would take gigabytes once it is enlarged."""
    width, height = image.size
    longest = LONGEST * min(width, height)
    left, top = max(0, (width - longest) // 2), max(0, (height - longest) // 2)
    return image.crop((left, top, width - left, height - top)) if left or top else image
