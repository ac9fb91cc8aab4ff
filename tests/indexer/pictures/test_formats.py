"""The table of formats."""

from __future__ import annotations

import pytest

from encoders.datasets import IMAGE_SUFFIXES
from indexer import open_image
from indexer.errors import DecodeError
from indexer.pictures.formats import FORMATS, SUFFIXES, supported_formats
from tests.indexer.pictures.hostile import whole


def test_the_suffixes_are_those_of_the_formats_that_can_be_read() -> None:
    """Lower case, with the dot, each of one format, and all that a dataset may have."""
    every = [suffix for entry in FORMATS.values() for suffix in entry.suffixes.split()]
    assert len(every) == len(set(every))
    assert set(every) >= SUFFIXES >= IMAGE_SUFFIXES
    assert all(suffix == suffix.lower() and suffix[0] == "." for suffix in every)
    assert {".jfif", ".jif", ".jpe", ".mpo", ".hif", ".heics", ".avifs", ".dib", ".apng", ".psd", ".dng"} <= SUFFIXES
    assert (".jxl" in SUFFIXES) == ("JXL" in supported_formats())


def test_a_format_that_cannot_be_read_is_refused_by_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without its package, JPEG XL is no damage."""
    monkeypatch.setattr("indexer.pictures.jxl.supported_formats", lambda: ("JPEG",))
    with pytest.raises(DecodeError, match="not an image that crosslook reads, but a JPEG XL file"):
        open_image(b"\xff\x0a" + bytes(100))


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (b"%PDF-1.7\n", "a PDF document"),
        (b"\n<!DOCTYPE html><html>", "a web page"),
        (b'<?xml version="1.0"?>\n<svg xmlns="http://www.w3.org/2000/svg"/>', "an SVG drawing"),
        (b"PK\x03\x04" + bytes(40), "a ZIP archive"),
        (b"\0\0\0\x18ftypisom" + bytes(40), "a video"),
        (b"\0\0\0\x14ftypqt  " + bytes(40), "a video"),
        (b"RIFF\0\0\0\0WAVEfmt ", "a sound file"),
        (b"\0\0\0\x0cjP  \r\n\x87\n", "a JPEG 2000 file"),
        (b"\xff\xd8\xff\xf7" + bytes(20), "a lossless JPEG"),
        (b"8BPS\0\2" + bytes(30), "a large Photoshop file"),
        (b"\x76\x2f\x31\x01" + bytes(30), "an OpenEXR file"),
    ],
)
def test_a_sound_file_of_another_kind_is_called_that(data: bytes, kind: str) -> None:
    """It is not damaged."""
    with pytest.raises(DecodeError, match=f"not an image that crosslook reads, but {kind}"):
        open_image(data)


def test_every_supported_format_can_be_written_by_the_tests() -> None:
    """Otherwise the tests of hostile files would not cover it."""
    for kind in supported_formats():
        assert open_image(whole(kind)).width in (64, 32), kind
