"""JPEG XL, read by libjxl through the optional package pylibjxl."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from PIL import Image

from .formats import FORMATS, supported_formats
from .limits import check_size, reserve
from .opened import Opened

BYTES_PER_PIXEL = 20
"""Three times the 6 measured with 12 megapixels, because frames that are blended take more."""


def is_jxl(data: bytes) -> bool:
    """Whether data starts like a JPEG XL, and this installation can decode it."""
    return FORMATS["JXL"].signature.match(data) is not None and "JXL" in supported_formats()


@contextmanager
def open_jxl(data: bytes) -> Iterator[Opened]:
    """Decode a JPEG XL; libjxl turns it upright."""
    import pylibjxl  # noqa: PLC0415  optional

    header = pylibjxl.probe(data)
    size = header["width"], header["height"]
    check_size(size)
    with reserve(BYTES_PER_PIXEL * size[0] * size[1], size, "JXL"):
        pixels, metadata = pylibjxl.decode(data, metadata=True)
        image = Image.fromarray(pixels.squeeze(-1) if pixels.shape[-1] == 1 else pixels)
        image.format = "JXL"
        image.info |= {"icc_profile" if name == "icc" else name: block for name, block in metadata.items()}
        yield Opened(image, size)
