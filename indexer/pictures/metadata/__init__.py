"""What picture files and their sidecars say about themselves: date, place, camera, and words.

| module | reads |
| --- | --- |
| `reading` | a decoded picture: EXIF, IPTC, XMP and PNG text, one record from all |
| `sidecar` | `NAME.xmp` and `NAME.jpg.xmp` files |
| `exif`, `iptc`, `xmp` | one kind of metadata each |
| `dates`, `names` | dates in metadata, and in file names |
| `positions` | latitude and longitude |
| `record`, `tags` | the result, and how it is chosen from what the sources say |

Metadata is often broken, and never makes a picture unreadable: what cannot be read is left out, with a note.
"""

from __future__ import annotations

from .names import date_from_name
from .reading import read_metadata
from .record import Findings, PictureMetadata, Words, dated_by_name, with_note, with_sidecar
from .sidecar import read_xmp_sidecar

__all__ = [
    "Findings",
    "PictureMetadata",
    "Words",
    "date_from_name",
    "dated_by_name",
    "read_metadata",
    "read_xmp_sidecar",
    "with_note",
    "with_sidecar",
]
