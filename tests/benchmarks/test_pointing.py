"""Pointing: where a heat map is hottest, and what the shares count."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from benchmarks.composed import Pair
from benchmarks.everyday import Photograph
from benchmarks.pointing import Place, concentration, heat_maps, hottest, measure, scenes, shares, told_apart
from encoders.features import Attention, ImageFeatures
from tests.conftest import painter
from tests.fakes import FakeEncoder


class Mirrored(FakeEncoder):
    """A model that looks at the wrong side."""

    def attend(self, text: str, image: ImageFeatures) -> Attention:
        """Turn each heat map round."""
        attention = super().attend(text, image)
        return replace(attention, weights=np.ascontiguousarray(attention.weights[:, :, ::-1]))


@pytest.fixture
def pairs(tmp_path: Path) -> list[Pair]:
    """A red picture with a blue one, and a wide yellow one with a green one."""
    paint = painter(tmp_path)

    def photograph(colour: str, source: str, size: tuple[int, int] = (32, 32)) -> Photograph:
        return Photograph(paint(f"{colour}.png", colour, size=size), source, frozenset({colour}))

    red, blue = photograph("red", "coco"), photograph("blue", "coco")
    yellow, green = photograph("yellow", "caltech", (96, 32)), photograph("green", "flowers")
    return [
        Pair((red, blue), ("red", "blue"), ("green", "yellow")),
        Pair((yellow, green), ("yellow", "green"), ("red", "blue")),
    ]


@pytest.mark.parametrize(("column", "x"), [(0, 0.0), (1, 0.375), (3, 1.0)])
def test_the_hottest_place_is_that_of_the_drawn_map(column: int, x: float) -> None:
    """Coordinates run from left to right and from top to bottom, in shares of width and height."""
    heat = np.full((4, 4), 0.01, np.float32)
    heat[2, column] = 0.85
    place = hottest(heat)
    assert place[0] == pytest.approx(x, abs=0.13)
    assert place[1] == pytest.approx(0.625, abs=0.02)


def test_a_middle_column_leans_to_its_warmer_neighbour() -> None:
    """With an odd number of columns the middle one belongs to both halves."""
    heat = np.zeros((7, 7), np.float32)
    heat[3, 2:5] = 0.3, 0.5, 0.1
    assert 0.4 < hottest(heat)[0] < 0.5
    assert 0.5 < hottest(np.ascontiguousarray(heat[:, ::-1]))[0] < 0.6


def test_concentration_is_one_minus_relative_entropy() -> None:
    """A single cell has 1, uniform heat 0, two cells of sixteen three quarters."""
    heat = np.zeros((4, 4), np.float32)
    heat[1, 2] = 1
    assert concentration(heat) == pytest.approx(1)
    heat[1, 2] = heat[0, 0] = 0.5
    assert concentration(heat) == pytest.approx(0.75)
    assert concentration(np.full((4, 4), 1 / 16, np.float32)) == pytest.approx(0, abs=1e-6)


def test_each_pair_is_composed_both_ways_round(pairs: list[Pair]) -> None:
    """Sides and boundary are those of the composed picture."""
    composed = list(scenes(pairs, FakeEncoder()))
    assert [scene.sides for scene in composed] == [("left", "right"), ("right", "left")] * 2
    assert [scene.boundary for scene in composed] == [0.5, 0.5, 0.75, 0.25]
    assert [scene.pair for scene in composed] == [pairs[0], pairs[0], pairs[1], pairs[1]]
    left = composed[1].image.regions[0].reshape(4, 4, -1)[:, 0, :3]
    assert (left[:, 2] > left[:, 0]).all()  # blue is on the left the second time


def test_names_are_found_in_the_sentence(pairs: list[Pair]) -> None:
    """Each has the heat map of its own words, of several words their mean."""
    encoder = FakeEncoder()
    scene = next(scenes(pairs, encoder))
    named = Pair(pairs[0].photographs, ("red thing", "blue"), ("green", "yellow"))
    scene = type(scene)(named, scene.image, scene.boundary, scene.sides)
    weights = encoder.attend("a red thing and a blue", scene.image).weights
    first, second = heat_maps(encoder, scene)
    np.testing.assert_allclose(first["in_sentence"], weights[1:3].mean(axis=0))
    np.testing.assert_allclose(second["in_sentence"], weights[5])
    np.testing.assert_allclose(first["alone"], weights[1:3].mean(axis=0), rtol=1e-5)


def test_a_model_of_colours_points_at_its_colours(pairs: list[Pair]) -> None:
    """All places are right, and none if it looks at the other side; absent colours are told from present ones."""
    figures = measure(pairs, FakeEncoder())
    assert figures["pictures"] == 4
    for form in ("alone", "in_sentence"):
        assert figures[form]["words"] == 8
        assert [figures[form][key] for key in ("correct", "left", "right")] == [100.0] * 3
        assert figures[form]["by_source"]["coco"] == {"words": 4, "correct": 100.0}
        assert figures[form]["by_source"].keys() == {"coco", "caltech", "flowers"}
    assert figures["absent"]["words_present"] == figures["absent"]["words_absent"] == 8
    assert figures["absent"]["cosine"]["roc_auc"] == 1
    assert measure(pairs[:1], Mirrored())["alone"]["correct"] == 0


def test_shares_are_counted_by_form_side_and_source() -> None:
    """Percentages of the places of each group."""
    places = [Place(form, side, source, right) for form in ("alone", "in_sentence") for side, source, right in (
        ("left", "coco", True), ("left", "coco", form == "alone"), ("right", "coco", False), ("right", "pacs", True),
    )]  # fmt: skip
    figures = shares(places)
    assert figures["alone"] == {
        "words": 4,
        "correct": 75.0,
        "left": 100.0,
        "right": 50.0,
        "by_source": {"coco": {"words": 3, "correct": 66.7}, "pacs": {"words": 1, "correct": 100.0}},
    }
    assert figures["in_sentence"]["left"] == 50.0


def test_signals_are_compared_by_roc_auc() -> None:
    """One of four comparisons is lost."""
    figures = told_apart([{"peak": 0.2}, {"peak": 0.6}], [{"peak": 0.1}, {"peak": 0.3}])
    assert figures == {
        "words_present": 2,
        "words_absent": 2,
        "peak": {"roc_auc": 0.75, "median_present": 0.4, "median_absent": 0.2},
    }
