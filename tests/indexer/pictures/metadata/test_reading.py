"""One record from all sources."""

from __future__ import annotations

import unicodedata

import pytest
from PIL import ExifTags, PngImagePlugin

from indexer.pictures.metadata.text import MAX_NAME, MAX_TEXT, MAX_WORDS

from .samples import bag, encoded, exif, field, jpeg, metadata, photoshop, xmp

BASE = ExifTags.Base


def test_words_are_the_persons_and_facts_the_cameras() -> None:
    """Titles come from XMP first, cameras and positions from EXIF first; keywords are united."""
    block = exif({BASE.ImageDescription: "of EXIF", BASE.Model: "M3"}, gps={1: "N", 2: 48.0, 3: "E", 4: 11.0})
    packet = xmp(
        "<dc:description>of XMP</dc:description>" + bag("dc:subject", "Dog", "snow"),
        'tiff:Model="other" exif:GPSLatitude="1.0" exif:GPSLongitude="1.0"',
    )
    found = metadata(
        jpeg(photoshop(field(120, "of IPTC") + field(25, "dog") + field(25, "Rome")), exif=block, xmp=packet.encode())
    )
    assert (found.words.description, found.words.texts) == ("of XMP", ("of IPTC", "of EXIF"))
    assert found.words.keywords == ("Dog", "snow", "Rome")
    assert (found.camera, found.latitude, found.longitude) == ("M3", 48.0, 11.0)


def test_the_original_of_any_source_precedes_the_scan() -> None:
    """A scanner's date is that of the scan; the person's is that of the picture."""
    block = exif({BASE.DateTime: "2022:01:01 00:00:00"}, {BASE.DateTimeDigitized: "2019:01:01 00:00:00"})
    assert metadata(jpeg(exif=block, xmp=xmp(attributes='photoshop:DateCreated="1965-08-12"').encode())).taken_at == (
        "1965-08-12"
    )
    assert metadata(jpeg(photoshop(field(55, "19650812")), exif=block)).taken_at == "1965-08-12"
    assert metadata(jpeg(exif=block)).taken_at == "2019-01-01T00:00:00"


def test_png_text() -> None:
    """Title, author and time as the PNG specification names them, in Latin-1 or UTF-8."""
    info = PngImagePlugin.PngInfo()
    for key, value in {
        "Title": "Käthe",
        "Author": "Ottokar",
        "Creation Time": "Tue, 4 May 2021 10:11:12 +0000",
    }.items():
        info.add_text(key, value)
    info.add(b"tEXt", b"Description\0" + "Großmutter".encode())
    found = metadata(encoded("PNG", pnginfo=info))
    assert (found.words.title, found.words.description, found.words.creator) == ("Käthe", "Großmutter", "Ottokar")
    assert found.taken_at == "2021-05-04T10:11:12"


def test_values_are_normalised_and_bounded() -> None:
    """NFC, one line, no control or direction characters; the first hundred keywords, and 2,000 characters."""
    decomposed = unicodedata.normalize("NFD", "Zürich")
    packet = xmp(
        bag(
            "dc:subject",
            f"  {decomposed}\n \u202ethe\tcity ",
            "Zürich the city",
            "x" * 500,
            "\u200b\U0001f469\u200d\U0001f52c",
        )
        + f"<dc:description>{'word ' * 1000}</dc:description>"
    )
    words = metadata(jpeg(xmp=packet.encode())).words
    assert words.keywords == ("Zürich the city", "x" * MAX_NAME, "\u200b\U0001f469\u200d\U0001f52c")
    assert len(words.description or "") == MAX_TEXT - 1
    many = metadata(jpeg(xmp=xmp(bag("dc:subject", *(f"keyword {i}" for i in range(1_000)))).encode())).words
    assert many.keywords == tuple(f"keyword {i}" for i in range(MAX_WORDS))


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "GIF", "WEBP", "TIFF", "BMP", "HEIF", "AVIF"])
def test_a_picture_without_metadata_has_none(kind: str) -> None:
    """And no notes."""
    found = metadata(encoded(kind))
    assert (found.taken_at, found.latitude, found.camera) == (None, None, None)
    assert found.words == type(found.words)()


def test_one_broken_source_leaves_the_others() -> None:
    """A note says which one was broken."""
    found = metadata(jpeg(photoshop(field(25, "Ottokar")), exif=b"Exif\0\0garbage {garbage}", xmp=b"garbage"))
    assert found.words.keywords == ("Ottokar",)
    assert found.words.notes == (
        "its EXIF could not be read: it does not begin with a TIFF header",
        "its XMP could not be read in full: it has no RDF",
    )
