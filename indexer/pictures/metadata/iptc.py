"""IPTC-IIM: the captions and keywords of press photographs.

Source: IPTC-NAA Information Interchange Model, version 4.2. Pillow's reader keeps nothing of a block with a fault.
"""

from __future__ import annotations

from collections.abc import Iterator

from PIL import Image

from .tags import Tags
from .text import decode

RESOURCE = 0x0404
"""The Photoshop resource, in APP13 of a JPEG, that holds IPTC-IIM."""

TIFF_TAG = 33723
MAX_BYTES = 262_144
MAX_FIELDS = 2_000

_NAMES = {
    5: "title",
    105: "title",  # headline
    120: "description",
    25: "keywords",
    80: "creator",
    116: "copyright",
    92: "places",
    90: "places",
    95: "places",
    101: "places",
}
_CODED_CHARACTER_SET = 1, 90
_ENCODINGS = {b"\x1b%G": "utf-8", b"\x1b%/I": "utf-8", b"\x1b.A": "latin-1", b"\x1b-A": "latin-1"}


def iptc_block(image: Image.Image) -> bytes:
    """The IPTC-IIM block of a JPEG or TIFF; empty if there is none."""
    if hasattr(image, "tag_v2"):
        # Photoshop declares the bytes as 32-bit integers, which Pillow would reorder.
        return image.tag_v2._tagdata.get(TIFF_TAG, b"")  # noqa: SLF001  as Pillow's own IptcImagePlugin does
    resources = image.info.get("photoshop")
    block = resources.get(RESOURCE) if isinstance(resources, dict) else None
    return block if isinstance(block, bytes) else b""


def read_iptc(block: bytes) -> Tags:
    """Read a block of IPTC-IIM up to the first fault."""
    tags = Tags()
    encoding = None
    fields: dict[int, list[str]] = {}
    for record, dataset, value in _fields(block[:MAX_BYTES], tags):
        if (record, dataset) == _CODED_CHARACTER_SET:
            encoding = _ENCODINGS.get(value.strip())
        elif record == 2:
            text = decode(value) if encoding is None else value.decode(encoding, errors="replace")
            fields.setdefault(dataset, []).append(text)
    for dataset, name in _NAMES.items():
        tags.add(name, *fields.get(dataset, ()))
    for kind, day, time in (("original", 55, 60), ("digitized", 62, 63)):
        if day in fields:
            tags.add(kind, f"{fields[day][0]} {fields.get(time, [''])[0]}")
    return tags


def _fields(block: bytes, tags: Tags) -> Iterator[tuple[int, int, bytes]]:
    """Yield record, dataset and value of each field."""
    at = 0
    for _ in range(MAX_FIELDS):
        field = block[at : at + 5]
        if not field.strip(b"\0"):
            return
        start, size = at + 5, int.from_bytes(field[3:])
        if size & 0x8000:  # the size of the size
            width = min(size & 0x7FFF, 8)
            start, size = start + width, int.from_bytes(block[start : start + width])
        if len(field) < 5 or field[0] != 0x1C or start + size > len(block):
            tags.note(f"its IPTC is damaged after the first {at:,} bytes")
            return
        yield field[1], field[2], block[start : start + size]
        at = start + size
