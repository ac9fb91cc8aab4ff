"""The picture formats that crosslook reads, and names for what it does not read."""

from __future__ import annotations

import re
from importlib.util import find_spec
from typing import NamedTuple

from PIL import features


class PictureFormat(NamedTuple):
    """The media type of a format, the signature at the start of its files, and their suffixes.

    `needs` is the package, or the feature of Pillow, that reads the format where every Pillow does not.
    """

    media_type: str
    signature: re.Pattern[bytes]
    suffixes: str
    needs: str | None = None


_JPEG = re.compile(rb"\xff\xd8\xff")
_BRANDS = re.compile(rb".{4}ftyp(?:hei|hev|mif|msf|avi)", re.DOTALL)  # containers of AVIF and HEIF share brands
_TIFF = rb"II[*+]\x00|MM\x00[*+]"
_RAW_ALONE = rb"II(?:R[OS]|U\x00|\x1a\x00)|MMOR|FUJIFILMCCD-RAW|\x00MRM|.{4}ftypcrx "  # those that are no TIFF
_RAW = re.compile(_TIFF + b"|" + _RAW_ALONE, re.DOTALL)
_RAW_SUFFIXES = (
    ".3fr .arw .cr2 .cr3 .crw .dcr .dng .erf .fff .iiq .kdc .mef .mos .mrw .nef .nrw .orf .pef .raf .rw2 .rwl .sr2 "
    ".srf .srw"
)

FORMATS = {
    "JPEG": PictureFormat("image/jpeg", _JPEG, ".jpg .jpeg .jpe .jfif .jif"),
    "MPO": PictureFormat("image/jpeg", _JPEG, ".mpo"),  # several JPEGs in one file, of which the first is used
    "PNG": PictureFormat("image/png", re.compile(rb"\x89PNG\r\n\x1a\n"), ".png .apng"),
    "GIF": PictureFormat("image/gif", re.compile(rb"GIF8"), ".gif"),
    "BMP": PictureFormat("image/bmp", re.compile(rb"BM"), ".bmp .dib"),
    "WEBP": PictureFormat("image/webp", re.compile(rb"RIFF.{4}WEBP", re.DOTALL), ".webp", "webp"),
    "TIFF": PictureFormat("image/tiff", re.compile(_TIFF), ".tif .tiff"),
    "AVIF": PictureFormat("image/avif", _BRANDS, ".avif .avifs", "avif"),
    "HEIF": PictureFormat("image/heif", _BRANDS, ".heic .heics .heif .heifs .hif", "pillow_heif"),
    "PSD": PictureFormat("image/vnd.adobe.photoshop", re.compile(rb"8BPS\x00\x01"), ".psd"),
    "RAW": PictureFormat("image/x-dcraw", _RAW, _RAW_SUFFIXES, "rawpy"),  # of any camera, and DNG
    "JXL": PictureFormat("image/jxl", re.compile(rb"\xff\x0a|\x00\x00\x00\x0cJXL \r\n\x87\n"), ".jxl", "pylibjxl"),
}
"""Formats by their names in the catalog: those of Pillow, RAW and JXL."""

_FOREIGN = {
    "a PDF document": rb"%PDF",
    "an EPS or PostScript file": rb"%!PS",
    "an SVG drawing": rb"\s*(?:<\?xml[^>]*>\s*)?(?:<!--.*?-->\s*)?(?:<!DOCTYPE svg[^>]*>\s*)?<svg",
    "a web page": rb"\s*<(?:!doctype )?html",
    "a ZIP archive": rb"PK\x03\x04",
    "a JPEG XL file": FORMATS["JXL"].signature.pattern,
    "a JPEG 2000 file": rb"\x00\x00\x00\x0cjP  |\xff\x4f\xff\x51",
    "a lossless JPEG (JPEG-LS)": rb"\xff\xd8\xff\xf7",
    "a large Photoshop file (PSB)": rb"8BPS\x00\x02",
    "a camera's RAW file": _RAW_ALONE + b"|FOVb",
    "an icon": rb"\x00\x00[\x01\x02]\x00",
    "a video": rb".{4}ftyp(?:iso|mp4|M4V|qt  |avc1|3g|dash|XAVC)|.{4}(?:moov|mdat|wide)|\x1a\x45\xdf\xa3|RIFF.{4}AVI ",
    "a sound file": rb"ID3|OggS|fLaC|RIFF.{4}WAVE",
    "an OpenEXR file": rb"\x76\x2f\x31\x01",
    "a Radiance HDR file": rb"#\?RADIANCE|#\?RGBE",
}
_FOREIGN_SIGNATURES = {
    name: re.compile(pattern, re.DOTALL | re.IGNORECASE if name in ("a web page", "an SVG drawing") else re.DOTALL)
    for name, pattern in _FOREIGN.items()
}


def _readable(name: str) -> bool:
    """Whether this installation can decode a format."""
    needs = FORMATS[name].needs
    return needs is None or bool(features.check(needs) if needs in ("webp", "avif") else find_spec(needs))


_SUPPORTED = tuple(name for name in sorted(FORMATS) if _readable(name))

SUFFIXES = frozenset(suffix for name in _SUPPORTED for suffix in FORMATS[name].suffixes.split())
"""The suffixes of the files that this installation can decode, in lower case."""

RAW_SUFFIXES = frozenset(FORMATS["RAW"].suffixes.split())
"""The suffixes of cameras' raw files, in lower case, whether or not they can be decoded."""


def supported_formats() -> tuple[str, ...]:
    """Sorted names of the formats that this installation can decode."""
    return tuple(name for name in _SUPPORTED if name != "MPO")


def begins_like_a_picture(data: bytes) -> bool:
    """Whether data starts with the signature of a format."""
    return any(picture_format.signature.match(data) for picture_format in FORMATS.values())


def foreign_kind(data: bytes) -> str | None:
    """What a file is that crosslook does not read, by its first bytes, such as `a PDF document`."""
    head = data[:1024]
    return next((name for name, signature in _FOREIGN_SIGNATURES.items() if signature.match(head)), None)
