"""From an upright RGB picture to the network's input square: the whole picture, nothing cropped away."""

from __future__ import annotations

import numpy as np
from PIL import Image

from .features import Pixels


def to_square(image: Image.Image, size: int) -> Pixels:
    """Resize a whole picture to a square, its aspect ratio given up rather than its edges.

    Args:
        image: upright picture; any mode but RGB is converted.
        size: side of the square in pixels.

    Returns:
        Pixels (size, size, 3), uint8.
    """
    rgb = image if image.mode == "RGB" else image.convert("RGB")
    if rgb.size != (size, size):
        rgb = rgb.resize((size, size), Image.Resampling.BICUBIC, reducing_gap=2.0)
    return np.array(rgb, dtype=np.uint8)
