"""Names of the places where pictures were taken: city, region and country of coordinates, without a network.

`places.npz` beside this file holds the world's 235,000 places with more than 500 inhabitants, from GeoNames
(https://www.geonames.org, CC BY 4.0); `scripts/build_places.py` makes it. A place is a point with a population, not an
area: a picture is taken in the place that is the fewest radii away, where a place's radius grows with its population.
See docs/decisions/0014-places-from-a-table-in-the-repository.md.
"""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import numpy.typing as npt

from .errors import PlacesError

TABLE = Path(__file__).with_suffix(".npz")

CITY_KM, COUNTRY_KM = 50.0, 150.0
"""Largest distances from a place at which a picture is taken in that city, and in that country."""

EARTH_KM = 6371.0  # mean radius

UNITS = 1e4
"""Units of a degree in the table: about ten metres."""

BAND = 0.5  # degrees of latitude; the table is sorted by bands, then by longitude
_STRIDE = 2000.0  # between the keys of two bands: longitudes searched for lie within ±720

AT_ONCE = 200  # coordinates looked up at a time, so that memory stays bounded

Numbers = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Place:
    """Where a picture was taken.

    Args:
        city: GeoNames' main name of the place, in English if it has one (`Rome`, but `Köln`); None farther than
            `CITY_KM` from any.
        region: English name of the country's first subdivision; None where unknown, and without a city.
        country: English name of the country.
        country_code: ISO 3166-1, two letters; `XK` is Kosovo.
        names: what the place is found by: the names above, those in other languages, and those of its quarter and of
            towns of the same region that reach as far as here. Compare each as a whole, since Munich is also `Monaco
            di Baviera`.
    """

    city: str | None
    region: str | None
    country: str
    country_code: str
    names: tuple[str, ...]


def find_places(latitudes: npt.ArrayLike, longitudes: npt.ArrayLike) -> list[Place | None]:
    """Find the places of coordinates in degrees. Thread-safe; the table is read once per process.

    Shape:
        - latitudes, longitudes: (N,).

    Returns:
        N places, equal ones as one object. None for coordinates far from any place, such as in an ocean, and for ones
        that are not finite or out of range.

    Raises:
        PlacesError: the table is missing or damaged.
    """
    return _world().find(np.asarray(latitudes, np.float64), np.asarray(longitudes, np.float64))


@cache
def _world() -> PlaceTable:
    return PlaceTable(TABLE)


class Points:
    """Points on the sphere (P,), indexed by bands of latitude and, within a band, by longitude.

    Args:
        degrees: latitude and longitude (P, 2), sorted by `keys`.
    """

    def __init__(self, degrees: Numbers) -> None:
        self._keys = self.keys(degrees)
        self._vectors = _unit_vectors(degrees)

    @staticmethod
    def keys(degrees: Numbers) -> Numbers:
        """Return the numbers by which points must be sorted."""
        return np.floor((degrees[:, 0] + 90) / BAND) * _STRIDE + degrees[:, 1]

    def near(self, degrees: Numbers, km: float) -> Iterator[tuple[Integers, Numbers]]:
        """Yield, for each of the coordinates (N, 2), the numbers of all points within a distance, and theirs in km."""
        for start in range(0, len(degrees), AT_ONCE):
            part = degrees[start : start + AT_ONCE]
            query, point = self._candidates(part, np.degrees(km / EARTH_KM))
            chords = np.linalg.norm(_unit_vectors(part)[query] - self._vectors[point], axis=1)
            distance = 2 * EARTH_KM * np.arcsin(np.minimum(chords / 2, 1))
            close = distance <= km
            bounds = np.searchsorted(query[close], np.arange(1, len(part)))
            yield from zip(np.split(point[close], bounds), np.split(distance[close], bounds), strict=True)

    def _candidates(self, degrees: Numbers, reach: float) -> tuple[Integers, Integers]:
        """Pair coordinates with all points in the rectangles around them, of `reach` degrees to each side."""
        latitude = degrees[:, 0]
        sines = np.sin(np.radians(reach)) / np.cos(np.radians(latitude))
        pole_inside = np.abs(latitude) + reach >= 90
        width = np.where(pole_inside, 180, np.degrees(np.arcsin(np.minimum(sines, 1))))
        bands = np.arange(-np.ceil(reach / BAND), np.ceil(reach / BAND) + 1)
        turns = np.array([-360, 0, 360])  # a rectangle may cross the antimeridian
        middles = self.keys(degrees)[:, None, None] + bands[:, None] * _STRIDE + turns
        starts = np.searchsorted(self._keys, (middles - width[:, None, None]).ravel())
        stops = np.searchsorted(self._keys, (middles + width[:, None, None]).ravel(), side="right")
        counts = stops - starts
        query = np.repeat(np.arange(len(degrees)), counts.reshape(len(degrees), -1).sum(axis=1))
        skipped = starts - (np.cumsum(counts) - counts)
        return query, np.arange(counts.sum()) + np.repeat(skipped, counts)


