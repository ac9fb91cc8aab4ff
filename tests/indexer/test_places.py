"""Names of the places of coordinates."""

from __future__ import annotations

import math
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from indexer import places
from indexer.errors import PlacesError
from indexer.places import AT_ONCE, CITY_KM, COUNTRY_KM, EARTH_KM, TABLE, Place, PlaceTable, Points, find_places

KNOWN = {
    "Colosseum": (41.8902, 12.4922, "Rome", "Lazio", "IT"),
    "Trastevere, a quarter": (41.8897, 12.4709, "Rome", "Lazio", "IT"),
    "Eiffel Tower": (48.8584, 2.2945, "Paris", "Île-de-France", "FR"),
    "Versailles, near Paris": (48.8049, 2.1204, "Versailles", "Île-de-France", "FR"),
    "Marienplatz": (48.1374, 11.5755, "Munich", "Bavaria", "DE"),
    "Cologne Cathedral": (50.9413, 6.9583, "Köln", "North Rhine-Westphalia", "DE"),
    "Times Square, a quarter": (40.758, -73.9855, "New York City", "New York", "US"),
    "Newark, inside New York's radius": (40.7357, -74.1724, "Newark", "New Jersey", "US"),
    "Hollywood Sign": (34.1341, -118.3215, "Los Angeles", "California", "US"),
    "Golden Gate Bridge": (37.8199, -122.4783, "San Francisco", "California", "US"),
    "Machu Picchu": (-13.1631, -72.545, "Machupicchu", "Cuzco Department", "PE"),
    "Christ the Redeemer": (-22.9519, -43.2105, "Rio de Janeiro", "Rio de Janeiro", "BR"),
    "Table Mountain": (-33.9628, 18.4098, "Cape Town", "Western Cape", "ZA"),
    "Pyramids": (29.9792, 31.1342, "Giza", "Giza", "EG"),
    "Bondi Beach, a quarter": (-33.8915, 151.2767, "Sydney", "New South Wales", "AU"),
    "Uluru": (-25.3444, 131.0369, "Yulara", "Northern Territory", "AU"),
    "Big Ben": (51.5007, -0.1246, "London", "England", "GB"),
    "Shibuya, a quarter": (35.6595, 139.7005, "Tokyo", "Tokyo", "JP"),
    "Red Square": (55.7539, 37.6208, "Moscow", "Moscow", "RU"),
    "Forbidden City": (39.9163, 116.3972, "Beijing", "Beijing", "CN"),
    "Taj Mahal": (27.1751, 78.0421, "Agra", "Uttar Pradesh", "IN"),
    "Monaco": (43.7396, 7.4274, "Monaco", "Municipality of Monaco", "MC"),
    "St Peter's Basilica": (41.9022, 12.4539, "Vatican City", None, "VA"),
    "Vaduz Castle": (47.1397, 9.5244, "Vaduz", "Vaduz", "LI"),
    "San Marino": (43.9356, 12.4473, "San Marino", "San Marino", "SM"),
    "Gibraltar": (36.1408, -5.3536, "Gibraltar", None, "GI"),
    "Nadi": (-17.8, 177.41, "Nadi", "Western", "FJ"),
    "Galápagos": (-0.7432, -90.3135, "Puerto Ayora", "Galápagos", "EC"),
    "Tristan da Cunha": (-37.0676, -12.3116, "Edinburgh of the Seven Seas", "Tristan da Cunha", "SH"),
    "Spitsbergen": (78.2232, 15.6267, "Longyearbyen", "Svalbard", "SJ"),
}

NOWHERE = {
    "mid-Atlantic": (30, -40),
    "Gulf of Guinea": (0, 0),
    "North Pole": (90, 0),
    "South Pole": (-90, 0),
    "not a number": (math.nan, 12.5),
    "infinite": (41.9, math.inf),
    "latitude out of range": (90.001, 0),
    "longitude out of range": (41.9, -347.5),
}


def place_at(latitude: float, longitude: float) -> Place:
    """Return the place of coordinates that have one."""
    (place,) = find_places([latitude], [longitude])
    assert place is not None
    return place


