"""What a picture can be given as in Python: a file, its bytes, a Pillow image, or a NumPy array."""

from __future__ import annotations

import os
from contextlib import suppress
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from ..errors import DecodeError
from .formats import FORMATS
from .ranges import shown_range, to_bytes
from .safe_read import MAX_BYTES

PictureSource = str | os.PathLike[str] | bytes | bytearray | memoryview | Image.Image | npt.NDArray[Any]
"""A file by its path, the bytes of a file, a Pillow image, or an array.

Shape:
    (H, W) in grey, (H, W, 3) in RGB, or (H, W, 4) with alpha; uint8, uint16, or floats in [0, 1].
"""


def is_picture_source(value: object) -> bool:
    """Whether a value is of one of the types of a `PictureSource`."""
    return isinstance(value, str | os.PathLike | bytes | bytearray | memoryview | Image.Image | np.ndarray)


def unread_file(image: Image.Image) -> bytes | None:
    """The file that a Pillow image was opened from, if none of its pixels have been read yet."""
    file = getattr(image, "fp", None)
    first_frame = int(image.format == "PSD")
    if file is None or not getattr(image, "tile", None) or image.format not in FORMATS or image.tell() != first_frame:
        return None
    with suppress(OSError, ValueError):  # it may be closed
        position = file.tell()
        file.seek(0)
        data: bytes = file.read(MAX_BYTES)
        file.seek(position)
        return data
    return None


def image_of_array(array: npt.NDArray[Any]) -> Image.Image:
    """Return the picture in an array, see `PictureSource`.

    Raises:
        DecodeError: the array has another shape or type, or floats outside of [0, 1].
    """
    shape = "x".join(map(str, array.shape))
    if array.ndim == 3 and array.shape[2] == 1:
        array = array[..., 0]
    if not array.size or not (array.ndim == 2 or (array.ndim == 3 and array.shape[2] in (3, 4))):
        raise DecodeError(f"an array of shape {shape}; a picture has the shape (H, W), (H, W, 3) or (H, W, 4)")
    if array.dtype == np.uint8:
        return Image.fromarray(np.ascontiguousarray(array))
    if array.dtype == np.uint16:
        colours = array[..., :3]
        shown = shown_range(float(colours.min()), float(colours.max()), whole=True)
        alpha = (0.0, 65535.0)
    elif array.dtype.kind == "f":
        if not (array.min() >= 0 and array.max() <= 1):  # false for NaN as well
            raise DecodeError(f"an array of floats from {array.min():g} to {array.max():g}; they must be in [0, 1]")
        shown = alpha = (0.0, 1.0)
    else:
        raise DecodeError(f"an array of {array.dtype}; a picture consists of uint8, uint16, or floats in [0, 1]")
    if array.ndim == 2 or array.shape[2] == 3:
        return Image.fromarray(to_bytes(array, shown))
    return Image.fromarray(np.dstack([to_bytes(array[..., :3], shown), to_bytes(array[..., 3], alpha)]))
