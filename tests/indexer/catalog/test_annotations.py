"""Annotations: what pictures say about themselves, in filters, facets and full-text search."""

from __future__ import annotations

import pytest

from indexer import Catalog
from indexer.catalog.annotations import Annotation, annotations_of_image, write_annotations
from indexer.catalog.facets import MAX_VALUES, facets
from indexer.catalog.fulltext import images_with_term
from indexer.catalog.images import forget_images, image_ids_where
from indexer.errors import FilterError

ANNA, GARDEN, UNRATED = 1, 2, 3
SAID = {
    ANNA: [
        (Annotation.TITLE, "Отпуск у моря"),  # noqa: RUF001  Cyrillic
        (Annotation.KEYWORD, "beach"),
        (Annotation.KEYWORD, "Été 2019"),
        (Annotation.PERSON, "Anna Müller"),
        (Annotation.PLACE, "Rimini"),
        (Annotation.PLACE, "Italy"),
        (Annotation.RATING, "5"),
        (Annotation.COPYRIGHT, "Wilhelmina"),
    ],
    GARDEN: [
        (Annotation.KEYWORD, "beach"),
        (Annotation.DESCRIPTION, "海边度假"),
        (Annotation.CREATOR, "Ottokar"),
        (Annotation.LENS, "EF50mm f/1.8 STM"),
        (Annotation.RATING, "-1"),
    ],
}


@pytest.fixture
def annotated(indexed: Catalog) -> Catalog:
    """An index of five pictures, of which two are annotated."""
    with indexed.transaction() as connection:
        write_annotations(connection, SAID)
    return indexed


def test_annotations_are_read_by_name_in_their_order(annotated: Catalog) -> None:
    """Of several keywords, persons or places, the first stays first."""
    found = annotations_of_image(annotated, ANNA)
    assert found[Annotation.KEYWORD] == ["beach", "Été 2019"]
    assert found[Annotation.PLACE] == ["Rimini", "Italy"]
    assert annotations_of_image(annotated, UNRATED) == {}


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("keyword = BEACH", [ANNA, GARDEN]),
        ("keyword = été*", [ANNA]),
        ("keyword = e\u0301te\u0301*", [ANNA]),
        ("keyword = bea", []),
        ("keyword = *", [ANNA, GARDEN]),
        ("keyword != beach", [3, 4, 5]),
        ("person = anna*", [ANNA]),
        ("place = italy and rating >= 4", [ANNA]),
        ("lens = *50mm*", [GARDEN]),
        ("rating = 5", [ANNA]),
        ("rating < 0", [GARDEN]),
        ("rating >= -1", [ANNA, GARDEN]),
        ("rating > 0", [ANNA]),
        ("rating != 5", [GARDEN, 3, 4, 5]),
    ],
)
def test_filters_by_annotation(annotated: Catalog, expression: str, expected: list[int]) -> None:
    """Case and composition do not matter; `*` matches any text; ratings are numbers."""
    assert image_ids_where(annotated, [expression]).tolist() == expected


@pytest.mark.parametrize(
    "expression",
    [
        "rating = five",
        "rating = 10",
        "keyword == a",
        "keyword = a and",
        "rating = 6",
        "rating = -2",
        "keyword > a",
        "person <= b",
    ],
)
def test_a_filter_that_makes_no_sense_is_refused(annotated: Catalog, expression: str) -> None:
    """The message names the position."""
    with pytest.raises(FilterError, match="at character"):
        image_ids_where(annotated, [expression])


@pytest.mark.parametrize(
    ("term", "expected"),
    [
        ("отпуск", [ANNA]),
        ("ete", [ANNA]),
        ("muller", [ANNA]),
        ("rimini", [ANNA]),
        ("度假", [GARDEN]),
        ("ottokar", [GARDEN]),
        ("beaches", [ANNA, GARDEN]),
        ("wilhelmina", []),
        ("STM", []),
    ],
)
def test_words_of_annotations_are_found(annotated: Catalog, term: str, expected: list[int]) -> None:
    """Except those of copyright notices and lenses."""
    found = images_with_term(annotated, term, limit=9)
    assert found.annotations.tolist() == expected
    assert found.names.tolist() == found.captions.tolist() == []


def test_facets_count_images_by_annotation(annotated: Catalog) -> None:
    """The most frequent value first, ratings from the highest; filters apply."""
    counts = facets(annotated)
    assert list(counts.keywords.items()) == [("beach", 2), ("Été 2019", 1)]
    assert counts.persons == {"Anna Müller": 1}
    assert counts.lenses == {"EF50mm f/1.8 STM": 1}
    assert list(counts.ratings.items()) == [("5", 1), ("-1", 1)]
    assert facets(annotated, ["rating = 5"]).keywords == {"beach": 1, "Été 2019": 1}
    assert facets(annotated, ["rating = 5"]).lenses == {}


def test_facets_list_the_most_frequent_values(annotated: Catalog) -> None:
    """A collection may have very many keywords."""
    keywords = [(Annotation.KEYWORD, f"keyword {number:03}") for number in range(MAX_VALUES + 50)]
    with annotated.transaction() as connection:
        write_annotations(connection, {UNRATED: keywords})
    assert len(facets(annotated).keywords) == MAX_VALUES
    assert next(iter(facets(annotated).keywords)) == "beach"


def test_new_annotations_replace_the_old_ones(annotated: Catalog) -> None:
    """Equal annotations are written once."""
    with annotated.transaction() as connection:
        write_annotations(connection, {ANNA: [(Annotation.KEYWORD, "sea"), (Annotation.KEYWORD, "sea")]})
    assert annotations_of_image(annotated, ANNA) == {Annotation.KEYWORD: ["sea"]}
    assert images_with_term(annotated, "rimini", limit=9).annotations.tolist() == []


def test_annotations_go_with_their_image(annotated: Catalog) -> None:
    """Also from the full-text table."""
    with annotated.transaction() as connection:
        forget_images(connection, [ANNA])
    assert annotations_of_image(annotated, ANNA) == {}
    assert images_with_term(annotated, "rimini", limit=9).annotations.tolist() == []
