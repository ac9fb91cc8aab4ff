"""Latitude and longitude, as exiftool reads them.

Source: Image::ExifTool::GPS, and the XMP specification, part 2, "GPSCoordinate".
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import NamedTuple

Position = tuple[float, float]
"""Latitude and longitude in degrees, south and west negative."""

_NUMBER = re.compile(r"[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:e[+-]?\d+)?", re.IGNORECASE)
_DIRECTION = re.compile(r"^\s*([NSEW])|(?<![a-z])([NSEW])(?:orth|outh|ast|est)?\W*$", re.IGNORECASE)


class Coordinate(NamedTuple):
    """Degrees, minutes and seconds, of which the last two may be missing, and a direction such as `S` or `south`."""

    parts: Sequence[float]
    direction: str = ""


def coordinate(text: str, direction: str = "") -> Coordinate:
    """Parse `48,8.2N`, `48 8 12 N`, `48.137` or `-33.85`; a direction in the text takes precedence."""
    found = _DIRECTION.search(text[:100])
    parts = [float(number) for number in _NUMBER.findall(text[:100])]
    return Coordinate(parts, (found[1] or found[2]) if found else direction)


def position(latitude: Coordinate, longitude: Coordinate, status: str = "") -> Position | None:
    """Return a position; None if it is not on Earth, void by its status, or the (0, 0) of receivers without one."""
    if status.strip().upper().startswith("V"):
        return None
    north, east = _degrees(latitude, "N", "S", 90), _degrees(longitude, "E", "W", 180)
    return None if north is None or east is None or north == east == 0 else (north, east)


def _degrees(value: Coordinate, positive: str, negative: str, limit: float) -> float | None:
    parts = value.parts[:3]
    if not parts or not all(map(math.isfinite, parts)) or any(abs(part) > 60 for part in parts[1:]):
        return None
    degrees = round(sum(abs(part) / 60**i for i, part in enumerate(parts)), 6)
    direction = value.direction.strip("\0 ").upper()[:1]
    # Beside a direction, a sign repeats it; exiftool ignores it too.
    south_or_west = direction == negative if direction in (positive, negative) else math.copysign(1, parts[0]) < 0
    return None if degrees > limit else 0.0 - degrees if south_or_west else degrees
