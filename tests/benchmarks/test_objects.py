"""Precision of single words: on painted pictures, against figures counted by hand."""

from __future__ import annotations

import shutil
from pathlib import Path

from benchmarks.everyday import Photograph, read_photographs
from benchmarks.objects import K, measure, measure_names
from tests.conftest import painter
from tests.fakes import FakeEncoder


def test_precision_of_each_name_and_its_mean(everyday: Path) -> None:
    """Two of three pictures called red are, one of two called white; of the classes, blue and yellow are never so."""
    figures = measure(read_photographs(everyday, "val"), FakeEncoder())
    objects, classes = figures["objects"], figures["classes"]
    assert objects["by_name"] == {
        "red": {"pictures": 3, "towers": 66.67, "reranked": 66.67},
        "white": {"pictures": 2, "towers": 50.0, "reranked": 50.0},
    }
    assert (objects["pictures"], objects["names"], objects["fewer_than_10"]) == (5, 2, 2)
    assert objects["precision"] == {"towers": 58.3, "reranked": 58.3}
    assert objects["at_0"] == {"towers": [], "reranked": []}
    assert classes["by_name"]["green"] == {"pictures": 2, "towers": 100.0, "reranked": 100.0}
    assert classes["at_0"] == {"towers": ["blue", "yellow"], "reranked": ["blue", "yellow"]}
    assert classes["precision"] == {"towers": 33.3, "reranked": 33.3}
    assert classes["by_source"] == {
        "grocery": {"names": 1, "towers": 100.0, "reranked": 100.0},
        "imagenet": {"names": 3, "towers": 33.3, "reranked": 33.3},
    }


def test_reranking_is_measured_apart_from_the_towers(everyday: Path) -> None:
    """A reranker that reverses the order loses what the towers found."""
    coco = [p for p in read_photographs(everyday, "val") if p.source == "coco"]
    by_name = measure_names(coco, FakeEncoder(reverse_rerank=True))
    assert by_name["red"] == {"pictures": 3, "towers": 66.67, "reranked": 33.33}  # the blue one


def test_ten_hits_count_where_there_are_more_pictures(tmp_path: Path) -> None:
    """Of twelve pictures called red eight are painted red: precision at 10 is 80 %."""
    paint = painter(tmp_path)
    photographs = [
        Photograph(paint(f"{i}.png", "red" if i < 8 else "blue", seed=i), "coco", frozenset({"red"})) for i in range(12)
    ]
    photographs += [Photograph(paint(f"{i}.png", "yellow", seed=i), "coco", frozenset()) for i in range(12, 16)]
    assert K == 10
    assert measure_names(photographs, FakeEncoder())["red"] == {"pictures": 12, "towers": 80.0, "reranked": 80.0}


def test_copies_of_a_picture_count_once(tmp_path: Path) -> None:
    """The index has one image for both files; it shows what either file is said to show."""
    red = painter(tmp_path)("red.png", "red")
    copy = Path(shutil.copy(red, tmp_path / "copy.png"))
    photographs = [Photograph(red, "coco", frozenset({"red"})), Photograph(copy, "coco", frozenset({"red", "white"}))]
    right = {"pictures": 1, "towers": 100.0, "reranked": 100.0}
    assert measure_names(photographs, FakeEncoder()) == {"red": right, "white": right}
