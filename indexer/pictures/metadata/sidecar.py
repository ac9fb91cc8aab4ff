"""XMP sidecars, `NAME.jpg.xmp` and `NAME.xmp`, in which programs keep what they do not write into pictures."""

from __future__ import annotations

from pathlib import Path

from ...errors import DecodeError, SidecarError
from ..safe_read import read_file
from .record import Findings
from .tags import Tags, findings
from .xmp import Packet
from .xmp_tags import read_xmp

MAX_SIDECAR = 4_000_000
"""Maximum bytes of a sidecar: raw developers store masks in them."""


def read_xmp_sidecar(path: Path) -> Findings:
    """Read a sidecar; what follows a fault in it is left out, with a note.

    Raises:
        SidecarError: it cannot be read, is not a file, is too large, or holds no XMP at all.
    """
    try:
        with read_file(path, limit=MAX_SIDECAR) as data:
            packet = Packet(data, MAX_SIDECAR)
    except DecodeError as exc:
        raise SidecarError(f"{path}: {exc}") from exc
    if packet.fault is not None and not packet.properties:
        raise SidecarError(f"{path} is not an XMP sidecar: {packet.fault}")
    tags = read_xmp(packet.properties)
    if packet.fault is not None:
        tags.note(f"its sidecar {path.name} could not be read in full: {packet.fault}")
    return findings(Tags(), tags, Tags(), Tags(), date_source="sidecar")
