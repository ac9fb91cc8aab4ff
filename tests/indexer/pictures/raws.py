"""A camera's RAW file (DNG) and a Photoshop file, written from their specifications."""

from __future__ import annotations

import struct
from typing import Any

import numpy as np
from PIL import Image

_TYPES = {"B": 1, "s": 2, "H": 3, "I": 4, "q": 10}  # q: signed rationals, here of denominator 1
_Entries = dict[int, tuple[Any, ...]]


def dng(
    *previews: bytes, orientation: int = 1, date: str | None = None, sensor: Image.Image | None = None, cut: int = 0
) -> bytes:
    """An uncompressed DNG with JPEG previews. Source: Adobe Digital Negative Specification 1.6.

    Args:
        previews: JPEG files.
        orientation: the EXIF orientation of the whole file.
        date: when it was taken, as EXIF writes it.
        sensor: what the sensor saw; grey if None.
        cut: bytes of the sensor's data that are missing at the end of the file.
    """
    sensor = sensor or Image.new("RGB", (640, 480), (90, 90, 90))
    width, height = sensor.size
    mosaic = _mosaic(sensor)
    main: _Entries = {254: ("I", 1), 271: ("s", b"Leitz\0"), 272: ("s", b"M3\0"), 274: ("H", orientation)}
    main |= {50706: ("B", 1, 4, 0, 0), 50721: ("q", *np.eye(3, dtype=int).ravel().tolist()), 50778: ("H", 21)}
    raw: _Entries = {
        254: ("I", 0),
        256: ("I", width),
        257: ("I", height),
        258: ("H", 16),
        259: ("H", 1),
        262: ("H", 32803),
    }
    raw |= {277: ("H", 1), 278: ("I", height), 279: ("I", len(mosaic)), 33421: ("H", 2, 2), 33422: ("B", 0, 1, 1, 2)}
    file, directories = bytearray(8), []
    for preview in previews:
        wide, high = _jpeg_size(preview)
        entries: _Entries = {254: ("I", 1), 256: ("I", wide), 257: ("I", high), 258: ("H", 8, 8, 8), 259: ("H", 7)}
        entries |= {262: ("H", 6), 273: ("I", len(file)), 277: ("H", 3), 278: ("I", high), 279: ("I", len(preview))}
        file += preview + bytes(len(preview) % 2)
        directories.append(_append(file, entries))
    if date is not None:
        main[34665] = ("I", _append(file, {36867: ("s", date.encode() + b"\0")}))
    after = 6 + 12 * (len(raw) + 2)
    directories.append(len(file))
    raw |= {273: ("I", len(file) + after + 2 + 12 * (len(main) + 1) + 4 + 200), 50717: ("I", 65535)}
    _append(file, raw)
    start = _append(file, main | {330: ("I", *directories)})
    file[:8] = struct.pack("<2sHI", b"II", 42, start)
    file = file.ljust(raw[273][1], b"\0")
    return bytes(file + mosaic[: len(mosaic) - cut])


def _append(file: bytearray, entries: _Entries) -> int:
    """Append a TIFF directory to a file, and return its offset."""
    start, values = len(file), b""
    head = struct.pack("<H", len(entries))
    for tag, (kind, *numbers) in sorted(entries.items()):
        if kind == "s":
            packed, count = numbers[0], len(numbers[0])
        elif kind == "q":
            packed, count = b"".join(struct.pack("<ii", number, 1) for number in numbers), len(numbers)
        else:
            packed, count = struct.pack(f"<{len(numbers)}{kind}", *numbers), len(numbers)
        if len(packed) > 4:
            at = start + 6 + 12 * len(entries) + len(values)
            packed, values = struct.pack("<I", at), values + packed + bytes(len(packed) % 2)
        head += struct.pack("<HHI", tag, _TYPES[kind], count) + packed.ljust(4, b"\0")
    file += head + bytes(4) + values
    return start


def psd(
    image: Image.Image, *, bits: int = 8, merged: bool = True, transparency: bool = False, orientation: int = 1
) -> bytes:
    """A Photoshop file without layers. Source: Adobe Photoshop File Formats Specification.

    Args:
        image: its flat composite, in L, RGB, RGBA or CMYK.
        bits: the bits that its header declares for each channel.
        merged: whether it says that it contains the composite.
        transparency: whether the fourth channel of RGBA is the transparency of the composite, not a saved selection.
        orientation: the orientation in its EXIF block.
    """
    mode = {"L": 1, "RGB": 3, "RGBA": 3, "CMYK": 4}[image.mode]
    head = b"8BPS\0\1" + bytes(6) + struct.pack(">HIIHH", len(image.getbands()), image.height, image.width, bits, mode)
    exif = Image.Exif()
    exif[274] = orientation
    resources = _resource(1057, struct.pack(">IB", 1, merged) + bytes(9)) + _resource(1058, exif.tobytes())
    layers = struct.pack(">Ih", 4, -1) + bytes(2) if transparency else b""
    planes = np.asarray(image).reshape(image.height, image.width, -1).transpose(2, 0, 1)
    pixels = (255 - planes if mode == 4 else planes).tobytes()
    sections = b"".join(struct.pack(">I", len(section)) + section for section in (b"", resources, layers))
    return head + sections + b"\0\0" + pixels


def _resource(number: int, data: bytes) -> bytes:
    return b"8BIM" + struct.pack(">H", number) + b"\0\0" + struct.pack(">I", len(data)) + data + b"\0" * (len(data) % 2)


def _mosaic(image: Image.Image) -> bytes:
    """The red, green or blue of each pixel that the sensor's filter lets through (RGGB), in 16 linear bits."""
    linear = ((np.asarray(image) / 255) ** 2.2 * 65535).astype("<u2")
    mosaic = linear[..., 1].copy()
    mosaic[::2, ::2], mosaic[1::2, 1::2] = linear[::2, ::2, 0], linear[1::2, 1::2, 2]
    return mosaic.tobytes()


def _jpeg_size(jpeg: bytes) -> tuple[int, int]:
    at = jpeg.index(b"\xff\xc0") + 5
    height, width = struct.unpack_from(">HH", jpeg, at)
    return width, height
