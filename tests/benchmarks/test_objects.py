"""Precision of single words: on painted pictures, against figures counted by hand."""

from __future__ import annotations

import json
import shutil
import sys
import unicodedata
from pathlib import Path

import pytest
from torchvision.models.detection import FasterRCNN_ResNet50_FPN_Weights

from benchmarks import objects
from benchmarks.everyday import Photograph, read_photographs
from benchmarks.objects import WORDS, K, compare, main, measure, measure_names
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


def test_words_are_compared_with_english(everyday: Path) -> None:
    """The fake model takes "rot" for grey, which white and yellow are nearest to; only one of three is called red."""
    words = {"like English": {"red": "red", "white": "white"}, "German": {"red": "rot", "white": "white"}}
    languages = measure(read_photographs(everyday, "val"), FakeEncoder(), words)["languages"]
    same = {
        "precision": {"towers": 58.3, "reranked": 58.3},
        "of_english": {"towers": 100.0, "reranked": 100.0},
        "names_kept": {"towers": 100.0, "reranked": 100.0},
        "lost": {"towers": [], "reranked": []},
    }
    assert languages == {
        "en": same,
        "like English": same,
        "German": {
            "precision": {"towers": 41.7, "reranked": 41.7},
            "of_english": {"towers": 71.4, "reranked": 71.4},
            "names_kept": {"towers": 50.0, "reranked": 50.0},
            "lost": {"towers": ["red"], "reranked": ["red"]},
        },
    }


def test_a_name_is_kept_from_four_fifths_of_english() -> None:
    """Four of seven for five is, seven of ten for nine is not; a name that English never finds says nothing."""
    english = {"bus": 71.43, "cup": 90.0, "fork": 0.0, "vase": 20.0}
    german = {"bus": 57.14, "cup": 70.0, "fork": 50.0, "vase": 30.0}
    of_english = compare(
        {name: {"towers": figure, "reranked": 0.0} for name, figure in german.items()},
        {name: {"towers": figure, "reranked": figure} for name, figure in english.items()},
    )
    assert of_english["names_kept"] == {"towers": 66.7, "reranked": 0.0}
    assert of_english["lost"] == {"towers": ["cup"], "reranked": ["bus", "cup", "vase"]}
    assert of_english["of_english"] == {"towers": 114.2, "reranked": 0.0}


def test_the_command_writes_languages_and_prints_a_row_for_each(
    everyday: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The table goes to standard error, so that standard output is JSON; without the option no word is searched."""
    file, out = tmp_path / "words.json", tmp_path / "out.json"
    file.write_text(json.dumps({"de": {"red": "rot", "white": "white"}}), encoding="utf-8")
    monkeypatch.setattr(objects, "WORDS", file)
    monkeypatch.setattr(objects, "load_encoder", lambda _: FakeEncoder())
    monkeypatch.setattr(sys, "argv", ["objects", str(everyday), "--out", str(out), "--languages"])
    main()
    printed = capsys.readouterr()
    document = json.loads(out.read_text(encoding="utf-8"))
    assert json.loads(printed.out) == document
    assert list(document["languages"]) == ["en", "de"]
    assert printed.err.endswith("| de | 41.7 | 41.7 | 71.4 | 71.4 | 50.0 | 50.0 |\n")
    monkeypatch.setattr(sys, "argv", ["objects", str(everyday)])
    main()
    assert "languages" not in json.loads(capsys.readouterr().out)


def test_every_language_has_a_word_for_every_name() -> None:
    """Twenty languages, the eighty names of COCO, and no word for two of them."""
    by_language = json.loads(WORDS.read_text(encoding="utf-8"))
    coco = set(FasterRCNN_ResNet50_FPN_Weights.COCO_V1.meta["categories"]) - {"__background__", "N/A"}
    assert len(by_language) == 20
    assert len(coco) == 80
    for language, words in by_language.items():
        assert words.keys() == coco, language
        assert len({word.casefold() for word in words.values()}) == 80, language
        assert all(word and word == unicodedata.normalize("NFC", word).strip() for word in words.values()), language
