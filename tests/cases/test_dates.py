"""Dates as people's files have them."""

from __future__ import annotations

import pytest
from PIL import ExifTags

from indexer.pictures.metadata import dated_by_name
from tests.indexer.pictures.metadata.samples import exif, jpeg, metadata

ORIGINAL, DIGITIZED, MODIFIED = (
    ExifTags.Base.DateTimeOriginal,
    ExifTags.Base.DateTimeDigitized,
    ExifTags.Base.DateTime,
)


@pytest.mark.parametrize(
    ("text", "taken_at"),
    [
        ("0001:01:01 00:00:00", None),
        ("0000:00:00 00:00:00", None),
        ("1904:01:01 00:00:00", None),
        ("9999:12:31 23:59:59", None),
        ("2025:01:08 07:18:55+0000", "2025-01-08T07:18:55"),
        ("2021:05:04 10:11:12.345", "2021-05-04T10:11:12"),
        ("2021-05-04T10:11:12", "2021-05-04T10:11:12"),
        ("2021/05/04 10:11", "2021-05-04T10:11:00"),
    ],
)
def test_the_date_of_the_original(text: str, taken_at: str | None) -> None:
    """Read as exiftool reads it; what cannot be the date of a picture is none."""
    found = metadata(jpeg(exif=exif(details={ORIGINAL: text})))
    assert found.taken_at == taken_at
    assert found.words.date_source == (None if taken_at is None else "picture")


@pytest.mark.parametrize("text", ["2025:01:08 07:18:55+0000", "2025:01:08 07:18:55.12", "2025-01-08T07:18:55Z"])
def test_an_editors_later_date_does_not_replace_it(text: str) -> None:
    """Whatever form the original's date has."""
    block = exif({MODIFIED: "2026:01:01 00:00:00"}, {ORIGINAL: text, DIGITIZED: "2025:02:02 00:00:00"})
    assert metadata(jpeg(exif=block)).taken_at == "2025-01-08T07:18:55"


@pytest.mark.parametrize("name", ["IMG-20240131-WA0007.jpg", "Screenshot_20240131.png", "20240131.jpg"])
def test_a_messengers_picture_has_the_date_of_its_name(name: str) -> None:
    """Messengers remove the metadata; the source is marked."""
    found = dated_by_name(metadata(jpeg()), name)
    assert (found.taken_at, found.words.date_source) == ("2024-01-31", "name")
