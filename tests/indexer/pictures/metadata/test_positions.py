"""Latitude and longitude."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from indexer.pictures.metadata.positions import Coordinate, coordinate, position

EAST = Coordinate((11.5,), "E")


@pytest.mark.parametrize(
    ("parts", "direction", "latitude"),
    [
        ((33.0, 51.0, 0.0), "South", -33.85),
        ((33.0, 51.0, 0.0), "s", -33.85),
        ((33.0, 51.0, 0.0), "S\0", -33.85),
        ((33.85,), "S", -33.85),
        ((33.0, 51.0), "S", -33.85),
        ((-33.85,), "", -33.85),
        ((-33.0, 51.0, 0.0), "", -33.85),
        ((-33.85,), "S", -33.85),
        ((-33.85,), "N", 33.85),
        ((33.85,), "", 33.85),
        ((33.0, 51.0, 0.0), "north", 33.85),
        ((0.0, 30.0, 0.0), "S", -0.5),
        ((33.0, 60.0, 0.0), "N", 34.0),
    ],
)
def test_numbers_and_directions(parts: tuple[float, ...], direction: str, latitude: float) -> None:
    """A direction counts by its first letter; a sign counts where there is none."""
    assert position(Coordinate(parts, direction), EAST) == (latitude, 11.5)


@pytest.mark.parametrize(
    ("text", "latitude"),
    [
        ("48,8.22N", 48.137),
        ("48,8,13.2N", 48.137),
        ("48 8 13.2 S", -48.137),
        ("48.137", 48.137),
        ("-48.137", -48.137),
        ("48.137 South", -48.137),
        ("S 48.137", -48.137),
        ("48° 8' 13.2\" N", 48.137),
        ("4.8137e1", 48.137),
    ],
)
def test_texts(text: str, latitude: float) -> None:
    """XMP has coordinates as text, of which programs write several forms."""
    assert position(coordinate(text), EAST) == (latitude, 11.5)


@pytest.mark.parametrize(
    ("latitude", "longitude", "status"),
    [
        (Coordinate((0.0, 0.0, 0.0), "N"), Coordinate((0.0, 0.0, 0.0), "E"), ""),
        (Coordinate((48.0,), "N"), EAST, "V"),
        (Coordinate((48.0,), "N"), EAST, "void"),
        (Coordinate((90.1,), "N"), EAST, ""),
        (Coordinate((48.0,), "N"), Coordinate((180.1,), "W"), ""),
        (Coordinate((math.nan,), "N"), EAST, ""),
        (Coordinate((48.0, math.inf), "N"), EAST, ""),
        (Coordinate((48.0, 61.0), "N"), EAST, ""),
        (Coordinate(()), EAST, ""),
        (coordinate("north"), EAST, ""),
        (coordinate("1e999N"), EAST, ""),
    ],
)
def test_no_place(latitude: Coordinate, longitude: Coordinate, status: str) -> None:
    """Receivers without a fix, and numbers that are no place on Earth."""
    assert position(latitude, longitude, status) is None


def test_the_equator_is_a_place() -> None:
    """Only (0, 0) is none."""
    assert position(Coordinate((0.0,), "N"), EAST) == (0.0, 11.5)
    assert position(Coordinate((0.0,), "S"), EAST, "A") == (0.0, 11.5)


@given(st.text(max_size=40), st.text(max_size=3), st.lists(st.floats(), max_size=5))
def test_a_position_is_on_earth(text: str, direction: str, parts: list[float]) -> None:
    """Whatever is stored."""
    found = position(coordinate(text, direction), Coordinate(parts, direction))
    assert found is None or (abs(found[0]) <= 90 and abs(found[1]) <= 180)
