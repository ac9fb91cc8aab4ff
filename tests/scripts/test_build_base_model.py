"""Putting the base model together from its pretrained parts."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn

from encoders.datasets import Dataset
from scripts.build_base_model import _load_in_order, add_recognised_classes, class_names, with_reranker_layers
from tests.encoders.conftest import _tiny, pictures, tiny_checkpoint
from tests.encoders.training.test_trainer import open_picture

__all__ = ["_tiny", "pictures"]  # the tiny CNN for every test here, and painted pictures


def test_weights_are_loaded_by_position() -> None:
    """Names may differ; the classifier at the end is skipped; another shape is refused."""
    stages = nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 2))
    theirs = {f"their.{i}": torch.full_like(v, i) for i, v in enumerate(stages.state_dict().values())}
    _load_in_order(stages, theirs | {"classifier": torch.zeros(9, 9)})
    assert [float(v.flatten()[0]) for v in stages.state_dict().values()] == [0, 1, 2, 3]
    with pytest.raises(SystemExit, match=r"has another shape at 0\.weight: \(9, 9\), not \(4, 3\)"):
        _load_in_order(stages, {name: torch.zeros(9, 9) for name in theirs})


def test_class_names_are_those_of_imagenet_in_its_order() -> None:
    """There are 1,000, with the first two synonyms each."""
    names = class_names()
    assert len(names) == 1000
    assert names[340] == ("zebra",)
    assert names[2] == ("great white shark", "white shark")


def test_recognised_classes_become_labels(pictures: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each picture gets the names of the classes above the threshold, beside its own labels, and in every dataset."""
    monkeypatch.setattr("scripts.build_base_model.IMAGE_CUT", 1)
    tower = tiny_checkpoint().model.image.tower
    classifier = nn.Linear(tower.channels, 3)
    first, *others = pictures.select("train").examples
    one = Dataset("one", (replace(first, labels=("own",)), *others))
    two = Dataset("two", (first,))
    names = [("zebra", "horse"), ("cat",), ("dog",)]

    def labels(biases: list[float]) -> list[tuple[str, ...]]:
        nn.init.zeros_(classifier.weight)
        classifier.bias.data = torch.tensor(biases)
        found = add_recognised_classes([one, two], tower, classifier, names, tmp_path / "cache", open_picture)
        assert [dataset.name for dataset in found] == ["one", "two"]
        return [example.labels for dataset in found for example in dataset.examples]

    zebra = ("zebra", "horse")
    assert labels([9.0, 0.0, 0.0]) == [("own", *zebra), *[zebra] * len(others), zebra]
    assert set(labels([5.0, 5.0, 0.0])[1:]) == {("zebra", "horse", "cat")}


def test_the_reranker_starts_with_the_vectors_layers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its own layers compute what the vectors' do, which stay as they were."""
    monkeypatch.setattr("scripts.build_base_model.IMAGE_SPLIT", 2)
    monkeypatch.setattr("scripts.build_base_model.TEXT_SPLIT", 1)
    towers = tiny_checkpoint(querybank=4)
    towers = replace(towers, metadata={"terms": "none", "training": {"epoch": 3}, "metrics": {}})
    split = with_reranker_layers(towers)
    assert (split.model.config.image_split, split.model.config.text_split) == (2, 1)
    assert split.metadata == {"terms": "none", "towers": {"epoch": 3}}
    pixels = torch.rand(2, 3, 32, 32)
    before, after = (model.image.eval()(pixels) for model in (towers.model, split.model))
    torch.testing.assert_close(after, before)
