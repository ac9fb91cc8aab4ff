"""Full-text search in captions and names."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from indexer import Catalog, index_paths
from indexer.catalog.captions import add_bank
from indexer.catalog.fulltext import images_named, images_with_term
from indexer.catalog.images import image_ids_where, images_by_id
from indexer.catalog.records import Ids
from tests.conftest import Paint
from tests.fakes import FakeEncoder


@pytest.fixture
def album(catalog: Catalog, encoder: FakeEncoder, paint: Paint, tmp_path: Path) -> Catalog:
    """Four pictures in named folders, one with a caption, and a caption bank."""
    paint("Anna's wedding/IMG_2034.png", "red")
    paint("Anna's wedding/café%.png", "green", seed=1)
    paint("Oslo/IMG_2035.tar.png", "blue", seed=2)
    paint("Oslo/img 2034 late.png", "white", seed=3)
    (tmp_path / "pictures/Oslo/IMG_2035.tar.txt").write_text("Ben plays the violin\n")
    index_paths(catalog, encoder, [tmp_path / "pictures"])
    add_bank(catalog, ["a violin and a zebra"], encoder.encode_texts(["a violin and a zebra"]))
    return catalog


def names(catalog: Catalog, ids: Ids) -> list[str]:
    """The file names of some images."""
    return sorted(r.path.name for r in images_by_id(catalog, ids.tolist()).values() if r.path)


@pytest.mark.parametrize(
    ("term", "in_names", "in_captions"),
    [
        ("anna", ["IMG_2034.png", "café%.png"], []),
        ("WEDDINGS", ["IMG_2034.png", "café%.png"], []),
        ("IMG_2034", ["IMG_2034.png", "img 2034 late.png"], []),
        ("IMG_2034.png", ["IMG_2034.png"], []),
        ("2034 img", [], []),
        ("cafe", ["café%.png"], []),
        ("violin", [], ["IMG_2035.tar.png"]),
        ("play the violins", [], ["IMG_2035.tar.png"]),
        ("zebra", [], []),
        ("oslo OR anna", [], []),
        ("an*", [], []),
        ("path: oslo", [], []),
        ('anna" OR "oslo', [], []),
    ],
)
def test_terms_match_names_and_captions(album: Catalog, term: str, in_names: list[str], in_captions: list[str]) -> None:
    """Terms match names and captions of pictures, but not the bank, and FTS5 syntax has no effect."""
    matches = images_with_term(album, term, limit=100)
    assert [names(album, ids) for ids in matches] == [in_names, in_captions, []]
    assert all(ids.tolist() == sorted(set(ids.tolist())) for ids in matches)


def test_a_limit_bounds_the_result(album: Catalog) -> None:
    """At most `limit` ids are returned, however many images match."""
    assert len(images_with_term(album, "png", limit=100)[0]) == 4
    assert len(images_with_term(album, "png", limit=3)[0]) == 3


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("img_2034.PNG", ["IMG_2034.png"]),
        ("IMG_2034", ["IMG_2034.png"]),
        ("IMG_2035.tar", ["IMG_2035.tar.png"]),
        ("IMG_2035", []),
        ("img 2034 late", ["img 2034 late.png"]),
        ("café%", ["café%.png"]),
        ("Oslo", []),
        ("2034", []),
        ("Oslo/IMG_2035.tar.png", []),
        ("%", []),
        ("", []),
        ("x" * 300, []),
    ],
)
def test_an_exact_name_is_the_whole_name_with_or_without_suffix(album: Catalog, name: str, expected: list[str]) -> None:
    """Parts of a name, and folders, do not match."""
    assert names(album, images_named(album, name)) == expected


def test_words_of_removed_files_are_forgotten(album: Catalog, encoder: FakeEncoder, tmp_path: Path) -> None:
    """Triggers keep the full-text tables in sync."""
    (tmp_path / "pictures/Oslo/IMG_2035.tar.png").rename(tmp_path / "pictures/Oslo/fjord.png")
    index_paths(album, encoder, [tmp_path / "pictures"], prune=True)
    assert names(album, images_with_term(album, "fjord", limit=9)[0]) == ["fjord.png"]
    assert names(album, images_with_term(album, "2035", limit=9)[0]) == []


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text(max_size=30) | st.text('ab"*^()-:{}+\0 ANDORT\udce9', max_size=12))
def test_any_text_can_be_searched(album: Catalog, text: str) -> None:
    """No input is query syntax, or fails."""
    for ids in (*images_with_term(album, text, limit=5), images_named(album, text)):
        assert len(ids) <= 5


def test_moved_pictures_match_only_their_new_path(album: Catalog, encoder: FakeEncoder, tmp_path: Path) -> None:
    """Neither words nor filters match the previous path."""
    pictures = tmp_path / "pictures"
    (pictures / "Anna's wedding/IMG_2034.png").rename(pictures / "Oslo/Bert.png")
    index_paths(album, encoder, [pictures])
    assert names(album, images_with_term(album, "anna", limit=100)[0]) == ["café%.png"]
    assert names(album, images_with_term(album, "bert", limit=100)[0]) == ["Bert.png"]
    assert names(album, images_named(album, "IMG_2034.png")) == []
    assert names(album, image_ids_where(album, [f"folder = {pictures}/Anna's wedding"])) == ["café%.png"]
    assert names(album, image_ids_where(album, ["name = IMG_2034.png"])) == []
    assert names(album, image_ids_where(album, ["name = bert.png"])) == ["Bert.png"]
