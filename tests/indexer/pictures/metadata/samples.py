"""Pictures with metadata, made in a few bytes."""

from __future__ import annotations

import io
import struct
from pathlib import Path
from typing import Any

from PIL import ExifTags, Image

from indexer.pictures.decode import read_picture
from indexer.pictures.metadata import PictureMetadata

NAMESPACES = {
    "rdf": "http://www.w3.org/1999/02/22-rdf-syntax-ns#",
    "dc": "http://purl.org/dc/elements/1.1/",
    "xmp": "http://ns.adobe.com/xap/1.0/",
    "xmpNote": "http://ns.adobe.com/xmp/note/",
    "xmpMM": "http://ns.adobe.com/xap/1.0/mm/",
    "exif": "http://ns.adobe.com/exif/1.0/",
    "aux": "http://ns.adobe.com/exif/1.0/aux/",
    "exifEX": "http://cipa.jp/exif/1.0/",
    "tiff": "http://ns.adobe.com/tiff/1.0/",
    "photoshop": "http://ns.adobe.com/photoshop/1.0/",
    "lr": "http://ns.adobe.com/lightroom/1.0/",
    "digiKam": "http://www.digikam.org/ns/1.0/",
    "MicrosoftPhoto": "http://ns.microsoft.com/photo/1.0/",
    "MP": "http://ns.microsoft.com/photo/1.2/",
    "MPRI": "http://ns.microsoft.com/photo/1.2/t/RegionInfo#",
    "MPReg": "http://ns.microsoft.com/photo/1.2/t/Region#",
    "mwg-rs": "http://www.metadataworkinggroup.com/schemas/regions/",
    "Iptc4xmpCore": "http://iptc.org/std/Iptc4xmpCore/1.0/xmlns/",
    "Iptc4xmpExt": "http://iptc.org/std/Iptc4xmpExt/2008-02-29/",
}


def xmp(inner: str = "", attributes: str = "") -> str:
    """A packet with one description, of some attributes and elements."""
    declarations = " ".join(f'xmlns:{prefix}="{uri}"' for prefix, uri in NAMESPACES.items())
    return (
        '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?><x:xmpmeta xmlns:x="adobe:ns:meta/">'
        f'<rdf:RDF {declarations}><rdf:Description rdf:about="" {attributes}>{inner}</rdf:Description></rdf:RDF>'
        "</x:xmpmeta>" + " " * 200 + '<?xpacket end="w"?>'
    )


def bag(name: str, *values: str, kind: str = "Bag") -> str:
    """A property that is a list."""
    return f"<{name}><rdf:{kind}>{''.join(f'<rdf:li>{value}</rdf:li>' for value in values)}</rdf:{kind}></{name}>"


def field(dataset: int, value: str | bytes, record: int = 2) -> bytes:
    """A field of IPTC-IIM."""
    data = value.encode() if isinstance(value, str) else value
    return struct.pack(">BBBH", 0x1C, record, dataset, len(data)) + data


def segment(marker: int, data: bytes) -> bytes:
    """A segment of a JPEG."""
    return struct.pack(">BBH", 0xFF, marker, len(data) + 2) + data


def photoshop(block: bytes) -> bytes:
    """A segment with an IPTC-IIM block."""
    padding = b"\0" * (len(block) % 2)
    return segment(0xED, b"Photoshop 3.0\0" + struct.pack(">4sHHI", b"8BIM", 0x0404, 0, len(block)) + block + padding)


def exif(
    base: dict[int, Any] | None = None, details: dict[int, Any] | None = None, gps: dict[int, Any] | None = None
) -> bytes:
    """An EXIF block of three directories."""
    block = Image.Exif()
    block.update(base or {})
    block.get_ifd(ExifTags.IFD.Exif).update(details or {})
    block.get_ifd(ExifTags.IFD.GPSInfo).update(gps or {})
    return block.tobytes()


def jpeg(*segments: bytes, **options: Any) -> bytes:
    """A small JPEG with segments after its start."""
    data = encoded("JPEG", **options)
    return data[:2] + b"".join(segments) + data[2:]


def encoded(kind: str, **options: Any) -> bytes:
    """A small picture of a kind."""
    buffer = io.BytesIO()
    Image.new("RGB", (16, 12), "red").save(buffer, kind, **options)
    return buffer.getvalue()


def metadata(data: bytes | Path) -> PictureMetadata:
    """The metadata of a picture."""
    return read_picture(data)[1]
