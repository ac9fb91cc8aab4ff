"""The `--where` grammar."""

from __future__ import annotations

import os
import re
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import ExifTags, Image
from sqlalchemy import create_engine, insert, select, update
from sqlalchemy.pool import StaticPool

from indexer import Catalog, index_paths
from indexer.catalog import schema
from indexer.catalog.connection import add_functions
from indexer.catalog.filters import FIELDS, condition
from indexer.catalog.images import image_ids_where, images_by_id
from indexer.errors import FilterError
from tests.fakes import FakeEncoder


def in_memory() -> sqlite3.Connection:
    """A database with the functions of a catalog."""
    connection = sqlite3.connect(":memory:", check_same_thread=False)
    add_functions(connection)
    return connection


EMPTY = create_engine("sqlite://", creator=in_memory, poolclass=StaticPool)
schema.metadata.create_all(EMPTY)


# Year, camera, folder, width, latitude and longitude. The first has a caption, the last no camera and no position.
PICTURES: list[tuple[int, str | None, str, int, tuple[float, float] | None]] = [
    (2022, "Nikon", "a", 100, (48.137, 11.575)),
    (2023, "Canon", "a/deep", 200, (-17.8, 179.5)),
    (2024, "Canon", "ab", 300, (-14.3, -170.7)),
    (2025, None, "b%and c", 50, None),
]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the pictures."""
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="module")
def dated(home: Path) -> Iterator[Catalog]:
    """Four pictures that differ in year, size, camera, folder and position."""
    for year, camera, where, width, place in PICTURES:
        exif = Image.Exif()
        exif[ExifTags.Base.DateTime] = f"{year}:06:15 10:00:00"
        if camera:
            exif[ExifTags.Base.Model] = camera
        if place:
            signs = ("S" if place[0] < 0 else "N", "W" if place[1] < 0 else "E")
            degrees = [(abs(value), 0.0, 0.0) for value in place]
            exif[ExifTags.IFD.GPSInfo] = {1: signs[0], 2: degrees[0], 3: signs[1], 4: degrees[1]}
        path = home / where / f"{year}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (width, 50), "red").save(path, exif=exif)
    path.write_bytes(path.read_bytes() + bytes(5000))  # the last one is the largest
    (home / "a" / "2022.txt").write_text("a caption")
    with Catalog.open(home / "index", create=True) as catalog:
        index_paths(catalog, FakeEncoder(), [home / "a", home / "ab", home / "b%and c"])
        yield catalog


def years(catalog: Catalog, *expressions: str) -> list[int]:
    """The years of the pictures that match."""
    ids = [int(i) for i in image_ids_where(catalog, expressions)]
    return sorted(int(Path(r.path or "").stem) for r in images_by_id(catalog, ids).values())


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("taken_at >= 2023-01-01", [2023, 2024, 2025]),
        ("taken_at < 2023", [2022]),
        ("taken_at = 2023", [2023]),
        ("taken_at = 2023-06", [2023]),
        ("taken_at > 2023-06-15 09:00 and taken_at <= 2024-06-15T10:00", [2023, 2024]),
        ("taken_at != 2023-06-15", [2022, 2024, 2025]),
        ("width > 100", [2023, 2024]),
        ("width=200", [2023]),
        ("height <= 50", [2022, 2023, 2024, 2025]),
        ("megapixels >= 0.01", [2023, 2024]),
        ("megapixels<0.005", [2025]),
        ("orientation = landscape", [2022, 2023, 2024]),
        ("orientation != Landscape", [2025]),
        ("orientation = portrait", []),
        ("size > 5kB", [2025]),
        ("size <= 5 KB", [2022, 2023, 2024]),
        ("size < 1GiB and size >= 200", [2022, 2023, 2024, 2025]),
        ("size = 1", []),
        ("camera = canon", [2023, 2024]),
        ("camera = can*", [2023, 2024]),
        ("camera = c_non", []),
        ("camera != 'Canon'", [2022, 2025]),
        ("format = jpg", [2022, 2023, 2024, 2025]),
        ("FORMAT = png", []),
        ("name = 2023.JPG", [2023]),
        ("name = *3*", [2023]),
        ("name = deep*", []),
        ("name != *.jpg", []),
        ("latitude > 0", [2022]),
        ("longitude <= -170.7", [2024]),
        ("latitude != 48.137", [2023, 2024, 2025]),
        ("within = 48.1,11.4,48.3,11.8", [2022]),
        ("within = -20, 170, -10, -160", [2023, 2024]),
        ("within = -20,-160,-10,170", []),
        ("within != -90,-180,0,180", [2022, 2025]),
        ("has_date = true", [2022, 2023, 2024, 2025]),
        ("has_date != TRUE", []),
        ("has_caption = true", [2022]),
        ("has_caption != true", [2023, 2024, 2025]),
        ("width > 200 or has_caption = true", [2022, 2024]),
        ("camera = nikon or camera = canon and width > 200", [2022, 2024]),
        ("width > 1 AND width < 60", [2025]),
        ("camera = 'nikon' Or camera = \"canon\"", [2022, 2023, 2024]),
    ],
)
def test_expressions_select_matching_images(dated: Catalog, expression: str, expected: list[int]) -> None:
    """Every field and operator selects the expected pictures."""
    assert years(dated, expression) == expected


def test_folder_matches_subfolders_but_not_common_prefixes(dated: Catalog, home: Path) -> None:
    """`a` includes `a/deep` but not `ab`; trailing slashes, and spaces and `and` in a name, make no difference."""
    assert years(dated, f"folder = {home}/a") == [2022, 2023]
    assert years(dated, f"folder = {home}/a/") == [2022, 2023]
    assert years(dated, f"folder != {home}/a") == [2024, 2025]
    assert years(dated, f"folder = {home}/b%and c") == [2025]
    assert years(dated, f"folder = '{home}/b%and c' and width = 50") == [2025]
    assert years(dated, "folder = /") == [2022, 2023, 2024, 2025]


def test_all_expressions_must_match(dated: Catalog) -> None:
    """Several filters are combined with AND, and ids are ascending int64, as vector search needs them."""
    assert years(dated, "width > 100", "camera = Canon", "taken_at < 2024") == [2023]
    ids = image_ids_where(dated, ["width > 50 or width = 50"])
    assert ids.dtype == np.int64
    assert ids.tolist() == sorted(ids.tolist())
    assert len(ids) == 4


@pytest.mark.parametrize(
    ("expression", "words"),
    [
        ("", "at character 1, expected FIELD OP VALUE"),
        ("width", "at character 1, expected FIELD OP VALUE"),
        ("width > ", "at character 9, expected FIELD OP VALUE"),
        ("width > wide", "at character 9, 'wide' is not a whole number"),
        ("taken_at > yesterday", "at character 12, 'yesterday' is not a date"),
        ("taken_at > 2024-13", "at character 12, '2024-13' is not a date"),
        ("taken_at = 2023-02-29", "at character 12, '2023-02-29' is not a date"),
        ("colour = red", "at character 1, unknown field 'colour'; expected one of: width, height"),
        ("width > 3 and colour = red", "at character 15, unknown field 'colour'"),
        ("camera > Canon", "at character 8, camera supports only = and !=, not >"),
        ("folder <= /x", "folder supports only = and !=, not <="),
        ("within > 1,2,3,4", "within supports only = and !=, not >"),
        ("has_caption = maybe", "has_caption is true or false, not 'maybe'"),
        ("has_date = 2024", "has_date is true or false, not '2024'"),
        ("has_date > true", "has_date supports only = and !=, not >"),
        ("orientation = tall", "landscape, portrait or square, not 'tall'"),
        (" and ".join(["width = 1"] * 51), "at character 701, too many comparisons; the limit is 50"),
        ("size > 2 pounds", "'2 pounds' is not a size such as 2MB"),
        ("size > -1", "'-1' is not a size"),
        ("megapixels > many", "'many' is not a number"),
        ("within = 1,2,3", "is not south,west,north,east in degrees"),
        ("within = 50,0,40,10", "south before north"),
        ("within = 0,0,10,999", "longitudes from -180 to 180"),
        ("width > 99999999999999999999", "not a whole number"),
        ("camera = 'Canon", "at character 10, the quote ' is never closed"),
        ("camera = 'Canon' x", "at character 17, expected the end of the filter"),
        ("caf\udce9 = 1", "expected FIELD OP VALUE"),
    ],
)
def test_errors_give_the_position_and_what_was_expected(expression: str, words: str) -> None:
    """The message quotes the filter and names the problem."""
    with pytest.raises(FilterError, match=re.escape(words)):
        condition(expression)


@settings(deadline=None)
@given(st.text(max_size=40))
def test_any_text_parses_or_is_refused(text: str) -> None:
    """No input fails in another way, or reaches SQL unquoted."""
    try:
        compiled = condition(text).compile()
    except FilterError:
        return
    assert text not in str(compiled) or len(text) < 3


@settings(deadline=None)
@given(st.sampled_from(FIELDS), st.sampled_from(["=", "!=", "<", ">="]), st.text(max_size=20))
def test_any_value_of_any_field_runs_or_is_refused(field: str, op: str, value: str) -> None:
    """SQLite never interprets a value as SQL: whatever parses also runs."""
    try:
        parsed = condition(f"{field} {op} {value}")
    except FilterError:
        return
    with EMPTY.connect() as connection:
        assert connection.execute(select(schema.image.c.id).where(parsed)).all() == []


def test_the_longest_expressions_and_the_largest_sizes_run(dated: Catalog) -> None:
    """SQLite rejects deeply nested conditions and integers beyond 64 bits, so neither may reach it."""
    longest = " or ".join(["width = 1"] * 50)
    assert len(image_ids_where(dated, [longest] * 20)) == 0
    assert len(image_ids_where(dated, ["size < 999999999999999 GB"])) == len(PICTURES)


def test_pictures_without_a_date_can_be_selected(indexed: Catalog) -> None:
    """The painted pictures have no date."""
    assert len(image_ids_where(indexed, ["has_date = false"])) == 5
    assert len(image_ids_where(indexed, ["has_date != true"])) == 5
    assert len(image_ids_where(indexed, ["has_date = true"])) == 0


@pytest.fixture
def cameras(indexed: Catalog) -> Catalog:
    """Five pictures of five cameras, of which two differ in case."""
    names = [(1, "ФЭД 5"), (2, "фэд 5"), (3, r"Zorki\*4"), (4, r"Zorki\84"), (5, """The "O'Hara" *""")]
    with indexed.transaction() as connection:
        for number, name in names:
            connection.execute(update(schema.image).where(schema.image.c.id == number).values(camera=name))
    return indexed


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("camera = Фэд*", [1, 2]),
        ("camera != ФЭД 5", [3, 4, 5]),
        (r"camera = zorki\\*", [3, 4]),
        (r"camera = zorki\84", [4]),
        (r"camera = zorki\\\*4", [3]),
        (r"camera = *\*", [5]),
        (r"camera = *\**", [3, 5]),
        ('''camera = "the ""o'hara"" *"''', [5]),
        ("""camera = 'the "o''hara" \\*'""", [5]),
        ('''camera = """"''', []),
        ('camera = "" or camera = "фэд 5"', [1, 2]),
    ],
)
def test_any_value_can_be_asked_for(cameras: Catalog, expression: str, expected: list[int]) -> None:
    """In any alphabet, with both quotation marks, and with stars and backslashes that are meant."""
    assert image_ids_where(cameras, [expression]).tolist() == expected


