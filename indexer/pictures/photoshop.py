"""What Pillow leaves out of a Photoshop file. Source: Adobe Photoshop File Formats Specification."""

from __future__ import annotations

import struct

from PIL import Image

from ..errors import DecodeError

_VERSION_INFO, _EXIF, _XMP = 1057, 1058, 1060  # image resources
_INFO = {_EXIF: "exif", _XMP: "xmp"}


def check_header(data: bytes) -> None:
    """Reject the files whose composite Pillow does not read.

    Raises:
        DecodeError: its channels have more than 8 bits.
    """
    bits = int.from_bytes(data[22:24])
    if bits in (16, 32):
        raise DecodeError(f"a Photoshop file of {bits} bits per channel; save it with 8 bits per channel")


def flat_picture(image: Image.Image, data: bytes) -> Image.Image:
    """Return the flat composite of a Photoshop file, with its metadata, and without a channel that is no alpha.

    Raises:
        DecodeError: the file was saved without it.
    """
    for number, _, block in image.resources:  # type: ignore[attr-defined]  # PSD only
        if number == _VERSION_INFO and len(block) > 4 and not block[4]:
            raise DecodeError("a Photoshop file without a flat picture; save it with “Maximize compatibility”")
        if number in _INFO:
            image.info.setdefault(_INFO[number], block)
    if image.mode != "RGBA" or _alpha_is_transparency(data):
        return image
    flat = image.convert("RGB")
    flat.format = image.format
    return flat


def _alpha_is_transparency(data: bytes) -> bool:
    """Whether the channel after the colours is the transparency of the composite, and not a saved selection."""
    try:
        at = 26
        for _ in range(2):  # colour table, image resources
            at += 4 + struct.unpack_from(">I", data, at)[0]
        section, layers = struct.unpack_from(">II", data, at)
        return section >= 6 and layers >= 2 and struct.unpack_from(">h", data, at + 8)[0] < 0
    except struct.error:
        return False
