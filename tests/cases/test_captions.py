"""Captions in files of every encoding, and in pictures."""

from __future__ import annotations

from pathlib import Path

import pytest

from encoders.datasets import read_captions, read_dataset
from encoders.errors import DatasetError
from tests.indexer.pictures.metadata.samples import bag, field, jpeg, metadata, photoshop, xmp

CAPTION = "our grandmother Käthe in the garden"


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-8", "utf-8-sig", "utf-32"])
def test_a_caption_beside_a_picture_is_read(tmp_path: Path, encoding: str) -> None:
    """Windows saves text as UTF-16 and calls it Unicode."""
    (tmp_path / "1.jpg").write_bytes(jpeg())
    (tmp_path / "1.txt").write_bytes(f"{CAPTION}\r\n".encode(encoding))
    assert read_dataset(tmp_path).examples[0].captions == (CAPTION,)


@pytest.mark.parametrize(
    ("caption", "encoding"),
    [
        (CAPTION, "latin-1"),
        ("祖母在花園", "big5"),
        ("祖母在花园里", "gb18030"),
        ("庭にいる祖母", "shift_jis"),
        ("庭", "iso2022_jp"),
    ],
)
def test_a_caption_in_another_encoding_is_refused(tmp_path: Path, caption: str, encoding: str) -> None:
    """With the file, the line, and what to do; a guess could be wrong."""
    path = tmp_path / "captions.csv"
    path.write_bytes(f"image,caption\n1.jpg,{caption}\n".encode(encoding))
    with pytest.raises(DatasetError, match=r"captions\.csv:2: .*UTF-8"):
        read_captions(path)


def test_words_in_xmp_and_iptc_are_the_pictures_own() -> None:
    """Names that people wrote into their pictures."""
    packet = xmp(bag("dc:subject", "Wilhelmina") + "<dc:description>Wilhelmina on stage</dc:description>")
    words = metadata(jpeg(xmp=packet.encode())).words
    assert (words.description, words.keywords) == ("Wilhelmina on stage", ("Wilhelmina",))
    words = metadata(
        jpeg(photoshop(field(25, "Ottokar") + field(120, "Ottokar and his dog") + field(0, b"\0\4")))
    ).words
    assert (words.description, words.keywords, words.notes) == ("Ottokar and his dog", ("Ottokar",), ())