@pytest.mark.parametrize(("folder", "name"), [(r"c:\pictures", "A.jpg"), (r"c:\pictures\deep", "B.jpg")])
def test_names_are_found_where_backslashes_separate(folder: str, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """On Windows, where a separator precedes a wildcard."""
    with EMPTY.connect() as connection:
        connection.execute(insert(schema.image).values(id=1, content_hash="", width=1, height=1, format="JPEG"))
        path = f"{folder}\\{name.lower()}"
        times = {"size": 1, "mtime_ns": 1}
        connection.execute(insert(schema.location).values(image_id=1, path=path, folded=path, **times))
        monkeypatch.setattr(os, "sep", "\\")
        found = [
            connection.execute(select(schema.image.c.id).where(condition(f"name = {value}"))).all()
            for value in (name, "*.JPG", f"{name[0]}*", "C*", "pictures*", r"\*.jpg")
        ]
        connection.rollback()
    assert list(map(len, found)) == [1, 1, 1, 0, 0, 0]


@given(st.text(st.sampled_from(["*", "\\", '"', "'", "a", "%", "_"]), min_size=1, max_size=8))
def test_a_value_that_is_escaped_matches_only_itself(value: str) -> None:
    """As the web page escapes it."""
    literal = re.sub(r"(\\*)\*", r"\1\1\\*", value).replace('"', '""')
    with EMPTY.connect() as connection:
        for camera, expected in ((value, 1), (f"{value}a", 0), (value[1:], 0)):
            connection.execute(
                insert(schema.image).values(content_hash="", width=1, height=1, format="JPEG", camera=camera)
            )
            query = select(schema.image.c.id).where(condition(f'camera = "{literal}"'))
            assert len(connection.execute(query).all()) == expected
            connection.rollback()
