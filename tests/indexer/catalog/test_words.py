"""The forms in which texts are stored for search."""

# ruff: noqa: RUF001  letters of many scripts are its subject

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from indexer.catalog.words import folded, phrases_of, words_of


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("/home/anna/Crète, 2019/IMG_2034.JPG", "home anna crete 2019 img 2034 jpg"),
        ("SummerHolidayBibione.jpg", "summer holiday bibione jpg summerholidaybibione"),
        ("IMG_20230801_101112.jpg", "img 2023 08 01 101112 jpg 20230801"),
        ("20230801101112", "2023 08 01 101112 20230801101112"),
        ("202308", "2023 08 202308"),
        ("20231301 20230230 12345678", "20231301 20230230 12345678"),
        ("HTMLPage iPhone15 DSC01234", "html page i phone 15 dsc 01234 htmlpage iphone15 dsc01234"),
        ("Größe Åland ŁÓDŹ Brønsted Æsir", "grosse aland lodz bronsted aesir"),
        ("ЁЛКА Отпуск Крым", "елка отпуск крым"),
        ("ΑΘΗΝΑ Αθήνα", "αθηνα αθηνα"),
        ("İstanbul ISPARTA", "istanbul isparta"),
        ("海边度假照片", "海 边 度 假 照 片"),
        ("東京タワー2019", "東 京 タ ワ ー 2019"),
        ("제주도 여행", "제 주 도 여 행"),
        ("ภูเก็ต", "ภ เ ก ต"),
        ("ｆｕｌｌ　ｗｉｄｔｈ", "full width"),
        ("كِتَاب كتـــاب", "كتاب كتاب"),
        ("שָׁלוֹם", "שלום"),
        ("...", ""),
        ("", ""),
    ],
)
def test_words_of_names_in_many_scripts(text: str, words: str) -> None:
    """Words are in lower case, without accents, split where people would."""
    assert words_of(text) == words
    assert words_of(unicodedata.normalize("NFD", text)) == words


@pytest.mark.parametrize(
    ("text", "phrases"),
    [
        ("IMG_2034", ("img 2034",)),
        ("SummerHoliday", ("summer holiday", "summerholiday")),
        ("海边", ("海 边",)),
        ("海边IMG1", ("海 边 img 1",)),
        ("!?", ()),
    ],
)
def test_phrases_to_ask_for(text: str, phrases: tuple[str, ...]) -> None:
    """Split as when stored, and as written."""
    assert phrases_of(text) == phrases


@given(st.text(max_size=40))
def test_every_text_is_found_by_itself_however_it_is_composed(text: str) -> None:
    """One of its phrases is among its words."""
    for form in ("NFC", "NFD"):
        phrases = phrases_of(unicodedata.normalize(form, text))
        assert not phrases or any(f" {phrase} " in f" {words_of(text)} " for phrase in phrases)


@given(st.text(max_size=40))
def test_folding_keeps_separators_and_ignores_case(text: str) -> None:
    """Folding twice changes nothing, and full-width slashes do not become separators."""
    assert folded(folded(text)) == folded(text)
    assert folded(text).count("/") == text.count("/")
    assert folded(unicodedata.normalize("NFD", text)) == folded(text)
