"""What a run starts from: larger towers by name, all the way to a model in use."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from encoders import load_encoder
from encoders.checkpoint.files import write_checkpoint
from encoders.datasets import Dataset
from encoders.errors import BackboneError
from encoders.training import fine_tuning_cuts, fresh_start
from tests.encoders.conftest import tiny_checkpoint


@pytest.mark.parametrize(("backbone", "regions"), [("open_clip/RN50", 49), ("convnext_atto", 49)])
def test_a_larger_tower_goes_all_the_way(backbone: str, regions: int, pictures: Dataset, tmp_path: Path) -> None:
    """Named at the start, it travels in the checkpoint and encodes a picture with nothing else said."""
    start = fresh_start(pictures, backbone=backbone, text_tower="gru", pretrained=False)
    write_checkpoint(start, tmp_path / "model")
    encoder = load_encoder(tmp_path / "model", device="cpu")
    found = encoder.encode_images(encoder.prepare(Image.new("RGB", (320, 240), "red"))[None])
    assert found.vectors.shape == (1, encoder.dimension)
    assert found.regions.shape == (1, regions, 128)


@pytest.mark.parametrize(
    ("backbone", "mean", "std"),
    [("tf_efficientnet_lite0", 0.5, 0.5), ("convnext_atto", 0.449, 0.226), ("torchvision/tiny", 0.449, 0.226)],
)
def test_a_model_scales_pixels_as_its_backbone_does(backbone: str, mean: float, std: float, pictures: Dataset) -> None:
    """The statistics are the backbone's own, so that its pretrained weights see what they were trained on."""
    config = fresh_start(pictures, backbone=backbone, text_tower="gru", pretrained=False).model.config
    assert (config.pixel_mean, config.pixel_std) == pytest.approx((mean, std))


def test_a_wrong_name_is_refused_before_anything_is_built(pictures: Dataset) -> None:
    """With what would fit, as `create_backbone` says it."""
    with pytest.raises(BackboneError, match="timm has no model 'resnet5O'"):
        fresh_start(pictures, backbone="resnet5O", text_tower="gru")


def test_fine_tuning_trains_the_last_parts_of_any_tower(pictures: Dataset) -> None:
    """Where a model is split, what exists twice; else three stages of the CNN and two layers of the text tower."""
    assert fine_tuning_cuts(tiny_checkpoint(image_split=2, text_split=1)) == (2, 1)
    assert fine_tuning_cuts(tiny_checkpoint(text_layers=6)) == (0, 4)
    resnet = fresh_start(pictures, backbone="timm/resnet10t", text_tower="gru", pretrained=False)
    assert fine_tuning_cuts(resnet) == (2, 0)
