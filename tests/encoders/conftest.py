"""A tiny but complete model, and a small captioned dataset."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from encoders.architecture import ModelConfig
from encoders.checkpoint.calibration import Calibration
from encoders.checkpoint.files import Checkpoint, write_checkpoint
from encoders.checkpoint.tokenizer import Tokenizer
from encoders.datasets import Dataset, Example
from encoders.network import backbones
from encoders.network.model import CrosslookModel

COLOURS = {"red": (220, 20, 20), "green": (20, 200, 20), "blue": (30, 30, 220), "white": (240, 240, 240)}
WORDS = ("a", "the", "wall", "door", "is", "over", *COLOURS)
TINY = "torchvision/tiny"


def tiny_backbone() -> nn.Module:
    """Three stages of a CNN, 32 pixels to a 4x4 map."""
    torch.manual_seed(0)
    model = nn.Module()
    model.features = nn.Sequential(
        nn.Sequential(nn.Conv2d(3, 8, 3, 2, 1, bias=False), nn.BatchNorm2d(8), nn.ReLU()),
        nn.Sequential(nn.Conv2d(8, 16, 3, 2, 1, bias=False), nn.BatchNorm2d(16), nn.ReLU()),
        nn.Sequential(nn.Conv2d(16, 24, 3, 2, 1, bias=False), nn.BatchNorm2d(24), nn.ReLU()),
    )
    return model


def use_tiny_backbone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Register the three-stage CNN as `torchvision/tiny`."""
    original = backbones._torchvision_model

    def choose(name: str, *, pretrained: bool) -> nn.Module:
        return tiny_backbone() if name == "tiny" else original(name, pretrained=pretrained)

    monkeypatch.setattr(backbones, "_torchvision_model", choose)


@pytest.fixture(autouse=True)
def _tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    """Register the three-stage CNN as `torchvision/tiny`."""
    use_tiny_backbone(monkeypatch)


def tiny_config(tokenizer: Tokenizer, **changes: object) -> ModelConfig:
    """The smallest model of the real architecture."""
    settings: dict[str, object] = {
        "backbone": TINY,
        "input_size": 32,
        "vocabulary_size": len(tokenizer.vocabulary),
        "max_tokens": 16,
        "text_width": 16,
        "text_layers": 2,
        "text_heads": 2,
        "text_feed_forward": 32,
        "dimension": 16,
        "channels": 8,
        "joint_size": 8,
    }
    return ModelConfig(**(settings | changes))  # type: ignore[arg-type]


def tiny_checkpoint(**changes: object) -> Checkpoint:
    """A model with random weights."""
    tokenizer = Tokenizer(["[PAD]", "[UNK]", "[CLS]", "[SEP]", *WORDS], 16)
    torch.manual_seed(1)
    model = CrosslookModel(tiny_config(tokenizer, **changes))
    return Checkpoint("tiny", model, tokenizer, Calibration(20.0, 0.5, 0.8, -4.0), {"terms": "none"})


@pytest.fixture
def checkpoint() -> Checkpoint:
    """A model with random weights."""
    return tiny_checkpoint()


@pytest.fixture
def model_directory(checkpoint: Checkpoint, tmp_path: Path) -> Path:
    """The model on disk."""
    write_checkpoint(checkpoint, tmp_path / "model")
    return tmp_path / "model"


@pytest.fixture
def pictures(tmp_path: Path) -> Dataset:
    """Forty pictures of two colours each, with captions that name them; 28 to train on, 12 to validate."""
    return painted_pictures(tmp_path)


def painted_pictures(folder: Path) -> Dataset:
    """Paint the pictures of the fixture `pictures` below a folder."""
    rng = np.random.default_rng(5)
    names = list(COLOURS)
    examples = []
    for i in range(40):
        top, bottom = rng.choice(names, 2, replace=False)
        image = Image.new("RGB", (40, 40), COLOURS[top])
        image.paste(COLOURS[bottom], (0, 20, 40, 40))
        path = folder / "pictures" / f"{i}.png"
        path.parent.mkdir(exist_ok=True)
        image.save(path)
        examples.append(
            Example(path, (f"{top} over {bottom}", f"a {top} wall over the {bottom}"), "train" if i < 28 else "dev")
        )
    return Dataset("colours", tuple(examples))
