"""TIFF files whose samples Pillow does not know: half floats, floats in colour, 32-bit colours, more than four bands.

libtiff (in Pillow) only decompresses them here: a new directory declares their rows to be bytes. NumPy does the rest.
Source: TIFF 6.0, and Adobe Photoshop TIFF Technical Note 3 for floats.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from PIL import Image

from ..errors import DecodeError
from .limits import check_size, reserve
from .opened import Opened
from .ranges import shown_range, to_bytes

_WIDTH, _HEIGHT, _BITS, _COMPRESSION, _PHOTOMETRIC, _FILL_ORDER, _SAMPLES = 256, 257, 258, 259, 262, 266, 277
_OFFSETS, _ROWS, _COUNTS, _PLANAR, _PREDICTOR, _EXTRA, _FORMAT = 273, 278, 279, 284, 317, 338, 339
_TILE_WIDTH, _TILE_HEIGHT, _TILE_OFFSETS, _TILE_COUNTS = 322, 323, 324, 325
_COMPRESSIONS = (1, 5, 8, 32773, 32946, 34925, 50000)  # those that compress bytes, whatever they mean
_KINDS = {1: "u", 2: "i", 3: "f"}
_TYPES = {1: "B", 2: "s", 3: "H", 4: "I"}
_MAX_VALUES = 4_000_000


def read_tags(data: bytes) -> dict[int, tuple[int, ...]]:
    """Read the whole numbers in the first directory of a TIFF; texts count as their bytes."""
    order = "<" if data.startswith(b"I") else ">"
    try:
        (start,) = struct.unpack_from(order + "I", data, 4)
        (count,) = struct.unpack_from(order + "H", data, start)
        tags: dict[int, tuple[int, ...]] = {}
        for at in range(start + 2, start + 2 + 12 * count, 12):
            tag, kind, number = struct.unpack_from(order + "HHI", data, at)
            letter = _TYPES.get(kind, "").replace("s", "B")
            if letter and number <= _MAX_VALUES:
                layout = f"{order}{number}{letter}"
                inside = struct.calcsize(layout) <= 4
                place = at + 8 if inside else struct.unpack_from(order + "I", data, at + 8)[0]
                tags[tag] = struct.unpack_from(layout, data, place)
    except struct.error:
        return {}
    return tags


class _Layout(NamedTuple):
    """How samples are stored: `dtype` in the file's byte order, rows in tiles of `unit` pixels."""

    width: int
    height: int
    samples: int
    dtype: np.dtype[np.generic]
    unit: int
    predictor: int


