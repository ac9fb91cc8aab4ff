"""What files of the index are served as: pictures of the formats that are indexed, and never anything else.

The type is what the picture was when it was indexed, not what its name says; and the file must still begin like one,
for since then somebody may have put a web page, or a link to what is nobody's business, in its place.
"""

from __future__ import annotations

import re
from pathlib import Path

from search import ImageNotFoundError

_JPEG = ("image/jpeg", re.compile(rb"\xff\xd8\xff"))
_BOXES = re.compile(rb".{4}ftyp", re.DOTALL)
FORMATS = {
    "JPEG": _JPEG,
    "MPO": _JPEG,
    "PNG": ("image/png", re.compile(rb"\x89PNG\r\n\x1a\n")),
    "GIF": ("image/gif", re.compile(rb"GIF8")),
    "BMP": ("image/bmp", re.compile(rb"BM")),
    "WEBP": ("image/webp", re.compile(rb"RIFF.{4}WEBP", re.DOTALL)),
    "TIFF": ("image/tiff", re.compile(rb"II[*+]\x00|MM\x00[*+]")),
    "AVIF": ("image/avif", _BOXES),
    "HEIF": ("image/heif", _BOXES),
}
"""Each format with its media type, and how its files begin."""


def media_type(path: Path, kind: str, image_id: int) -> str:
    """What to serve an indexed image's file as.

    Args:
        path: the file.
        kind: the format it was indexed with.
        image_id: for the message, which tells no path.

    Raises:
        ImageNotFoundError: the file is gone, or no longer such a picture.
    """
    if not path.is_file():  # a pipe would never end
        raise ImageNotFoundError(f"the file of image {image_id} is gone; index its folder again")
    name, beginning = FORMATS[kind]
    try:
        with path.open("rb") as file:
            begins = file.read(16)
    except OSError as exc:
        raise ImageNotFoundError(f"the file of image {image_id} cannot be read") from exc
    if beginning.match(begins) is None:
        raise ImageNotFoundError(f"the file of image {image_id} is another by now; index its folder again")
    return name
