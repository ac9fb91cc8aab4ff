"""Putting the base model together from its pretrained parts."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn

from encoders.datasets import Dataset, Example, Label
from scripts.build_base_model import (
    _load_in_order,
    class_names,
    recognise,
    validation_splits,
    with_labels,
    with_larger_pictures,
    with_reranker_layers,
)
from tests.encoders.conftest import _tiny, pictures, tiny_checkpoint
from tests.encoders.training.test_trainer import open_picture

ROOT = Path(__file__).parents[2]
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


def test_recognised_classes_are_those_above_the_threshold(
    pictures: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One, several or none of them in a picture."""
    monkeypatch.setattr("scripts.build_base_model.IMAGE_CUT", 1)
    tower = tiny_checkpoint().model.image.tower
    classifier = nn.Linear(tower.channels, 3)
    nn.init.zeros_(classifier.weight)
    examples = pictures.examples[:3]
    for biases, classes in (([9.0, 0.0, 0.0], [0]), ([5.0, 5.0, 0.0], [0, 1]), ([0.0, 0.0, 0.3], [2])):
        classifier.bias.data = torch.tensor(biases)
        monkeypatch.setattr("scripts.build_base_model.RECOGNISED", 0.35)
        assert recognise(examples, tower, classifier, tmp_path / "cache", open_picture) == [classes] * 3
    classifier.bias.data = torch.zeros(3)
    assert recognise(examples, tower, classifier, tmp_path / "cache", open_picture) == [[]] * 3


def test_towers_keep_their_weights_for_larger_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only the size of the input changes, and with it the number of regions."""
    monkeypatch.setattr("scripts.build_base_model.LARGER_SIZE", 64)
    towers = tiny_checkpoint()
    larger = with_larger_pictures(towers)
    assert larger.model.config.input_size == 64
    for name, value in towers.model.state_dict().items():
        torch.testing.assert_close(larger.model.state_dict()[name], value)
    regions = [
        each.model.eval().image(torch.zeros(1, 3, size, size)).states for each, size in ((towers, 32), (larger, 64))
    ]
    assert [len(states[0]) for states in regions] == [16, 64]


def test_names_of_classes_become_labels_in_every_dataset() -> None:
    """Beside a picture's own; its file counts, not its path."""
    one = Dataset("one", (Example(Path("/a/1.png"), ("x",), "train", (Label("objects", "own"),)),))
    two = Dataset("two", (Example(Path("/a/b/../1.png"), ("y",), "train"), Example(Path("/a/2.png"), ("z",), "train")))
    names = [("zebra", "horse"), ("cat",), ("dog",)]
    found = with_labels([one, two], {"/a/1.png": [0, 2], "/a/2.png": []}, names)
    new = [Label("imagenet", name) for name in ("zebra", "horse", "dog")]
    assert [list(e.labels) for d in found for e in d.examples] == [[Label("objects", "own"), *new], new, []]


def test_the_same_pictures_are_validated_once() -> None:
    """Captions of another language for them, or fewer pictures, add nothing; not all datasets have the split."""

    def dataset(name: str, *files: str, split: str = "val") -> Dataset:
        return Dataset(name, tuple(Example(Path(f"/a/{file}"), (name,), split) for file in files))

    given = [dataset("en", "1", "2"), dataset("de", "2"), dataset("other", "2", "3"), dataset("no", "4", split="train")]
    assert [part.name for part in validation_splits(given)] == ["en (val)", "other (val)"]


def test_the_command_of_the_makefile_starts() -> None:
    """As a module, from the root of the repository."""
    command = [sys.executable, "-m", "scripts.build_base_model", "--help"]
    assert "--resume" in subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert "-m scripts.build_base_model $(DATASETS)" in (ROOT / "Makefile").read_text()


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