def radii(populations: npt.ArrayLike) -> Numbers:
    """Return how far places reach, in km: 1 km, and a circle with 5,000 inhabitants on each square kilometre."""
    return 1 + 8 * np.sqrt(np.asarray(populations) / 1e6)


class Names:
    """Rows of names: UTF-8, a line each, names separated by tabs. A row is decoded when it is asked for."""

    def __init__(self, text: npt.NDArray[np.uint8]) -> None:
        self._text = text
        self._ends = np.flatnonzero(text == ord("\n"))

    def __len__(self) -> int:
        return len(self._ends)

    def row(self, number: int) -> list[str]:
        """Return the names of a row."""
        start = self._ends[number - 1] + 1 if number else 0
        return self._text[start : self._ends[number]].tobytes().decode().split("\t")


class PlaceTable:
    """The places (P,) of a file that `scripts/build_places.py` has made.

    Raises:
        PlacesError: the file is missing or damaged.
    """

    def __init__(self, file: Path) -> None:
        try:
            with file.open("rb") as content, np.load(content, allow_pickle=False) as arrays:
                self._points = Points(arrays["degrees"] / UNITS)
                self._radius = radii(arrays["population"])
                self._region: npt.NDArray[np.uint16] = arrays["region"]
                self._quarter: npt.NDArray[np.bool_] = arrays["quarter"]
                self._names, self._regions = Names(arrays["names"]), Names(arrays["regions"])
                countries = Names(arrays["countries"])
                self._countries = {code: names for code, *names in map(countries.row, range(len(countries)))}
        except (OSError, EOFError, ValueError, KeyError, zipfile.BadZipFile, zlib.error) as exc:
            raise PlacesError(
                f"the names of places cannot be read from {file} ({exc}); install crosslook again"
            ) from exc

    def find(self, latitudes: Numbers, longitudes: Numbers) -> list[Place | None]:
        """Find the places of coordinates, as `find_places` does."""
        degrees = np.stack([latitudes, longitudes], axis=1)
        valid = (np.abs(degrees) <= (90, 180)).all(axis=1)  # False for NaN
        unique, copies = np.unique(degrees[valid], axis=0, return_inverse=True)
        found = self._cities(unique)
        missing = [number for number, place in enumerate(found) if place is None]
        for number, place in zip(missing, self._countries_near(unique[missing]), strict=True):
            found[number] = place
        result: list[Place | None] = [None] * len(degrees)
        for row, copy in zip(np.flatnonzero(valid), copies.ravel(), strict=True):
            result[row] = found[copy]
        return result

    def _cities(self, degrees: Numbers) -> list[Place | None]:
        """Find the place that is the fewest of its radii away; None farther than `CITY_KM` from any."""
        found: list[Place | None] = []
        known: dict[tuple[int, ...], Place] = {}
        for points, distances in self._points.near(degrees, CITY_KM):
            radii_away = distances / self._radius[points]
            order = np.argsort(radii_away)
            towns = points[order][~self._quarter[points[order]]]
            if not len(towns):
                found.append(None)
                continue
            around = points[order[: np.searchsorted(radii_away[order], 1)]]
            around = around[self._region[around] == self._region[towns[0]]]
            key = (int(towns[0]), *around.tolist())
            if key not in known:
                known[key] = self._place(*key)
            found.append(known[key])
        return found

    def _countries_near(self, degrees: Numbers) -> Iterator[Place | None]:
        """Find the country of the nearest place, without a city; None farther than `COUNTRY_KM` from any."""
        known: dict[str, Place] = {}
        for points, distances in self._points.near(degrees, COUNTRY_KM):
            if not len(points):
                yield None
                continue
            code = self._regions.row(self._region[points[np.argmin(distances)]])[0]
            if code not in known:
                known[code] = Place(None, None, self._countries[code][0], code, tuple(self._countries[code]))
            yield known[code]

    def _place(self, city: int, *around: int) -> Place:
        code, *region = self._regions.row(self._region[city])
        country = self._countries[code]
        names = [name for place in (city, *around) for name in self._names.row(place)]
        unique = tuple(dict.fromkeys([*names, *region, *country]))
        return Place(names[0], region[0] if region else None, country[0], code, unique)


def _unit_vectors(degrees: Numbers) -> Numbers:
    latitude, longitude = np.radians(degrees).T
    return np.stack(
        [np.cos(latitude) * np.cos(longitude), np.cos(latitude) * np.sin(longitude), np.sin(latitude)], axis=1
    )
