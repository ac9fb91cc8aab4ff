"""Positions as people's files have them."""

from __future__ import annotations

import struct
from typing import Any

import pytest
from PIL import TiffImagePlugin

from tests.indexer.pictures.metadata.samples import exif, jpeg, metadata, xmp


@pytest.mark.parametrize(
    ("gps", "latitude", "longitude"),
    [
        ({1: "South", 2: (33.0, 51.0, 0.0), 3: "East", 4: (151.0, 12.0, 0.0)}, -33.85, 151.2),
        ({1: "s", 2: (33.0, 51.0, 0.0), 3: "w", 4: (151.0, 12.0, 0.0)}, -33.85, -151.2),
        ({1: "N", 2: 48.137, 3: "E", 4: 11.575}, 48.137, 11.575),
        ({1: "N", 2: (48.0, 8.22), 3: "E", 4: (11.0, 34.5)}, 48.137, 11.575),
        ({9: "A", 1: "N", 2: 48.137, 3: "E", 4: 11.575}, 48.137, 11.575),
    ],
)
def test_places(gps: dict[int, Any], latitude: float, longitude: float) -> None:
    """Read as exiftool reads them."""
    found = metadata(jpeg(exif=exif(gps=gps)))
    assert (found.latitude, found.longitude) == (latitude, longitude)


@pytest.mark.parametrize(
    ("kind", "latitude", "longitude"),
    [
        (10, struct.pack("<2i", -33_850, 1_000), struct.pack("<2i", 151_200, 1_000)),  # signed rationals
        (12, struct.pack("<d", -33.85), struct.pack("<d", 151.2)),
        (2, b"33,51.0S\0", b"151,12.0E\0"),
        (2, b"-33.850\0", b"151.200\0"),
    ],
)
def test_places_in_types_that_the_standard_does_not_have(kind: int, latitude: bytes, longitude: bytes) -> None:
    """Signed numbers and texts, without directions."""
    count = 1 if kind != 2 else len(latitude)
    pointer = struct.pack("<2sHIHHHIII", b"II", 42, 8, 1, 0x8825, 4, 1, 26, 0)
    entries = struct.pack("<HHHIIHHIII", 2, 2, kind, count, 56, 4, kind, count, 76, 0)
    found = metadata(
        jpeg(exif=b"Exif\0\0" + (pointer + entries).ljust(56, b"\0") + latitude.ljust(20, b"\0") + longitude)
    )
    assert (found.latitude, found.longitude) == (-33.85, 151.2)


@pytest.mark.parametrize(
    "gps",
    [
        {1: "N", 2: (0.0, 0.0, 0.0), 3: "E", 4: (0.0, 0.0, 0.0)},
        {9: "V", 1: "N", 2: (48.0, 8.0, 0.0), 3: "E", 4: (11.0, 0.0, 0.0)},
        {1: "N", 2: TiffImagePlugin.IFDRational(0, 0), 3: "E", 4: 11.0},
        {1: "N", 2: TiffImagePlugin.IFDRational(1, 0), 3: "E", 4: 11.0},
        {1: "N", 2: 91.0, 3: "E", 4: 11.0},
        {1: "N", 2: 48.0},
    ],
)
def test_no_place(gps: dict[int, Any]) -> None:
    """Receivers without a fix, and numbers that are no place."""
    found = metadata(jpeg(exif=exif(gps=gps)))
    assert (found.latitude, found.longitude) == (None, None)


def test_a_place_in_xmp() -> None:
    """Editors write it there as text; a void one is none."""
    place = 'exif:GPSLatitude="33,51.0S" exif:GPSLongitude="151,12.0E"'
    assert metadata(jpeg(xmp=xmp(attributes=place).encode())).latitude == -33.85
    assert metadata(jpeg(xmp=xmp(attributes=place + ' exif:GPSStatus="V"').encode())).latitude is None
