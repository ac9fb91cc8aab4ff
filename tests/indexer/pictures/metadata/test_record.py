"""Merging a picture's metadata with its sidecar's and its name's."""

from __future__ import annotations

from pathlib import Path

import pytest

from indexer.pictures.metadata import Findings, PictureMetadata, Words, dated_by_name, read_xmp_sidecar, with_sidecar

from .samples import exif, jpeg, metadata, xmp

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


ORIGINAL, DIGITIZED, MODIFIED = "exif:DateTimeOriginal", "exif:DateTimeDigitized", "xmp:ModifyDate"
CREATED = "xmp:CreateDate"  # of the file: for a scan, the day of the scan


@pytest.mark.parametrize(
    ("of_picture", "of_sidecar", "source"),
    [
        (36867, MODIFIED, "picture"),
        (36867, DIGITIZED, "picture"),
        (36867, CREATED, "picture"),
        (36867, ORIGINAL, "sidecar"),
        (36868, MODIFIED, "picture"),
        (36868, CREATED, "sidecar"),
        (36868, ORIGINAL, "sidecar"),
        (306, MODIFIED, "sidecar"),
        (306, DIGITIZED, "sidecar"),
        (None, MODIFIED, "sidecar"),
    ],
)
def test_the_original_date_comes_before_any_other(
    tmp_path: Path, of_picture: int | None, of_sidecar: str, source: str
) -> None:
    """Whoever has it; of two dates of a kind, the sidecar's is taken."""
    tags = {} if of_picture is None else {of_picture: "2015:06:01 10:00:00"}
    base, details = (tags, {}) if of_picture == 306 else ({}, tags)
    picture = metadata(jpeg(exif=exif(base, details)))
    path = tmp_path / "a.xmp"
    path.write_text(xmp(attributes=f'{of_sidecar}="2024-03-03" xmp:Rating="4"'), encoding="utf-8")
    merged = with_sidecar(picture, read_xmp_sidecar(path))
    expected = {"picture": "2015-06-01T10:00:00", "sidecar": "2024-03-03"}[source]
    assert (merged.taken_at, merged.words.date_source, merged.words.rating) == (expected, source, 4)


def test_of_several_sidecars_the_original_date_is_taken() -> None:
    """In any order; a date of an older record, whose kind is not known, counts as an original one."""
    edited = Findings(taken_at="2024-03-03", words=Words(date_source="sidecar", date_kind="modified"))
    original = Findings(taken_at="1965-08-12", words=Words(date_source="sidecar", date_kind="original"))
    undated = PictureMetadata(16, 12, "JPEG")
    for sidecars in ((edited, original), (original, edited)):
        assert with_sidecar(with_sidecar(undated, sidecars[0]), sidecars[1]).taken_at == "1965-08-12"
    assert with_sidecar(PICTURE, edited).taken_at == "2021-05-04"
    assert with_sidecar(PICTURE, original).taken_at == "1965-08-12"


def test_a_name_dates_a_picture_without_a_date() -> None:
    """And no other."""
    undated = PictureMetadata(16, 12, "JPEG")
    dated = dated_by_name(undated, "IMG-20240131-WA0007.jpg")
    assert (dated.taken_at, dated.words.date_source) == ("2024-01-31", "name")
    assert dated_by_name(PICTURE, "IMG-20240131-WA0007.jpg") == PICTURE
    assert dated_by_name(undated, "IMG_0001.jpg") == undated
