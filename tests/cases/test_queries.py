"""Queries as people type and paste them."""

# ruff: noqa: RUF001  the typographic characters are what is tested

from __future__ import annotations

from pathlib import Path

import pytest

from search import SearchEngine
from search.errors import QueryError
from tests.api.conftest import Run
from tests.conftest import Paint
from tests.fakes import FakeEncoder


@pytest.mark.parametrize("typed", ["a red thing -“blue thing”", "a red thing –green", "a red thing −„blue thing“"])
def test_typographic_characters_exclude(engine: SearchEngine, typed: str) -> None:
    """The answer names the sentence and the exclusion apart."""
    answer = engine.search_images(typed)
    assert answer.query == "a red thing"
    assert answer.without in (("blue thing",), ("green",))


def test_an_emoji_is_looked_for_by_its_name(engine: SearchEngine) -> None:
    """The quick model finds colours by their words."""
    answer = engine.search_images("🟥")
    assert answer.query == "red square"
    assert str(answer.hits[0].path).endswith("red.png")
    assert engine.search_images("something -🟥").without == ("red square",)


def test_punctuation_alone_is_an_error(engine: SearchEngine) -> None:
    """The message says what to type instead."""
    with pytest.raises(QueryError, match="the query has no words, only '\\?!'; say what to look for, for example"):
        engine.search_images("?!")


@pytest.mark.parametrize("name", ["-rf.png", "🐶.png", "-red “box”.png"])
def test_a_file_is_found_by_its_name_whatever_it_is(run: Run, paint: Paint, encoder: FakeEncoder, name: str) -> None:
    """From Python and, after `--`, on the command line."""
    path = paint(name, "blue")
    paint("other.png", "red")
    assert run("index", path.parent).status == 0
    hits = run("search", "--json", "--", name).json["hits"]
    assert (hits[0]["path"], "name" in hits[0]["sources"]) == (str(path), True)
    with SearchEngine.open(Path("crosslook-index"), encoder=encoder) as engine:
        assert engine.search_images(name).hits[0].path == path
