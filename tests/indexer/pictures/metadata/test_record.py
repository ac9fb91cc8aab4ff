"""Merging a picture's metadata with its sidecar's and its name's."""

from __future__ import annotations

from indexer.pictures.metadata import Findings, PictureMetadata, Words, dated_by_name, with_sidecar

PICTURE = PictureMetadata(
    16,
    12,
    "JPEG",
    taken_at="2021-05-04",
    camera="M3",
    words=Words(title="Dog", keywords=("dog", "snow"), persons=("Ida",), rating=3, date_source="picture"),
)


def test_single_values_of_the_sidecar_win_and_lists_are_united() -> None:
    """The sidecar is the newer of the two."""
    words = Words(title="Cat", keywords=("Snow", "cat"), persons=("Emil",), notes=("a note",))
    merged = with_sidecar(PICTURE, Findings(latitude=48.0, longitude=11.0, words=words))
    assert (merged.width, merged.taken_at, merged.camera, merged.latitude) == (16, "2021-05-04", "M3", 48.0)
    assert (merged.words.title, merged.words.rating, merged.words.date_source) == ("Cat", 3, "picture")
    assert (merged.words.keywords, merged.words.persons) == (("Snow", "cat", "dog"), ("Emil", "Ida"))
    assert merged.words.notes == ("a note",)


def test_a_date_of_the_sidecar_is_marked() -> None:
    """It replaces the picture's."""
    merged = with_sidecar(PICTURE, Findings(taken_at="1965-08-12", words=Words(date_source="sidecar")))
    assert (merged.taken_at, merged.words.date_source) == ("1965-08-12", "sidecar")


def test_a_name_dates_a_picture_without_a_date() -> None:
    """And no other."""
    undated = PictureMetadata(16, 12, "JPEG")
    dated = dated_by_name(undated, "IMG-20240131-WA0007.jpg")
    assert (dated.taken_at, dated.words.date_source) == ("2024-01-31", "name")
    assert dated_by_name(PICTURE, "IMG-20240131-WA0007.jpg") == PICTURE
    assert dated_by_name(undated, "IMG_0001.jpg") == undated
