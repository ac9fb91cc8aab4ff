"""Metadata in picture files. Broken metadata is common, and never makes a picture unreadable."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
from PIL import ExifTags, Image

MAX_CAMERA_LENGTH = 200
"""Maximum characters of a camera's name; the rest is cut off."""


@dataclass(frozen=True)
class PictureMetadata:
    """Metadata of a picture file; width and height are those of the upright picture, in pixels.

    `note` says what is wrong with a file that can be used all the same; the catalog does not store it.
    """

    width: int
    height: int
    format: str
    taken_at: str | None = None
    latitude: float | None = None
    longitude: float | None = None
    camera: str | None = None
    note: str | None = None


def read_metadata(image: Image.Image, size: tuple[int, int]) -> tuple[PictureMetadata, Image.Transpose | None]:
    """Read the metadata of a picture, and the transposition that makes it upright.

    Args:
        image: a decoded picture, because reading the EXIF block of a PNG would decode it and hide its errors.
        size: width and height as stored; a JPEG decoded in draft mode no longer has them.
    """
    fields: dict[str, Any] = {}
    transpose = None
    with suppress(Exception):  # Pillow raises anything on a broken EXIF block
        exif = _read_exif(image)
        transpose = _transpose(image, exif)
        with suppress(Exception):
            fields["taken_at"] = _date(exif)
        fields["camera"] = _camera(exif)
        fields |= _position(exif.get_ifd(ExifTags.IFD.GPSInfo))
    width, height = reversed(size) if transpose in _SWAPS_SIDES else size
    name = "JPEG" if image.format == "MPO" else image.format  # several JPEGs in one file, of which the first is used
    return PictureMetadata(width, height, name or "unknown", **fields), transpose


def _read_exif(image: Image.Image) -> Image.Exif:
    """The EXIF block alone; if it has no orientation, Pillow would take the one of XMP, which viewers ignore."""
    block = image.info.get("exif")
    if isinstance(block, bytes):
        exif = Image.Exif()
        exif.load(block)
        return exif
    hidden: dict[str | tuple[int, int], Any] = {
        name: image.info.pop(name) for name in ("xmp", "XML:com.adobe.xmp") if name in image.info
    }
    try:
        return image.getexif()
    finally:
        image.info |= hidden


_TRANSPOSES = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_SWAPS_SIDES = {_TRANSPOSES[orientation] for orientation in (5, 6, 7, 8)}


def _transpose(image: Image.Image, exif: Image.Exif) -> Image.Transpose | None:
    """The transposition that undoes the EXIF orientation; some decoders have undone it already."""
    return None if image.format in ("HEIF", "JXL", "TIFF") else _TRANSPOSES.get(exif.get(ExifTags.Base.Orientation, 1))


def _camera(exif: Image.Exif) -> str | None:
    maker, model = (_text(exif.get(tag)) for tag in (ExifTags.Base.Make, ExifTags.Base.Model))
    if maker and model.lower().startswith(maker.split()[0].lower()):  # NIKON CORPORATION, NIKON D750
        maker = ""
    return f"{maker} {model}".strip()[:MAX_CAMERA_LENGTH] or None


def _text(value: object) -> str:
    if isinstance(value, bytes):
        value = value.decode("latin-1")
    return " ".join(value.replace("\x00", " ").split()) if isinstance(value, str) else ""


def _date(exif: Image.Exif) -> str | None:
    """The first valid date as ISO 8601, without a time zone, which cameras do not record."""
    details = exif.get_ifd(ExifTags.IFD.Exif)
    tags = ExifTags.Base.DateTimeOriginal, ExifTags.Base.DateTimeDigitized
    for candidate in (*(details.get(tag) for tag in tags), exif.get(ExifTags.Base.DateTime)):
        with suppress(ValueError):
            return datetime.strptime(_text(candidate), "%Y:%m:%d %H:%M:%S").isoformat()  # noqa: DTZ007  see above
    return None


def _position(gps: dict[int, Any]) -> dict[str, float]:
    """Latitude and longitude, if both are valid."""
    tags = ExifTags.GPS
    latitude = _degrees(gps[tags.GPSLatitude], 90, negative=_text(gps.get(tags.GPSLatitudeRef)) == "S")
    longitude = _degrees(gps[tags.GPSLongitude], 180, negative=_text(gps.get(tags.GPSLongitudeRef)) == "W")
    return {} if latitude is None or longitude is None else {"latitude": latitude, "longitude": longitude}


def _degrees(parts: Any, limit: float, *, negative: bool) -> float | None:  # noqa: ANN401  EXIF rationals
    degrees = sum(float(part) / 60**i for i, part in enumerate(parts[:3]))
    return round(-degrees if negative else degrees, 6) if np.isfinite(degrees) and abs(degrees) <= limit else None
