"""The encodings of text files."""

from __future__ import annotations

from codecs import BOM_UTF8, BOM_UTF16_BE, BOM_UTF16_LE, BOM_UTF32_LE

import pytest
from hypothesis import given
from hypothesis import strategies as st

from encoders.datasets import Row, decode_text
from encoders.datasets.rows import fault

GERMAN = "Großmutter Käthe\r\nim Garten\r\n"
CHINESE = "海边\r\n度假照片\r\n"
RUSSIAN = "собака в снегу\r\n"


@pytest.mark.parametrize("text", [GERMAN, CHINESE, RUSSIAN, "a", "\U0001f436 dog"])
@pytest.mark.parametrize(
    ("mark", "encoding"),
    [
        (b"", "utf-8"),
        (BOM_UTF8, "utf-8"),
        (BOM_UTF16_LE, "utf-16-le"),
        (BOM_UTF16_BE, "utf-16-be"),
        (BOM_UTF32_LE, "utf-32-le"),
    ],
)
def test_unicode_with_its_mark_is_read(text: str, mark: bytes, encoding: str) -> None:
    """In either byte order; UTF-8 also without a mark."""
    assert decode_text(mark + text.encode(encoding)) == text


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
@pytest.mark.parametrize("text", [GERMAN, "a dog", "dog, 犬"])
def test_utf16_without_a_mark_is_known_by_its_zeros(text: str, encoding: str) -> None:
    """Every second byte of mostly Latin text is zero."""
    assert decode_text(text.encode(encoding)) == text


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        (GERMAN, "latin-1"),
        (CHINESE, "gb18030"),
        (CHINESE, "utf-16-le"),
        ("一一一一\r\n", "utf-16-le"),
        (RUSSIAN, "utf-16-be"),
        (RUSSIAN, "cp1251"),
        ("一隻狗在雪地裡", "big5"),
        ("雪の中の犬", "shift_jis"),
        ("雪の中の犬", "iso2022_jp"),
        ("눈 속의 개", "euc_kr"),
        (GERMAN, "utf-32-le"),
        ("cat\0dog\0", "ascii"),
    ],
)
def test_other_encodings_are_refused(text: str, encoding: str) -> None:
    """A line of them is no caption; which encoding it is cannot be told for certain."""
    lines = decode_text(text.encode(encoding)).splitlines()
    reasons = [fault(Row("1.jpg", line, 1)) for line in lines if line.strip() and not line.isascii()] or [
        fault(Row("1.jpg", line, 1)) for line in lines
    ]
    assert any(reasons)
    assert all(reason is None or "UTF-8" in reason for reason in reasons)


def test_utf16_that_is_cut_off_is_refused() -> None:
    """Half a character is missing at its end."""
    reason = fault(Row("1.jpg", decode_text(BOM_UTF16_LE + "a dog".encode("utf-16-le")[:-1]), 1))
    assert reason == "neither UTF-8 nor UTF-16; save the file as UTF-8"


@given(st.binary(max_size=100))
def test_any_bytes_are_decoded_or_marked(content: bytes) -> None:
    """What is decoded is what the bytes say in one of the encodings, or has surrogates."""
    text = decode_text(content)
    encodings = ("utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32")
    assert any(
        text == content.decode(e, errors="surrogateescape" if e[:5] == "utf-8" else "ignore") for e in encodings
    ) or (any("\ud800" <= c <= "\udfff" for c in text))


def test_one_fault_in_a_file_of_utf8_is_one() -> None:
    """But no character counts in a file of another encoding, because some are valid UTF-8 by chance."""
    lines = [b"gro\xc3\x9fer Hund"] * 20
    assert decode_text(b"\n".join([*lines, b"caf\xe9"])).splitlines() == ["großer Hund"] * 20 + ["caf\udce9"]
    assert "山".encode("gb18030").decode("utf-8") == "ɽ"
    assert decode_text("a\n海\n山".encode("gb18030")).splitlines()[0] == "a"
    assert "ɽ" not in decode_text("海\n山".encode("gb18030"))