@contextmanager
def open_samples(data: bytes) -> Iterator[Opened]:
    """Decode a TIFF that Pillow cannot identify.

    Raises:
        DecodeError: it is sound, but of a kind that cannot be read; or it is damaged.
    """
    tags = read_tags(data)
    layout = _layout(tags, data[:1])
    size = layout.width, layout.height
    check_size(size)
    check_size((layout.unit, layout.height))
    stored = -(-layout.width // layout.unit) * layout.unit * layout.height * layout.samples * layout.dtype.itemsize
    with reserve(4 * stored + 24 * layout.width * layout.height, size, "TIFF"):
        values = _undo_predictor(_decompress(data, tags, layout), layout)
        image = _picture(values, tags)
        image.format = "TIFF"
        yield Opened(image, size)


def _layout(tags: dict[int, tuple[int, ...]], order: bytes) -> _Layout:
    try:
        width, height = tags[_WIDTH][0], tags[_HEIGHT][0]
        samples, bits = tags.get(_SAMPLES, (1,))[0], tags.get(_BITS, (1,))
        compression, planar = tags.get(_COMPRESSION, (1,))[0], tags.get(_PLANAR, (1,))[0]
        kind, predictor = tags.get(_FORMAT, (1,)), tags.get(_PREDICTOR, (1,))[0]
    except (KeyError, IndexError):
        raise DecodeError("damaged or truncated (it starts like a TIFF, but its header is invalid)") from None
    name = f"{samples} x {bits[0] if bits else 1} bits, compression {compression}"
    known = len(set(bits)) == 1 and len(set(kind)) == 1 and kind[0] in _KINDS and bits[0] in (8, 16, 32, 64)
    if not known or compression not in _COMPRESSIONS or (planar != 1 and samples > 1) or not 0 < samples <= 64:
        raise DecodeError(
            f"a kind of TIFF that crosslook does not read ({name}); save it with 8 or 16 bits per channel"
        )
    dtype = np.dtype(f"{'<' if order == b'I' else '>'}{_KINDS[kind[0]]}{bits[0] // 8}")
    return _Layout(width, height, samples, dtype, tags.get(_TILE_WIDTH, (width,))[0], predictor)


def _decompress(data: bytes, tags: dict[int, tuple[int, ...]], layout: _Layout) -> npt.NDArray[np.uint8]:
    """Return the stored bytes of all rows, (H, tiles, bytes of a tile's row)."""
    across = -(-layout.width // layout.unit)
    per_pixel = layout.samples * layout.dtype.itemsize
    kept = (_COMPRESSION, _FILL_ORDER, _OFFSETS, _ROWS, _COUNTS, _TILE_HEIGHT, _TILE_OFFSETS, _TILE_COUNTS)
    rows_of_bytes = {tag: tags[tag] for tag in kept if tag in tags}
    rows_of_bytes |= {_WIDTH: (across * layout.unit * per_pixel,), _HEIGHT: (layout.height,)}
    rows_of_bytes |= dict.fromkeys((_SAMPLES, _PHOTOMETRIC, _PLANAR), (1,)) | {_BITS: (8,)}
    if _TILE_WIDTH in tags:
        rows_of_bytes[_TILE_WIDTH] = (layout.unit * per_pixel,)
    order = "<" if data.startswith(b"I") else ">"
    start = len(data) + len(data) % 2
    content = data[:4] + struct.pack(order + "I", start) + data[8:].ljust(start - 8, b"\0")
    content += _directory(rows_of_bytes, order, start)
    with Image.open(io.BytesIO(content), formats=["TIFF"]) as rows:
        rows.load()
        return np.asarray(rows).reshape(layout.height, across, layout.unit * per_pixel)


def _directory(tags: dict[int, tuple[int, ...]], order: str, start: int) -> bytes:
    """Write a TIFF directory of whole numbers that begins at `start`."""
    entries, values = struct.pack(order + "H", len(tags)), b""
    after = start + 2 + 12 * len(tags) + 4
    for tag, numbers in sorted(tags.items()):
        packed = struct.pack(f"{order}{len(numbers)}I", *numbers)
        if len(numbers) > 1:
            packed, values = struct.pack(order + "I", after + len(values)), values + packed
        entries += struct.pack(order + "HHI", tag, 4, len(numbers)) + packed
    return entries + bytes(4) + values


def _undo_predictor(stored: npt.NDArray[np.uint8], layout: _Layout) -> npt.NDArray[np.generic]:
    """Return the samples, (H, W, S)."""
    height, across, _ = stored.shape
    size, samples = layout.dtype.itemsize, layout.samples
    if layout.predictor == 3:  # differences of bytes; the bytes of equal significance lie together
        sums = stored.reshape(height, across, -1, samples).cumsum(axis=2, dtype=np.uint8)
        planes = sums.reshape(height, across, size, -1)
        values = np.ascontiguousarray(planes.swapaxes(2, 3)).view(layout.dtype.newbyteorder(">"))
    else:
        values = np.ascontiguousarray(stored).view(layout.dtype)
    values = values.reshape(height, across, -1, samples)
    if layout.predictor == 2:
        values = values.astype(layout.dtype.newbyteorder("=")).cumsum(axis=2, dtype=layout.dtype.newbyteorder("="))
    return values.reshape(height, -1, samples)[:, : layout.width]


def _picture(values: npt.NDArray[np.generic], tags: dict[int, tuple[int, ...]]) -> Image.Image:
    """Show samples as grey, or the first three bands as colours."""
    samples, photometric = values.shape[2], tags.get(_PHOTOMETRIC, (1,))[0]
    colours = values[..., :3] if samples >= 3 else values[..., 0]
    finite = colours[np.isfinite(colours)]
    low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 0.0)
    levels = to_bytes(colours, shown_range(low, high, whole=values.dtype.kind != "f"))
    if photometric == 0:
        levels = 255 - levels
    if tags.get(_EXTRA, (0,))[0] in (1, 2) and samples in (2, 4):
        full = 1.0 if values.dtype.kind == "f" else 2.0 ** (8 * values.dtype.itemsize) - 1
        levels = np.dstack([levels, to_bytes(values[..., samples - 1], (0.0, full))])
    return Image.fromarray(np.ascontiguousarray(levels))