def degrees_apart(one: np.ndarray, others: np.ndarray) -> np.ndarray:
    """The haversine formula, as an oracle of `Points`."""
    one, others = np.radians(one), np.radians(others)
    half = np.sin((others - one) / 2) ** 2
    return 2 * np.degrees(np.arcsin(np.sqrt(half[:, 0] + np.cos(one[0]) * np.cos(others[:, 0]) * half[:, 1])))


def sorted_points(degrees: list[tuple[float, float]]) -> np.ndarray:
    """Return points as `Points` needs them."""
    array = np.array(degrees, np.float64)
    return array[np.argsort(Points.keys(array))]


@pytest.mark.parametrize(("latitude", "longitude", "city", "region", "code"), KNOWN.values(), ids=KNOWN)
def test_well_known_sights_are_in_the_town_that_people_name(
    latitude: float, longitude: float, city: str, region: str | None, code: str
) -> None:
    """The town, not its quarter or a bigger one nearby; also on islands and in the smallest countries."""
    place = place_at(latitude, longitude)
    assert (place.city, place.region, place.country_code) == (city, region, code)


@pytest.mark.parametrize(("latitude", "longitude"), NOWHERE.values(), ids=NOWHERE)
def test_oceans_poles_and_invalid_coordinates_have_no_place(latitude: float, longitude: float) -> None:
    """They get None, and no warning."""
    assert find_places([latitude], [longitude]) == [None]


def test_far_from_any_town_only_the_country_is_named() -> None:
    """In the Sahara of Algeria, and off the coast of Louisiana."""
    desert, sea = find_places([23.5, 28.5], [10, -90])
    assert desert is not None
    assert sea is not None
    assert (desert.city, desert.region, desert.country) == (None, None, "Algeria")
    assert (sea.city, sea.region, sea.country) == (None, None, "United States")
    assert "Algerien" in desert.names


def test_both_sides_of_the_antimeridian_are_near_each_other() -> None:
    """West and east of 180° on Taveuni, and at 180° by either sign."""
    found = find_places([-16.82] * 4, [179.999, -179.999, 180, -180])
    assert {place.country_code for place in found if place is not None} == {"FJ"}
    assert None not in found


@pytest.mark.parametrize(
    ("sight", "names"),
    {
        "Colosseum": [
            "Rome",
            "Roma",
            "Rom",
            "Рим",
            "ローマ",
            "Lazio",
            "Latium",
            "Italy",
            "Italia",
            "Italien",
            "イタリア",
        ],
        "Marienplatz": ["Munich", "München", "Muenchen", "Мюнхен", "慕尼黑", "Bavaria", "Bayern", "Deutschland"],
        "Cologne Cathedral": ["Cologne", "Köln", "Colonia", "Allemagne"],
        "Times Square, a quarter": ["New York", "NYC", "Times Square", "Нью-Йорк", "USA", "United States of America"],
        "Big Ben": ["London", "Londres", "Лондон", "England", "UK", "Great Britain", "Vereinigtes Königreich"],
        "Bondi Beach, a quarter": ["Sydney", "Bondi Beach", "Australia", "オーストラリア"],
    }.items(),
)
def test_a_place_is_found_under_its_names_in_other_languages(sight: str, names: list[str]) -> None:
    """Town, quarter, region and country, in several languages and scripts."""
    assert set(names) - set(place_at(*KNOWN[sight][:2]).names) == set()


def test_no_place_is_found_under_codes_of_airports_or_transliterations() -> None:
    """`MUC` and `mu ni hei` are in GeoNames, and nobody searches for them."""
    assert {"MUC", "mu ni hei"}.isdisjoint(place_at(48.1374, 11.5755).names)


def test_a_town_is_not_found_under_a_city_of_another_region() -> None:
    """New York reaches into New Jersey, but Newark is not New York; Puteaux is found as Paris, in its region."""
    assert "Nueva York" not in place_at(40.7357, -74.1724).names
    assert "Paris" in place_at(48.8918, 2.238).names


def test_the_names_shown_come_first_and_none_is_repeated() -> None:
    """So that a list of the first few names is useful."""
    names = place_at(41.8902, 12.4922).names
    assert names[0] == "Rome"
    assert len(set(names)) == len(names)


