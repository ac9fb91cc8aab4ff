"""Resizing a picture to the network's input square, without cropping."""

from __future__ import annotations

import numpy as np
from PIL import Image

from .features import Pixels


def to_square(image: Image.Image, size: int) -> Pixels:
    """Resize a picture to a square; its aspect ratio changes, and nothing is cropped.

    Args:
        image: upright picture, converted to RGB if it has another mode.
        size: side of the square in pixels.

    Returns:
        Pixels (size, size, 3), uint8.
    """
    rgb = image if image.mode == "RGB" else image.convert("RGB")
    if rgb.size != (size, size):
        rgb = rgb.resize((size, size), Image.Resampling.BICUBIC, reducing_gap=2.0)
    return np.array(rgb, dtype=np.uint8)
