"""The EXIF tags that say something about a picture.

Sources: CIPA DC-008 (Exif 3.0); the XP tags, rating and its percentage are Microsoft's.
"""

from __future__ import annotations

import re
from contextlib import suppress
from typing import NamedTuple

from PIL import ExifTags, Image

from .exif import Directory, Exif
from .positions import Coordinate, coordinate, position
from .tags import Tags, camera_name
from .text import decode

_BASE, _GPS = ExifTags.Base, ExifTags.GPS
_POINTERS = {_BASE.ExifOffset, _BASE.GPSInfo}
_DATES = {"original": _BASE.DateTimeOriginal, "digitized": _BASE.DateTimeDigitized, "modified": _BASE.DateTime}
_TEXTS = {"description": _BASE.ImageDescription, "creator": _BASE.Artist, "lens": _BASE.LensModel}
_UTF16 = {
    _BASE.XPTitle: "title",
    _BASE.XPSubject: "title",
    _BASE.XPComment: "description",
    _BASE.XPAuthor: "creator",
    _BASE.XPKeywords: "keywords",
}
_COORDINATES = {_GPS.GPSLatitudeRef, _GPS.GPSLatitude, _GPS.GPSLongitudeRef, _GPS.GPSLongitude, _GPS.GPSStatus}
_WANTED = frozenset(
    {_BASE.Make, _BASE.Model, _BASE.Orientation, _BASE.Copyright, _BASE.Rating, _BASE.UserComment}
    | _POINTERS
    | {*_DATES.values(), *_TEXTS.values(), *_UTF16}
)
_CHARACTER_CODES = {b"ASCII\0\0\0": None, b"UNICODE\0": "utf-16", b"JIS\0\0\0\0\0": "iso2022_jp", bytes(8): None}


class Directories(NamedTuple):
    """The three directories of an EXIF block, and the byte order of its UTF-16."""

    base: Directory
    details: Directory
    gps: Directory
    order: str = "<"


def read_directories(image: Image.Image) -> Directories:
    """Read the EXIF block of a decoded picture.

    Raises:
        ValueError: it is not one.
    """
    if hasattr(image, "tag_v2"):  # a TIFF is an EXIF block itself, which Pillow has read
        exif = image.getexif()
        inner = [exif.get_ifd(ifd) for ifd in (ExifTags.IFD.Exif, ExifTags.IFD.GPSInfo)]
        return Directories(_undamaged(exif), inner[0], inner[1], exif.endian or "<")
    block = image.info.get("exif") or raw_profile(image, "exif") or raw_profile(image, "APP1")
    if not isinstance(block, bytes) or block in (b"", b"Exif\0\0"):
        return Directories({}, {}, {})
    reader = Exif(block)
    base = reader.directory(reader.start, _WANTED)
    details = reader.directory(base.get(_BASE.ExifOffset), _WANTED)
    return Directories(base, details, reader.directory(base.get(_BASE.GPSInfo), _COORDINATES), reader.order)


def _undamaged(exif: Image.Exif) -> dict[int, object]:
    """The wanted tags of a TIFF; Pillow raises anything on those that are damaged."""
    found: dict[int, object] = {}
    for tag in _WANTED.intersection(exif):
        with suppress(Exception):
            found[tag] = exif[tag]
    return found


def raw_profile(image: Image.Image, name: str) -> bytes:
    """A block that ImageMagick wrote as text into a PNG: an empty line, a name, a size, and itself in hexadecimal."""
    text = image.info.get(f"Raw profile type {name}")
    return bytes.fromhex("".join(text.split("\n")[3:])) if isinstance(text, str) else b""


def read_exif(directories: Directories) -> Tags:
    """Read what the directories say."""
    base, details, gps, order = directories
    tags = Tags()
    for values in (details, base):  # the details belong into the second directory; some programs use the first
        for name, tag in _TEXTS.items():
            tags.add(name, text_of(values.get(tag)))
        for name, tag in _DATES.items():
            date = values.get(tag)  # in some, the parts are separated by zeros
            tags.add(name, text_of(date.replace(b"\0", b" ") if isinstance(date, bytes) else date))
    tags.add("camera", camera_name(text_of(base.get(_BASE.Make)), text_of(base.get(_BASE.Model))))
    tags.add("copyright", text_of(base.get(_BASE.Copyright)))
    tags.add("rating", text_of(base.get(_BASE.Rating)))
    for tag, name in _UTF16.items():
        text = _utf16(base.get(tag), "<")
        tags.add(name, *(re.split(r"[;\0]", text) if name in ("keywords", "creator") else (text,)))
    tags.add("description", _comment(details.get(_BASE.UserComment), order))
    tags.position = position(
        _coordinate(gps.get(_GPS.GPSLatitude), text_of(gps.get(_GPS.GPSLatitudeRef))),
        _coordinate(gps.get(_GPS.GPSLongitude), text_of(gps.get(_GPS.GPSLongitudeRef))),
        text_of(gps.get(_GPS.GPSStatus)),
    )
    return tags


def text_of(value: object) -> str:
    """A value as text; Pillow decodes those of TIFF and PNG files as Latin-1, which many programs fill with UTF-8."""
    if isinstance(value, str):
        try:
            value = value.encode("latin-1")
        except UnicodeEncodeError:
            return str(value)
    if isinstance(value, bytes):
        return decode(value)
    return str(value) if isinstance(value, (int, float)) else ""


def _utf16(value: object, order: str) -> str:
    """A value in UTF-16, which starts with its byte order or has that of the block."""
    if isinstance(value, tuple):  # of bytes
        value = bytes(number & 255 for number in value if isinstance(number, int))
    if not isinstance(value, bytes):
        return ""
    if not value.startswith((b"\xff\xfe", b"\xfe\xff")):
        even, odd = value[::2].count(0), value[1::2].count(0)  # characters of European languages have a zero byte
        order = order if even == odd else "<" if odd > even else ">"
        return value.decode("utf-16-le" if order == "<" else "utf-16-be", errors="replace").rstrip("\0\ufffd")
    return value.decode("utf-16", errors="replace").rstrip("\0\ufffd")


def _comment(value: object, order: str) -> str:
    """A user comment, whose first eight bytes name its encoding."""
    if not isinstance(value, bytes) or value[:8] not in _CHARACTER_CODES:
        return text_of(value) if isinstance(value, (str, bytes)) else ""
    encoding, text = _CHARACTER_CODES[value[:8]], value[8:]
    if encoding == "utf-16":
        return _utf16(text, order)
    return decode(text.lstrip(b"\0 ")) if encoding is None else text.decode(encoding, errors="replace")


def _coordinate(value: object, direction: str) -> Coordinate:
    """Degrees, minutes and seconds as numbers, or as a text such as `48,8.2N`."""
    if isinstance(value, (str, bytes)):
        return coordinate(text_of(value), direction)
    parts = value if isinstance(value, tuple) else () if value is None else (value,)
    try:
        return Coordinate([float(part) for part in parts[:3]], direction)
    except (TypeError, ValueError, ZeroDivisionError):
        return Coordinate((), direction)
