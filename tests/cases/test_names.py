"""Names in any script, composed or decomposed, joined or with dates: found in search, `name` and `folder`."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from pathlib import Path

import pytest

from indexer import Catalog, index_paths
from search import SearchEngine
from tests.conftest import Paint
from tests.fakes import COLOURS, FakeEncoder

RUSSIAN, KOREAN, GERMAN = "Отпуск Крым 2019", "제주도 여행", "Café Größe Zürich"
CHINESE, JOINED, DATED = "海边度假照片", "SummerHolidayBibione", "IMG_20230801_101112"
NAMES = (RUSSIAN, KOREAN, GERMAN, CHINESE, JOINED, DATED)
OTHERS = 20


@pytest.fixture
def engine(catalog: Catalog, encoder: FakeEncoder, paint: Paint, tmp_path: Path) -> Iterator[SearchEngine]:
    """An index of pictures with these names, which a Mac has stored decomposed, each in a folder of its name."""
    for number, name in enumerate(NAMES):
        decomposed = unicodedata.normalize("NFD", name)
        paint(f"{decomposed}/{decomposed}.png", list(COLOURS)[number % len(COLOURS)], seed=number)
    for number in range(OTHERS):
        paint(f"other/{number}.png", list(COLOURS)[number % len(COLOURS)], seed=100 + number)
    index_paths(catalog, encoder, [tmp_path / "pictures"])
    with SearchEngine.open(catalog.directory, encoder=encoder) as opened:
        yield opened


def stems(engine: SearchEngine, text: str, **options: object) -> list[str]:
    """The composed names of the hits that a keyword or a filter found."""
    hits = engine.search_images(text, **options).hits  # type: ignore[arg-type]
    return [unicodedata.normalize("NFC", hit.path.stem) for hit in hits if hit.path and (hit.matched or options)]


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("отпуск", RUSSIAN),
        ("КРЫМ", RUSSIAN),
        ("крым 2019", RUSSIAN),
        ("제주도", KOREAN),
        ("여행", KOREAN),
        ("Größe", GERMAN),
        ("groesse zurich", GERMAN),
        ("ZÜRICH", GERMAN),
        ("cafe", GERMAN),
        ("海边", CHINESE),
        ("度假", CHINESE),
        ("海边度假照片", CHINESE),
        ("Bibione", JOINED),
        ("holiday", JOINED),
        ("summerholidaybibione", JOINED),
        ("2023", DATED),
        ("IMG_20230801_101112", DATED),
        ("20230801", DATED),
    ],
)
@pytest.mark.parametrize("form", ["NFC", "NFD"])
def test_a_word_of_a_name_is_found(engine: SearchEngine, text: str, name: str, form: str) -> None:
    """However it is typed."""
    assert stems(engine, unicodedata.normalize(form, text))[:1] == [name]  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("pattern", "name"),
    [
        ("*отпуск*", RUSSIAN),
        ("отпуск крым 2019.PNG", RUSSIAN),
        ("제주도*", KOREAN),
        ("*GRÖSSE*", GERMAN),
        ("*größe*", GERMAN),
        ("海边*", CHINESE),
        ("*bibione.png", JOINED),
    ],
)
@pytest.mark.parametrize("form", ["NFC", "NFD"])
def test_filters_by_name_and_folder(engine: SearchEngine, tmp_path: Path, pattern: str, name: str, form: str) -> None:
    """Case does not matter in any script, nor how letters are composed."""
    typed = unicodedata.normalize(form, pattern)  # type: ignore[arg-type]
    folder = unicodedata.normalize(form, f"{tmp_path}/pictures/{name}")  # type: ignore[arg-type]
    assert stems(engine, "red", where=[f"name = {typed}"]) == [name]
    assert stems(engine, "red", where=[f"folder = {folder}"]) == [name]


def test_a_caption_in_chinese_is_found_by_its_words(
    catalog: Catalog, encoder: FakeEncoder, paint: Paint, tmp_path: Path
) -> None:
    """As names are."""
    paint("a.png", "red").with_suffix(".txt").write_text("去年夏天在海边度假\n", encoding="utf-8")
    paint("b.png", "blue")
    index_paths(catalog, encoder, [tmp_path / "pictures"])
    with SearchEngine.open(catalog.directory, encoder=encoder) as opened:
        for text in ("海边", "度假", "夏天"):
            hit = opened.search_images(text).hits[0]
            assert (hit.path and hit.path.name, hit.sources, hit.matched) == ("a.png", ("vector", "caption"), (text,))
