"""Pictures that break off: those that lack little are used, with a note that says so; others are refused.

A broken transfer, a full disk or a careless program cuts files. Pillow refuses a file that lacks one byte, unless a
switch for the whole process is set; here each file is judged by the rows that are there.
"""

from __future__ import annotations

import io

from PIL import Image

from ..errors import DecodeError

MAX_MISSING = 0.25
"""Share of the rows that may be missing."""

END_OF_IMAGE = b"\xff\xd9"
_START_OF_SCAN = b"\xff\xda"
_FILL = bytes(64)


class EndedJpeg(io.BytesIO):
    """A JPEG with the marker that its end lacks, so that its decoder returns what it has."""

    _end = END_OF_IMAGE

    def read(self, size: int | None = -1, /) -> bytes:
        """Read from the file, and then the marker, once."""
        data = super().read(size)
        if not data:
            data, self._end = self._end, b""
        return data


def without_filling(jpeg: bytes) -> bytes:
    """Drop the zeros that fill a JPEG whose transfer broke off after its space had been allocated."""
    if not jpeg.endswith(_FILL):
        return jpeg
    content = jpeg.rstrip(b"\0")
    return content if content.rfind(END_OF_IMAGE) < content.rfind(_START_OF_SCAN) else jpeg


def note_missing_rows(image: Image.Image, height: int) -> str:
    """Describe what a picture lacks whose file breaks off.

    Args:
        image: what was decoded; missing rows are grey in a JPEG, and zeros in others.
        height: its rows as stored; `image` may have been reduced.

    Raises:
        DecodeError: too much is missing.
    """
    levels = (127, 128) if image.format in ("JPEG", "MPO") else (0,)
    missing = _uniform_rows(image, levels) / image.height
    if image.format == "BMP":  # stored from the bottom to the top, or the other way round
        missing = max(missing, _uniform_rows(image.transpose(Image.Transpose.FLIP_TOP_BOTTOM), levels) / image.height)
    if missing > MAX_MISSING:
        present = round(height * (1 - missing))
        raise DecodeError(f"damaged or truncated (it breaks off after {present:,} of {height:,} rows)")
    if not missing:
        return "truncated: its end is missing, but no row of the picture"
    return f"truncated: the last {missing:.0%} of the picture is missing"


def _uniform_rows(image: Image.Image, levels: tuple[int, ...]) -> int:
    """Count the rows at the bottom whose values are all equal to one of `levels`, by bisection."""
    present, blank = 0, image.height  # rows above `blank` and below `present` are not yet known
    while present < blank:
        middle = (present + blank) // 2
        extrema = image.crop((0, middle, image.width, image.height)).getextrema()
        bands = extrema if isinstance(extrema[0], tuple) else (extrema,)
        if all(low == high and low in levels for low, high in bands):
            blank = middle
        else:
            present = middle + 1
    return image.height - blank
