"""The grammar of `--where`."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import ExifTags, Image

from indexer import Catalog, FilterError, index_paths
from indexer.filters import condition
from tests.fakes import FakeEncoder


@pytest.fixture
def dated(catalog: Catalog, encoder: FakeEncoder, tmp_path: Path) -> Catalog:
    """Three pictures of three years, sizes, cameras and folders; the first has a caption."""
    for i, (year, camera, where) in enumerate([(2022, "Nikon", "a"), (2023, "Canon", "a/deep"), (2024, "Canon", "ab")]):
        exif = Image.Exif()
        exif[ExifTags.Base.Model] = camera
        exif[ExifTags.Base.DateTime] = f"{year}:06:15 10:00:00"
        path = tmp_path / where / f"{year}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (100 * (i + 1), 50), "red").save(path, exif=exif)
    (tmp_path / "a" / "2022.txt").write_text("a caption")
    index_paths(catalog, encoder, [tmp_path / "a", tmp_path / "ab"])
    return catalog


def years(catalog: Catalog, *expressions: str) -> list[int]:
    """The years of the pictures that pass."""
    ids = [int(i) for i in catalog.image_ids_where(expressions)]
    return sorted(int(Path(r.path or "").stem) for r in catalog.images(ids).values())


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("taken_at >= 2023-01-01", [2023, 2024]),
        ("taken_at < 2023", [2022]),
        ("taken_at = 2023", [2023]),
        ("taken_at = 2023-06", [2023]),
        ("taken_at > 2023-06-15 09:00", [2023, 2024]),
        ("taken_at != 2023-06-15", [2022, 2024]),
        ("width > 100", [2023, 2024]),
        ("width=200", [2023]),
        ("height <= 50", [2022, 2023, 2024]),
        ("camera = canon", [2023, 2024]),
        ("camera != 'Canon'", [2022]),
        ("format = jpeg", [2022, 2023, 2024]),
        ("has_caption = true", [2022]),
        ("has_caption != true", [2023, 2024]),
        ("FORMAT = png", []),
    ],
)
def test_expressions_choose_what_they_say(dated: Catalog, expression: str, expected: list[int]) -> None:
    """Every field and operator."""
    assert years(dated, expression) == expected


def test_folder_means_all_below_it_and_not_its_namesakes(dated: Catalog, tmp_path: Path) -> None:
    """`a` holds `a/deep`, but not `ab`; a trailing slash makes no difference."""
    assert years(dated, f"folder = {tmp_path}/a") == [2022, 2023]
    assert years(dated, f"folder = {tmp_path}/a/") == [2022, 2023]
    assert years(dated, f"folder != {tmp_path}/a") == [2024]


def test_all_expressions_must_hold(dated: Catalog) -> None:
    """Several filters narrow each other."""
    assert years(dated, "width > 100", "camera = Canon", "taken_at < 2024") == [2023]


@pytest.mark.parametrize(
    ("expression", "words"),
    [
        ("", "expected FIELD OP VALUE"),
        ("width", "expected FIELD OP VALUE"),
        ("width > ", "expected FIELD OP VALUE"),
        ("width > wide", "'wide' is not a whole number"),
        ("taken_at > yesterday", "'yesterday' is not a date"),
        ("colour = red", "no field 'colour'; there are width, height"),
        ("camera > Canon", "camera takes = or !=, not >"),
        ("has_caption = maybe", "true or false, not 'maybe'"),
        ("width > 99999999999999999999", "not a whole number"),
        ("caf\udce9 = 1", "expected FIELD OP VALUE"),
    ],
)
def test_what_does_not_parse_is_named(expression: str, words: str) -> None:
    """The message quotes the filter and says what was expected."""
    with pytest.raises(FilterError, match=words):
        condition(expression)


@given(st.text(max_size=40))
def test_any_text_parses_or_is_refused(text: str) -> None:
    """No input makes the grammar fail in another way, nor reaches SQL unquoted."""
    try:
        compiled = condition(text).compile()
    except FilterError:
        return
    assert text not in str(compiled) or len(text) < 3
