"""Composed pictures: what a photograph shows, which two go together, and how they are put side by side."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from benchmarks.composed import Pair, Shown, common_name, compose, make_pairs, with_article
from benchmarks.everyday import Photograph


def photograph(source: str, names: str, *captions: str) -> Photograph:
    """A photograph of comma-separated names."""
    return Photograph(Path(f"{source}-{names}.png"), source, frozenset(names.split(",")), captions, "")


def test_objects_are_names_if_a_caption_mentions_them() -> None:
    """By a synonym too; classes are certain, and some say it in other words."""
    assert Shown.by(photograph("coco", "dog,car,person", "a puppy with a boy")).names == ("dog", "person")
    assert Shown.by(photograph("caltech", "faces easy", "somebody")).names == ("face",)
    assert Shown.by(photograph("pacs", "art painting horse", "a mare")).names == ("horse",)
    assert Shown.by(photograph("textures", "braided", "a bracelet")).names == ()


@pytest.mark.parametrize(
    ("name", "phrase"),
    [
        ("apple", "an apple"),
        ("bus", "a bus"),
        ("skis", "skis"),
        ("ice hockey", "ice hockey"),
        ("glass vase", "a glass vase"),
    ],
)
def test_names_stand_with_their_article(name: str, phrase: str) -> None:
    """Plurals and what cannot be counted have none."""
    assert with_article(name) == phrase
    assert common_name(name) == name


def test_a_pair_is_named_by_what_only_one_of_them_may_show() -> None:
    """Not by a name whose synonym is mentioned for the other; absent names fit neither."""
    photographs = [
        photograph("coco", "dog,kite", "a dog and a kite"),
        photograph("coco", "dog,bus", "a bus and a puppy"),
        photograph("coco", "cat", "a cat beside a small dog"),
        photograph("coco", "zebra", "a zebra"),
        photograph("coco", "pizza", "a pizza"),
    ]
    pairs = [pair for seed in range(20) for pair in make_pairs(photographs, 5, seed)]
    names = {frozenset(zip((p.file.name for p in pair.photographs), pair.names, strict=True)) for pair in pairs}
    assert frozenset({("coco-dog,kite.png", "kite"), ("coco-dog,bus.png", "bus")}) in names
    assert frozenset({("coco-dog,kite.png", "dog"), ("coco-zebra.png", "zebra")}) in names
    for pair in pairs:
        shown = [Shown.by(photograph) for photograph in pair.photographs]
        assert not any({"dog", "puppy"} & one.mentioned for one in shown) or "dog" not in pair.absent
        if all("dog" in one.mentioned for one in shown):
            assert "dog" not in pair.names
        assert all(name in one.names for name, one in zip(pair.names, shown, strict=True))
        assert not set(pair.absent) & set().union(*(one.names for one in shown))


def test_listed_and_other_photographs_are_not_mixed() -> None:
    """A photograph without a list of objects may show anything that it is not asked for."""
    sources = [("coco", name) for name in ("dog", "bus", "kite", "cup")]
    sources += [("instruments", name) for name in ("tuba", "harp", "drums", "flute")]
    photographs = [photograph(source, name, name) for source, name in sources]
    pairs = [pair for seed in range(10) for pair in make_pairs(photographs, 8, seed)]
    assert {tuple(p.source for p in pair.photographs) for pair in pairs} == {("coco",) * 2, ("instruments",) * 2}
    assert all(
        (name in {"dog", "bus", "kite", "cup"}) == (p.photographs[0].source == "coco")
        for p in pairs
        for name in p.absent
    )
    assert make_pairs(photographs, 8, 0) == make_pairs(photographs, 8, 0) != make_pairs(photographs, 8, 1)
    assert len(make_pairs(photographs, 2, 0)) == 2


def test_a_pair_has_a_sentence() -> None:
    """It names the first, then the second."""
    pair = Pair((photograph("a", "b"), photograph("a", "c")), ("dog", "electric guitar"), ("x", "y"))
    assert pair.sentence == "a dog and an electric guitar"


def test_halves_keep_their_aspect_at_one_height() -> None:
    """A small wide picture left of a large tall one."""
    picture, boundary = compose(Image.new("RGB", (40, 20), "red"), Image.new("RGB", (30, 60), "blue"))
    assert picture.size == (150, 60)
    assert boundary == 120 / 150
    pixels = np.asarray(picture)
    assert (pixels[:, :120] == (255, 0, 0)).all()
    assert (pixels[:, 120:] == (0, 0, 255)).all()
