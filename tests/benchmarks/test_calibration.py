"""Calibration against judgements: on painted pictures, against figures counted by hand."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from benchmarks.calibration import draw, measure, reliability, search
from encoders import ImageFeatures, TextFeatures
from encoders.datasets import Dataset, Example, Label
from encoders.features import MatchScores
from tests.conftest import Paint
from tests.fakes import FakeEncoder


@pytest.fixture
def dataset(paint: Paint) -> Dataset:
    """Four pictures: two red ones, of which the captions say more or less the same, a blue one and a white one."""
    rows = [
        ("coco__1.png", "red", ("red wall",), ("red", "wall")),
        ("coco__2.png", "red", ("the red wall",), ("red",)),
        ("coco__3.png", "blue", ("blue door in rain",), ("wall", "red")),
        ("other__4.png", "white", ("white snow",), ("snow",)),
    ]
    examples = [
        Example(paint(name, colour, seed=seed), captions, "val", tuple(Label(name[:5], label) for label in labels))
        for seed, (name, colour, captions, labels) in enumerate(rows)
    ]
    return Dataset("painted (val)", tuple(examples))


def test_error_and_bins_are_those_of_the_paper() -> None:
    """The mean distance between predicted and actual share, weighted by the bins' sizes."""
    probabilities = np.array([0.05, 0.05, 0.95, 0.95, 1.0], np.float32)
    error, rows = reliability(probabilities, np.array([False, True, True, True, False]))
    assert np.array(rows) == pytest.approx(np.array([[0.05, 0.5, 2], [29 / 30, 2 / 3, 3]]))
    assert error == pytest.approx((2 * 0.45 + 3 * 0.3) / 5)


def test_hits_are_judged_by_captions_and_labels(dataset: Dataset) -> None:
    """A caption also describes a picture whose captions say the same; labels are judged within their list."""
    queries, pairs = search(dataset, FakeEncoder(), 10)
    assert queries == ["red wall", "the red wall", "blue door in rain", "white snow", "red", "snow", "wall"]
    judged: dict[str, list[int]] = {}
    for query, picture, described in zip(pairs.queries, pairs.pictures, pairs.described, strict=True):
        judged.setdefault(queries[query], []).append(int(picture) if described else -1 - int(picture))
    of_query = {query: sorted(pictures) for query, pictures in judged.items()}
    assert of_query["red wall"] == [-4, -3, 0, 1]
    assert of_query["the red wall"] == [-4, -3, -1, 1]  # "the" is rare here
    assert of_query["white snow"] == [-3, -2, -1, 3]
    assert of_query["red"] == [0, 1, 2]  # the last picture was not labelled from this list
    assert of_query["wall"] == [0, 1, 2]  # the second picture's caption says it
    assert of_query["snow"] == [3]


def test_figures_by_kind_familiarity_and_source(dataset: Dataset, tmp_path: Path) -> None:
    """A model that is sure of everything errs by the share of what is not described."""

    class Sure(FakeEncoder):
        def match_images(self, text: TextFeatures, images: ImageFeatures) -> MatchScores:
            matches = super().match_images(text, images)
            return replace(matches, probabilities=np.ones_like(matches.probabilities))

    training = Dataset("painted (train)", tuple(Example(Path("x.png"), ("a red wall",), "train") for _ in range(25)))
    figures, pairs = measure(dataset, training, Sure(), 10)
    labels = figures["labels"]
    assert (labels["pairs"], labels["described"]) == (7, 7)
    assert labels["error"] == 0.0
    assert labels["above_half"] == {"hits": 7, "right": 100.0}
    familiar = figures["familiarity"]
    assert familiar["rare"]["pairs"] == 0
    assert familiar["rare"]["above_half"] == {"hits": 0, "right": None}
    assert familiar["unseen"]["pairs"] + familiar["common"]["pairs"] == len(pairs.described)
    assert familiar["common"]["pairs"] == sum(q in (0, 1, 4, 6) for q in pairs.queries)
    assert set(figures["sources"]) == {"coco", "other"}
    draw({"painted": reliability(pairs.probabilities, pairs.described)[1]}, tmp_path / "plot.png")
    assert (tmp_path / "plot.png").stat().st_size > 1000