def test_equal_places_are_one_object_and_order_is_kept() -> None:
    """Thousands of pictures of a holiday share a few places."""
    found = find_places([41.8902, 48.1374, math.nan, 41.89025, 41.8902], [12.4922, 11.5755, 0, 12.4922, 12.4922])
    assert [place and place.city for place in found] == ["Rome", "Munich", None, "Rome", "Rome"]
    assert found[0] is found[3] is found[4]


def test_no_coordinates_have_no_places() -> None:
    """An empty batch is no error."""
    assert find_places([], []) == []


def test_threads_find_what_one_thread_finds() -> None:
    """Also while the table is being read."""
    places._world.cache_clear()
    latitudes, longitudes = zip(*(sight[:2] for sight in KNOWN.values()), strict=True)
    with ThreadPoolExecutor(4) as threads:
        answers = list(threads.map(lambda _: find_places(latitudes, longitudes), range(8)))
    assert all(answer == answers[0] for answer in answers)


@pytest.mark.parametrize("damage", ["missing", "cut off", "altered", "empty", "another file"])
def test_a_damaged_table_is_named_with_what_to_do(tmp_path: Path, damage: str) -> None:
    """The installation is broken, not the picture."""
    file = tmp_path / "places.npz"
    content = bytearray(TABLE.read_bytes())
    if damage == "cut off":
        del content[len(content) // 2 :]
    content[len(content) // 3] ^= 0xFF
    if damage != "missing":
        file.write_bytes({"empty": b"", "another file": b"places"}.get(damage, bytes(content)))
    with pytest.raises(PlacesError, match=r"places\.npz .*install crosslook again"):
        PlaceTable(file)


def test_every_region_has_a_country_with_a_name() -> None:
    """And every place has a name, a region and a position."""
    world = PlaceTable(TABLE)
    with np.load(TABLE) as arrays:
        count = len(arrays["degrees"])
        assert {len(arrays[name]) for name in ("population", "region", "quarter")} == {count}
        assert arrays["region"].max() < len(world._regions)
    assert len(world._names) == count
    assert all(all(world._names.row(row)) for row in range(0, count, 97))
    assert {world._regions.row(row)[0] for row in range(len(world._regions))} <= world._countries.keys()
    assert all(name for names in world._countries.values() for name in names)


coordinates = st.lists(
    st.tuples(
        st.one_of(st.floats(-90, 90), st.sampled_from([-90.0, -89.9, 0, 89.5, 90.0])),
        st.one_of(st.floats(-180, 180), st.sampled_from([-180.0, -179.9, 179.9, 180.0])),
    ),
    min_size=1,
    max_size=40,
)


@settings(deadline=None)
@given(points=coordinates, queries=coordinates, km=st.sampled_from([CITY_KM, COUNTRY_KM, 2000.0]))
def test_all_points_within_a_distance_are_found_anywhere_on_the_sphere(
    points: list[tuple[float, float]], queries: list[tuple[float, float]], km: float
) -> None:
    """As many as by brute force with the haversine formula, across the antimeridian and around the poles."""
    table = sorted_points(points)
    found = list(Points(table).near(np.array(queries, np.float64), km))
    assert len(found) == len(queries)
    for query, (numbers, distances) in zip(queries, found, strict=True):
        expected = np.radians(degrees_apart(np.array(query), table)) * EARTH_KM
        certain = np.abs(expected - km) > 1e-3
        assert set(numbers[certain[numbers]]) == set(np.flatnonzero(certain & (expected < km)))
        assert np.allclose(distances, expected[numbers], atol=1e-3)


def test_batches_do_not_mix_coordinates() -> None:
    """More coordinates than are looked up at a time."""
    table = sorted_points([(0.0, float(longitude)) for longitude in range(-180, 180)])
    queries = np.stack([np.zeros(2 * AT_ONCE + 1), np.linspace(-179, 179, 2 * AT_ONCE + 1)], axis=1)
    for query, (numbers, _) in zip(queries, Points(table).near(queries, 100), strict=True):
        assert np.abs(table[numbers, 1] - query[1]).max() < 1
