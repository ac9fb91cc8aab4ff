"""Read the metadata of a decoded picture."""

from __future__ import annotations

from collections.abc import Callable

from PIL import ExifTags, Image

from .exif_tags import Directories, raw_profile, read_directories, read_exif, text_of
from .iptc import iptc_block, read_iptc
from .record import PictureMetadata
from .tags import Tags, findings
from .xmp import Packet
from .xmp_tags import read_xmp

_EXTENSION = b"http://ns.adobe.com/xmp/extension/\0"
_HAS_EXTENSION = "{http://ns.adobe.com/xmp/note/}HasExtendedXMP"
_PNG_TEXTS = {
    "Title": "title",
    "Description": "description",
    "Author": "creator",
    "Copyright": "copyright",
    "Creation Time": "created",
}
"""Keywords of PNG text, from the PNG specification. Pillow does not give its tIME, the time of the last change."""

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


def read_metadata(image: Image.Image, size: tuple[int, int]) -> tuple[PictureMetadata, Image.Transpose | None]:
    """Read the metadata of a picture, and the transposition that makes it upright.

    Args:
        image: a decoded picture, because a PNG may have metadata after its pixels.
        size: width and height as stored; a JPEG decoded in draft mode no longer has them.
    """
    directories = Directories({}, {}, {})

    def exif() -> Tags:
        nonlocal directories
        directories = read_directories(image)
        return read_exif(directories)

    sources = {"EXIF": exif, "XMP": lambda: _xmp(image), "IPTC": lambda: _iptc(image), "text": lambda: _png_text(image)}
    found = findings(*(_read(name, read) for name, read in sources.items()))
    transpose = _transpose(image, directories)
    width, height = reversed(size) if transpose in _SWAPS_SIDES else size
    name = "JPEG" if image.format == "MPO" else image.format  # several JPEGs in one file, of which the first is used
    return PictureMetadata(width, height, name or "unknown", **vars(found)), transpose


def _read(name: str, read: Callable[[], Tags]) -> Tags:
    """Read one source; whatever is wrong with it does not touch the others."""
    try:
        return read()
    except Exception as exc:  # noqa: BLE001  Pillow raises anything on broken metadata
        tags = Tags()
        tags.note(f"its {name} could not be read: {str(exc)[:200] or type(exc).__name__}")
        return tags


def _transpose(image: Image.Image, directories: Directories) -> Image.Transpose | None:
    """The transposition that undoes the EXIF orientation; some decoders have undone it already."""
    orientation = directories.base.get(ExifTags.Base.Orientation)
    if not isinstance(orientation, int) or image.format in ("HEIF", "JXL", "TIFF"):
        return None
    return _TRANSPOSES.get(orientation)


def _xmp(image: Image.Image) -> Tags:
    """Read the XMP packet of a picture, and in a JPEG, the extension that it names."""
    data = image.info.get("xmp") or image.info.get("XML:com.adobe.xmp") or raw_profile(image, "xmp")
    if not isinstance(data, (bytes, str)) or not data:
        return Tags()
    packet = Packet(data)
    packets = [packet]
    properties = packet.properties
    for name in properties.get(_HAS_EXTENSION, ())[:1]:
        packets.append(Packet(_extension(image, str(name))))
        properties = packets[-1].properties | properties
    tags = read_xmp(properties)
    for packet in packets:
        if packet.fault is not None:
            tags.note(f"its XMP could not be read in full: {packet.fault}")
    return tags


def _extension(image: Image.Image, name: str) -> bytes:
    """The parts of a packet that is larger than a segment of a JPEG, put together."""
    start = _EXTENSION + name.encode(errors="replace")
    parts = {}
    for kind, data in getattr(image, "applist", ()):
        if kind == "APP1" and data.startswith(start):
            position = len(start) + 8  # the size of the packet, and the offset of the part
            parts[int.from_bytes(data[position - 4 : position])] = data[position:]
    return b"".join(part for _, part in sorted(parts.items()))


def _iptc(image: Image.Image) -> Tags:
    return read_iptc(iptc_block(image))


def _png_text(image: Image.Image) -> Tags:
    tags = Tags()
    for key, name in _PNG_TEXTS.items() if image.format == "PNG" else ():
        tags.add(name, text_of(image.info.get(key)))
    return tags
