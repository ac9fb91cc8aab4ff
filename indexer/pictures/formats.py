"""The picture formats that crosslook reads."""

from __future__ import annotations

import re
from functools import cache
from typing import NamedTuple

from PIL import Image

from encoders.datasets import IMAGE_SUFFIXES

SUFFIXES = IMAGE_SUFFIXES | {".jfif", ".jif", ".jpe", ".mpo", ".hif", ".heics", ".avifs", ".dib", ".apng"}
"""Suffixes of the files that are read, in lower case."""

RAW_SUFFIXES = frozenset(
    {
        *(".cr2", ".cr3", ".crw", ".nef", ".nrw", ".arw", ".sr2", ".srf", ".raf"),
        *(".orf", ".rw2", ".dng", ".pef", ".srw", ".x3f", ".3fr", ".iiq", ".rwl"),
    }
)
"""Suffixes of cameras' raw files, in lower case."""


class PictureFormat(NamedTuple):
    """The media type of a format, and the signature at the start of its files."""

    media_type: str
    signature: re.Pattern[bytes]


_JPEG = PictureFormat("image/jpeg", re.compile(rb"\xff\xd8\xff"))
_BRANDS = re.compile(rb".{4}ftyp(?:hei|hev|mif|msf|avi)", re.DOTALL)  # containers of AVIF and HEIF share brands

FORMATS = {
    "JPEG": _JPEG,
    "MPO": _JPEG,  # several JPEGs in one file; Pillow opens it as JPEG
    "PNG": PictureFormat("image/png", re.compile(rb"\x89PNG\r\n\x1a\n")),
    "GIF": PictureFormat("image/gif", re.compile(rb"GIF8")),
    "BMP": PictureFormat("image/bmp", re.compile(rb"BM")),
    "WEBP": PictureFormat("image/webp", re.compile(rb"RIFF.{4}WEBP", re.DOTALL)),
    "TIFF": PictureFormat("image/tiff", re.compile(rb"II[*+]\x00|MM\x00[*+]")),
    "AVIF": PictureFormat("image/avif", _BRANDS),
    "HEIF": PictureFormat("image/heif", _BRANDS),
}
"""Formats by their name in Pillow."""


@cache
def supported_formats() -> tuple[str, ...]:
    """Sorted names of the formats that this installation can decode."""
    Image.init()
    return tuple(sorted(FORMATS.keys() & Image.OPEN.keys()))


def begins_like_a_picture(data: bytes) -> bool:
    """Whether data starts with the signature of a supported format."""
    return any(picture_format.signature.match(data) for picture_format in FORMATS.values())
