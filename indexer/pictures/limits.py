"""Limits on what decoding a picture may cost, whatever its format."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from ..errors import DecodeError
from .safe_read import MemoryBudget

MAX_PIXELS = 250_000_000
"""Larger pictures are rejected before decoding, because a small file can demand any amount of memory."""

MAX_MEMORY = 2**31
"""Bytes that decoding may take at one time, over all threads. A picture that needs more by itself is rejected."""

MAX_SCAN_PIXELS = 80 * MAX_PIXELS
"""Maximum pixels times scans of a JPEG. Progressive ones have about ten scans, and a few bytes can add another."""

_MEMORY = MemoryBudget(MAX_MEMORY)  # one per process


def check_size(size: tuple[int, int]) -> None:
    """Reject a picture by its width and height.

    Raises:
        DecodeError: it has no pixels, or too many.
    """
    width, height = size
    if width * height > MAX_PIXELS:
        raise DecodeError(f"too many pixels ({width}x{height}); the limit is {MAX_PIXELS:,}")
    if not width * height:
        raise DecodeError("damaged or truncated (it has no pixels)")


@contextmanager
def reserve(needed: int, size: tuple[int, int], kind: str) -> Iterator[None]:
    """Hold memory for decoding for the duration of the block; wait until other threads have released theirs.

    Args:
        needed: bytes.
        size: width and height, for the message.
        kind: the format, for the message.

    Raises:
        DecodeError: more bytes than decoding may take.
    """
    if needed > MAX_MEMORY:
        raise DecodeError(
            f"{size[0]}x{size[1]} pixels of {kind} would take {needed / 1e9:.1f} GB to decode; "
            f"the limit is {MAX_MEMORY / 1e9:.1f} GB; make the picture smaller, or save it as a JPEG"
        )
    with _MEMORY.reserve(needed):
        yield
