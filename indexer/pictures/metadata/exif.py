"""EXIF: what cameras record.

Source: TIFF 6.0. Pillow's reader takes every value of a directory into memory, and 5,000 entries that all point to the
same 60 kB make that 300 MB; this one takes the tags that are asked for, each at most once.
"""

from __future__ import annotations

import struct
from collections.abc import Collection, Mapping
from typing import Any

Directory = Mapping[int, Any]
"""Values by tag: bytes, a string, a number, or a tuple of numbers."""

MAX_BLOCK = 4_000_000
"""Maximum bytes of a block that are read; larger ones hold previews at their end."""

MAX_VALUE = 65_536
"""Maximum bytes of a value; a larger one is left out."""

MAX_ENTRIES = 1_000
"""Maximum entries of a directory; cameras write fewer than a hundred."""

_BYTES = {1: 1, 2: 1, 7: 1, 129: 1}  # BYTE, ASCII, UNDEFINED, UTF-8
_NUMBERS = {3: "H", 4: "L", 6: "b", 8: "h", 9: "l", 11: "f", 12: "d", 13: "L"}
_RATIONALS = {5: "L", 10: "l"}
_ORDERS = {b"II*\0": "<", b"MM\0*": ">", b"II\0*": "<", b"MM*\0": ">"}  # the last two are wrong, and exist


class Exif:
    """An EXIF block, of which single directories are read.

    Raises:
        ValueError: it does not begin like one.
    """

    def __init__(self, block: bytes) -> None:
        block = block[:MAX_BLOCK]
        while block.startswith(b"Exif\0\0"):
            block = block[6:]
        if block[:4] not in _ORDERS:
            raise ValueError("it does not begin with a TIFF header")
        self.block, self.order = block, _ORDERS[block[:4]]
        (self.start,) = struct.unpack(f"{self.order}L", block[4:8].ljust(4, b"\0"))

    def directory(self, offset: object, wanted: Collection[int]) -> Directory:
        """Read the wanted tags of the directory at an offset; those that are damaged are left out."""
        if not isinstance(offset, int) or not 8 <= offset < len(self.block) - 2:
            return {}
        (count,) = struct.unpack_from(f"{self.order}H", self.block, offset)
        entries = self.block[offset + 2 : offset + 2 + 12 * min(count, MAX_ENTRIES)]
        found: dict[int, Any] = {}
        for tag, kind, number, inline in struct.iter_unpack(f"{self.order}HHL4s", entries[: len(entries) // 12 * 12]):
            if tag in wanted and tag not in found:
                value = self._value(kind, number, inline)
                if value is not None:
                    found[tag] = value
        return found

    def _value(self, kind: int, number: int, inline: bytes) -> object:
        code = _NUMBERS.get(kind) or _RATIONALS.get(kind)
        size = number * (
            struct.calcsize(f"={code}") * (2 if kind in _RATIONALS else 1) if code else _BYTES.get(kind, 0)
        )
        if not 0 < size <= MAX_VALUE:
            return None
        (offset,) = struct.unpack(f"{self.order}L", inline)
        data = inline[:size] if size <= 4 else self.block[offset : offset + size]
        if len(data) < size:
            return None
        if code is None:
            return data
        values = struct.unpack(f"{self.order}{size // struct.calcsize(f'={code}')}{code}", data)
        if kind in _RATIONALS:
            values = tuple(a / b if b else float("nan") for a, b in zip(values[::2], values[1::2], strict=True))
        return values[0] if len(values) == 1 else values
