"""True captions against foils: how a dataset is read, and what is counted."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks.everyday import read_photographs
from benchmarks.foils import Foil
from benchmarks.swaps import measure, read
from encoders.datasets import Example
from tests.conftest import painter
from tests.fakes import FakeEncoder


@pytest.fixture
def examples(tmp_path: Path) -> list[Example]:
    """A red, a blue and a green picture."""
    paint = painter(tmp_path)
    return [
        Example(paint(f"{colour}.png", colour), (f"a {colour} kite",), "dev") for colour in ("red", "blue", "green")
    ]


def foil(kind: str, example: int, caption: str, copy: str) -> Foil:
    """A foil of one kind."""
    return Foil(kind, example, caption, copy)


def test_the_share_of_true_captions_preferred_is_reported_for_each_kind(examples: list[Example]) -> None:
    """A right colour scores higher than a wrong one, a caption equal to its foil counts half; order does not matter."""
    foils = [
        foil("object", 2, "a green kite", "a green thing"),
        foil("colour", 0, "a red kite", "a blue kite"),
        foil("colour", 1, "a blue kite", "a red kite"),
        foil("colour", 2, "a green kite", "a red kite"),
        foil("colour", 0, "a blue kite", "a red kite"),
    ]
    figures = measure(examples, foils, FakeEncoder())
    assert figures.keys() == {"colour", "object", "all"}
    shares = {kind: [figures[kind][key] for key in ("pairs", "reranker", "towers")] for kind in figures}
    assert shares == {"colour": [4, 75.0, 75.0], "object": [1, 50.0, 50.0], "all": [5, 70.0, 70.0]}


def test_other_pictures_show_what_the_words_give_away(examples: list[Example]) -> None:
    """Each pair is scored for the next picture as well, which prefers its own colour."""
    foils = [
        foil("colour", 0, "a blue kite", "a red kite"),
        foil("colour", 1, "a blue kite", "a green kite"),
        foil("count", 2, "a green kite", "a red kite"),
    ]
    figures = measure(examples, foils, FakeEncoder())
    assert figures["colour"]["other_picture"] == {"reranker": 50.0, "towers": 50.0}
    assert figures["count"]["other_picture"] == {"reranker": 0.0, "towers": 0.0}
    assert (figures["colour"]["towers"], figures["count"]["towers"]) == (50.0, 100.0)


def test_reranker_and_towers_are_measured_apart(examples: list[Example]) -> None:
    """With a reranker that is always wrong the towers are as right as before."""
    foils = [foil("colour", 0, "a red kite", "a blue kite"), foil("count", 1, "a blue kite", "two red kites")]
    figures = measure(examples, foils, FakeEncoder(reverse_rerank=True))
    assert (figures["all"]["reranker"], figures["all"]["towers"]) == (0.0, 100.0)


def test_everyday_is_read_with_what_else_is_known(tmp_path: Path) -> None:
    """Objects, class and query may make a foil true; a folder of another layout has captions only."""
    paint = painter(tmp_path / "images")
    paint("1.png", "red")
    paint("2.png", "blue")
    rows = [
        {"split": "val", "source": "coco", "captions": ["a kite", "a red kite"], "query": "red", "objects": ["Kite"]},
        {"split": "train", "source": "caltech", "captions": ["a blue boat"], "query": "sea", "class": "ferry"},
    ]
    lines = [json.dumps({"image": f"images/{i}.png", **row}) for i, row in enumerate(rows, start=1)]
    (tmp_path / "everyday.jsonl").write_text("\n".join(lines), encoding="utf-8")
    (tmp_path / "queries.jsonl").write_text(lines[0], encoding="utf-8")
    dataset, facts = read(tmp_path, "val")
    assert [example.captions for example in dataset.examples] == [("a kite", "a red kite")]
    assert facts[dataset.examples[0].image].split() == ["red", "kite"]
    assert read_photographs(tmp_path)[0].captions == ("a kite", "a red kite")
    (tmp_path / "images" / "1.txt").write_text("a red kite", encoding="utf-8")
    assert read(tmp_path / "images", "all")[1] == {}
