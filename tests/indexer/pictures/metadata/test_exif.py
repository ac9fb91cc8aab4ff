"""EXIF blocks, and the tags in them."""

from __future__ import annotations

import io
import struct
import tracemalloc
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import ExifTags, Image, PngImagePlugin

from indexer.pictures.metadata.exif import Exif

from .samples import encoded, exif, jpeg, metadata, xmp

BASE = ExifTags.Base
GPS = ExifTags.GPS
ORIGINAL, DIGITIZED, MODIFIED = BASE.DateTimeOriginal, BASE.DateTimeDigitized, BASE.DateTime


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "HEIF", "AVIF", "TIFF"])
def test_every_format_gives_its_exif(kind: str) -> None:
    """Date, camera, place, lens and words, wherever a format keeps the block."""
    block = exif(
        {BASE.Make: "Leitz", BASE.Model: "M3", BASE.ImageDescription: "A dog in the snow", BASE.Artist: "Oma"},
        {ORIGINAL: "2021:05:04 10:11:12", BASE.LensModel: "Summicron 50 mm"},
        {GPS.GPSLatitudeRef: "S", GPS.GPSLatitude: (33.0, 51.0), GPS.GPSLongitudeRef: "E", GPS.GPSLongitude: 151.2},
    )
    found = metadata(encoded(kind, exif=block))
    assert (found.taken_at, found.camera, found.words.date_source) == ("2021-05-04T10:11:12", "Leitz M3", "picture")
    assert (found.latitude, found.longitude) == (-33.85, 151.2)
    assert (found.words.description, found.words.creator, found.words.lens) == (
        "A dog in the snow",
        "Oma",
        "Summicron 50 mm",
    )
    assert found.words.notes == ()


def test_exif_in_png_text_is_read() -> None:
    """ImageMagick writes the block as hexadecimal text."""
    block = b"Exif\0\0" + exif({BASE.Model: "M3"})
    info = PngImagePlugin.PngInfo()
    info.add_text("Raw profile type exif", f"\nexif\n{len(block):8}\n{block.hex()}\n", zip=True)
    assert metadata(encoded("PNG", pnginfo=info)).camera == "M3"


@pytest.mark.parametrize(
    ("base", "details", "date"),
    [
        (
            {MODIFIED: "2022:01:01 00:00:00"},
            {ORIGINAL: "2021:05:04 10:11:12", DIGITIZED: "2021:06:01 00:00:00"},
            "05-04",
        ),
        (
            {MODIFIED: "2022:01:01 00:00:00"},
            {ORIGINAL: "0000:00:00 00:00:00", DIGITIZED: "2021:06:01 00:00:00"},
            "06-01",
        ),
        ({MODIFIED: "2021:07:01 00:00:00"}, {ORIGINAL: "    :  :     :  :  "}, "07-01"),
        ({ORIGINAL: "2021:05:04 10:11:12", MODIFIED: "2022:01:01 00:00:00"}, {}, "05-04"),
        ({MODIFIED: "2022:01:01 00:00:00"}, {ORIGINAL: "2021-05-04T10:11:12"}, "05-04"),
    ],
)
def test_the_date_of_the_original_precedes_others(base: dict[int, Any], details: dict[int, Any], date: str) -> None:
    """The date of the last change is used if there is no other."""
    assert (metadata(jpeg(exif=exif(base, details))).taken_at or "").startswith(f"2021-{date}")


@pytest.mark.parametrize(
    "text", ["OLYMPUS DIGITAL CAMERA         ", "SONY DSC", "Default", "DCIM\\100MEDIA\\DJI_0001.JPG", "cof_vivid"]
)
def test_what_cameras_write_into_every_picture_is_no_description(text: str) -> None:
    """Their descriptions are the same for all pictures."""
    assert metadata(jpeg(exif=exif({BASE.ImageDescription: text}))).words.description is None


@pytest.mark.parametrize("text", ["Dave", "North of Nora", "Canon of saints", "camera obscura", "Created with love"])
def test_words_that_resemble_boilerplate_stay(text: str) -> None:
    """Only whole descriptions are compared."""
    assert metadata(jpeg(exif=exif({BASE.ImageDescription: text}))).words.description == text


