"""IPTC-IIM."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import TiffImagePlugin

from indexer.pictures.metadata.iptc import TIFF_TAG, read_iptc

from .samples import encoded, field, jpeg, metadata, photoshop

UTF8 = field(90, b"\x1b%G", record=1)


def test_words_places_and_date() -> None:
    """A caption as picture agencies write them."""
    block = UTF8 + b"".join(
        field(dataset, value)
        for dataset, value in [
            (5, "The stage"),
            (105, "A headline"),
            (120, "Wilhelmina\r\nin Zürich"),
            (25, "stage"),
            (25, "Wilhelmina"),
            (80, "Ottokar"),
            (116, "© Ottokar"),
            (92, "Opera"),
            (90, "Zürich"),
            (101, "Switzerland"),
            (55, "20210504"),
            (60, "101112+0200"),
        ]
    )
    found = metadata(jpeg(photoshop(block)))
    words = found.words
    assert (words.title, words.description, words.texts) == ("The stage", "Wilhelmina in Zürich", ("A headline",))
    assert (words.keywords, words.places) == (("stage", "Wilhelmina"), ("Opera", "Zürich", "Switzerland"))
    assert (words.creator, words.copyright, words.notes) == ("Ottokar", "© Ottokar", ())
    assert found.taken_at == "2021-05-04T10:11:12"


def test_a_tiff_has_iptc_as_bytes_or_integers() -> None:
    """Photoshop declares the bytes as 32-bit integers."""
    block = field(25, "Ottokar1")  # of 13 bytes
    block += bytes(-len(block) % 4)
    directory = TiffImagePlugin.ImageFileDirectory_v2()
    directory.tagtype[TIFF_TAG] = 7
    directory[TIFF_TAG] = block
    data = encoded("TIFF", tiffinfo=directory)
    entry, other = (struct.pack("<HHI", TIFF_TAG, *kind) for kind in ((7, len(block)), (4, len(block) // 4)))
    for stored in (data, data.replace(entry, other)):
        assert metadata(stored).words.keywords == ("Ottokar1",)


@pytest.mark.parametrize(
    ("declared", "data", "keyword"),
    [
        (UTF8, "Zürich".encode(), "Zürich"),
        (b"", "Zürich".encode(), "Zürich"),
        (b"", "Zürich".encode("latin-1"), "Zürich"),
        (field(90, b"\x1b.A", record=1), "Zürich".encode("latin-1"), "Zürich"),
        (UTF8, "Zürich".encode("latin-1"), None),
        (b"", "海边".encode("gb18030"), None),
        (b"", "海辺".encode("shift_jis"), None),
    ],
)
def test_encodings(declared: bytes, data: bytes, keyword: str | None) -> None:
    """As declared, else UTF-8, else Latin-1 where that gives words; else nothing."""
    assert metadata(jpeg(photoshop(declared + field(25, data)))).words.keywords == ((keyword,) if keyword else ())


@pytest.mark.parametrize(
    "rest",
    [
        b"\x1c\x02\x78\xff\xff",
        b"\x1c\x02\x78\x80\x04\xff\xff\xff\xff",
        b"\x1c\x02\x78\x12\x34abc",
        b"garbage",
        b"\x1c\x02\x78\x80\x20",
    ],
)
def test_an_impossible_length_ends_the_reading(rest: bytes) -> None:
    """What precedes it is kept, and a note says so."""
    words = metadata(jpeg(photoshop(field(25, "Ottokar") + rest))).words
    assert words.keywords == ("Ottokar",)
    assert len(words.notes) == 1
    assert words.notes[0].startswith("its IPTC is damaged after the first 1")


def test_a_long_field_has_the_size_of_its_size() -> None:
    """Values of more than 32,767 bytes are extended."""
    block = struct.pack(">BBBHI", 0x1C, 2, 120, 0x8004, 40_000) + b"word " * 8_000 + field(25, "Ottokar")
    words = metadata(jpeg(photoshop(block))).words
    assert len(words.description or "") == 1_999
    assert words.keywords == ("Ottokar",)


@given(st.binary(max_size=200))
def test_any_block_is_read(block: bytes) -> None:
    """Whatever follows a field."""
    assert read_iptc(field(25, "Ottokar") + block).values["keywords"][0] == "Ottokar"
