"""Decode the formats that Pillow and its plugins read."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from contextlib import contextmanager

import pillow_heif
from PIL import Image, ImageFile

from ..errors import DecodeError
from .formats import supported_formats
from .frames import show_first_picture
from .limits import MAX_PIXELS, MAX_SCAN_PIXELS, check_size, reserve
from .opened import Opened
from .photoshop import check_header, flat_picture
from .ranges import shown_range
from .truncated import EndedJpeg, note_missing_rows, without_filling

Image.MAX_IMAGE_PIXELS = MAX_PIXELS // 2  # Pillow rejects twice this, for some formats before allocating memory
pillow_heif.register_heif_opener()

_FORMATS = tuple(name for name in supported_formats() if name not in ("JXL", "RAW"))
_JPEG = ("JPEG", "MPO")
_DEEP = ("PNG", "TIFF")  # formats with 16 bits in each colour
_BYTES_PER_PIXEL = {"WEBP": 18, "AVIF": 10, "HEIF": 10, "TIFF": 10, "PSD": 10}
"""Measured peak memory of decoding; 4 for other formats, the size of Pillow's own picture."""

_MARKER = re.compile(rb"\xff+([\x01-\xcf\xd8-\xfe])")
_START_OF_SCAN, _END_OF_IMAGE = b"\xda", b"\xd9"
_DARK = 63
"""The highest of 256 levels of a picture that has 16 bits but uses at most 14."""


@contextmanager
def open_with_pillow(data: bytes, at_least: int | None) -> Iterator[Opened]:
    """Decode a picture, a JPEG at reduced size if `at_least` allows it. The arguments are those of `read_picture`.

    Raises:
        DecodeError: it has too many pixels, needs too much memory, or lacks too much.
        Exception: whatever else Pillow raises.
    """
    if data.startswith(b"\xff\xd8"):
        data = without_filling(data)
    elif data.startswith(b"8BPS"):
        check_header(data)
    # Only the supported formats: others run programs (EPS), or accept almost any bytes.
    with Image.open(io.BytesIO(data), formats=_FORMATS) as image:
        size = image.size
        check_size(size)
        scans = _scan_count(image, data) if image.format in _JPEG else 1
        if at_least is not None and image.format in _JPEG:
            image.draft("RGB", (at_least, at_least))
        with reserve(_memory_needed(image, size, scans, full_size=at_least is None), size, image.format or ""):
            picture, note = _load(image, data, at_least, size[1])
            yield Opened(picture, size, note)


def _load(image: ImageFile.ImageFile, data: bytes, at_least: int | None, height: int) -> tuple[Image.Image, str | None]:
    """Decode the pixels, as far as they are there; return the picture, and what is wrong with it."""
    deep = image.format in _DEEP and any("16" in str(tile.args) for tile in image.tile)
    try:
        image.load()
    except OSError as exc:
        if "truncated" not in str(exc):
            raise
        picture = _decode_rest(image, data, at_least, exc)
        return picture, note_missing_rows(picture, height)
    if image.format == "PSD":
        return flat_picture(image, data), None
    show_first_picture(image)
    return _brighten(image) if deep and image.mode in ("RGB", "RGBA") else image, None


def _decode_rest(image: ImageFile.ImageFile, data: bytes, at_least: int | None, error: OSError) -> Image.Image:
    """Return the picture whose file has broken off, with the rows that are there."""
    if image.format in _JPEG:
        mode, size = image.mode, image.size
        image.close()
        ended = Image.open(EndedJpeg(data), formats=["JPEG"])
        if at_least is not None:
            ended.draft("RGB", (at_least, at_least))
        if (ended.mode, ended.size) != (mode, size):
            raise error
        ended.load()
        return ended
    if image.format not in ("PNG", "BMP") or image.info.get("interlace"):
        raise error
    image.tile = []  # what was decoded is already in place
    return image


def _brighten(image: Image.Image) -> Image.Image:
    """Scale a picture of 16 bits, of which Pillow keeps the upper 8, to the bits in use."""
    extrema = image.getextrema()[:3]
    highest = max(high for _, high in extrema)  # type: ignore[misc]  # pairs, because there are several bands
    if not 0 < highest <= _DARK:
        return image
    _, white = shown_range(0, 256 * highest + 255, whole=True)
    factor = 65535 / white
    bands = image.split()
    return Image.merge(
        image.mode, [band.point(lambda level: round(level * factor)) for band in bands[:3]] + [*bands[3:]]
    )


def _scan_count(image: Image.Image, jpeg: bytes) -> int:
    """Count the scans of a JPEG: one if baseline, one per component, or progressive ones.

    Raises:
        DecodeError: there are so many that decoding could take hours.
    """
    scans = _scans(jpeg)
    if next(scans, 0) == len(image.getbands()) and not image.info.get("progressive"):
        return 1
    count = 1 + sum(1 for _ in scans)
    if count * image.width * image.height > MAX_SCAN_PIXELS:
        raise DecodeError(f"{count} scans of {image.width}x{image.height} pixels would take too long to decode")
    return count


def _scans(jpeg: bytes) -> Iterator[int]:
    """Yield the number of components of each scan. Source: ITU-T T.81, annex B."""
    marker = _MARKER.search(jpeg, 2)
    while marker is not None and marker[1] != _END_OF_IMAGE:
        segment = marker.end()
        if marker[1] == _START_OF_SCAN:
            yield int.from_bytes(jpeg[segment + 2 : segment + 3])
        marker = _MARKER.search(jpeg, segment + int.from_bytes(jpeg[segment : segment + 2]))


def _memory_needed(image: Image.Image, size: tuple[int, int], scans: int, *, full_size: bool) -> int:
    """Estimate the bytes that decoding takes; `size` is the stored size, `image.size` the one after a draft."""
    stored, drafted = size[0] * size[1], image.width * image.height
    if image.format == "TIFF":
        tags = image.tag_v2  # type: ignore[attr-defined]  # TIFF only
        tile = tags.get(322, 0), tags.get(323, 0)  # sides in pixels; a tile can be larger than the picture
        stored = drafted = max(stored, tile[0] * tile[1])
    needed = drafted * (_BYTES_PER_PIXEL.get(image.format or "", 4) + (8 if full_size else 0))
    if scans > 1:
        needed += stored * 2 * len(image.getbands())  # coefficients are held until the last scan
    return needed