def test_microsoft_tags_are_utf16() -> None:
    """Windows writes title, comment, keywords and subject as it stores text."""
    tags = {
        BASE.XPTitle: "Käthe",
        BASE.XPComment: "in the garden",
        BASE.XPKeywords: "garden; Großmutter;;garden",
        BASE.XPSubject: "猫",
        BASE.XPAuthor: "Ottokar",
    }
    block = exif({tag: text.encode("utf-16-le") + b"\0\0" for tag, text in tags.items()} | {BASE.Rating: 4})
    words = metadata(jpeg(exif=block)).words
    assert (words.title, words.description, words.keywords) == ("Käthe", "in the garden", ("garden", "Großmutter"))
    assert (words.texts, words.creator, words.rating) == (("猫",), "Ottokar", 4)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (b"ASCII\0\0\0a dog", "a dog"),
        (b"UNICODE\0" + "Käthe".encode("utf-16-le"), "Käthe"),
        (b"UNICODE\0" + "Käthe".encode("utf-16-be"), "Käthe"),
        (b"UNICODE\0" + "海边".encode("utf-16"), "海边"),
        (b"JIS\0\0\0\0\0" + "海辺".encode("iso2022_jp"), "海辺"),
        (bytes(8) + "Käthe".encode(), "Käthe"),
        (b"a dog with no code", "a dog with no code"),
        (bytes(100), None),
        (b"ASCII\0\0\0" + b" " * 100, None),
    ],
)
def test_user_comments_name_their_encoding(value: bytes, text: str | None) -> None:
    """In their first eight bytes."""
    assert metadata(jpeg(exif=exif(details={BASE.UserComment: value}))).words.description == text


@pytest.mark.parametrize(
    ("data", "text"),
    [
        ("Käthe".encode(), "Käthe"),
        ("Großmutter im Garten".encode("latin-1"), "Großmutter im Garten"),
        ("海边度假照片".encode("gb18030"), None),
        ("海辺の休日".encode("shift_jis"), None),
        ("собака в снегу".encode("cp1251"), None),
    ],
)
def test_descriptions_without_a_known_encoding_are_left_out(data: bytes, text: str | None) -> None:
    """UTF-8 is certain, and Latin-1 where it gives words."""
    block = struct.pack("<2sHIH", b"II", 42, 8, 1) + struct.pack("<HHII", 270, 2, len(data), 26) + bytes(4) + data
    assert metadata(jpeg(exif=b"Exif\0\0" + block)).words.description == text


def test_orientation_is_that_of_exif() -> None:
    """Another in XMP, which Pillow takes if there is no EXIF, is ignored."""
    packet = xmp(attributes='tiff:Orientation="6"').encode()
    assert metadata(jpeg(xmp=packet)).width == 16
    assert metadata(jpeg(exif=exif({BASE.Orientation: 6}), xmp=packet)).width == 12


def test_a_broken_tag_does_not_lose_the_others() -> None:
    """A camera's name that lies outside the file, and a date of an unknown type."""
    entries = [(271, 2, 9999, 26), (272, 2, 4, int.from_bytes(b"M3\0\0", "little")), (306, 99, 20, 8), (18246, 3, 1, 5)]
    block = struct.pack("<2sHIH", b"II", 42, 8, 4) + b"".join(struct.pack("<HHII", *e) for e in entries)
    found = metadata(jpeg(exif=b"Exif\0\0" + block))
    assert (found.camera, found.taken_at, found.words.rating) == ("M3", None, 5)


def test_many_large_values_take_no_memory() -> None:
    """A directory whose entries all point to the same bytes is not multiplied."""
    entries = b"".join(struct.pack("<HHII", tag, 7, 60_000, 8) for tag in range(40_000, 44_900))
    block = Exif(struct.pack("<2sHIH", b"II", 42, 8, 4900) + entries + bytes(10_000))
    tracemalloc.start()
    assert block.directory(8, {271}) == {}
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1_000_000


@given(st.binary(max_size=300))
def test_any_block_is_read(block: bytes) -> None:
    """Whatever follows the header."""
    for header in (b"", b"II*\0\x08\0\0\0", b"MM\0*\0\0\0\x08"):
        image = Image.new("RGB", (16, 12))
        image.info["exif"] = header + block
        image.save(buffer := io.BytesIO(), "JPEG")
        assert metadata(buffer.getvalue()).width in (12, 16)
