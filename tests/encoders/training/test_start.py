"""The model a run starts from: backbones by name, and the layers that fine-tuning freezes."""

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
def test_any_backbone_can_be_written_and_used(backbone: str, regions: int, pictures: Dataset, tmp_path: Path) -> None:
    """The backbone's name is in the checkpoint, so loading it needs no further settings."""
    start = fresh_start([pictures], backbone=backbone, text_tower="gru", pretrained=False)
    write_checkpoint(start, tmp_path / "model")
    encoder = load_encoder(tmp_path / "model", device="cpu")
    features = encoder.encode_images(encoder.prepare(Image.new("RGB", (320, 240), "red"))[None])
    assert features.vectors.shape == (1, encoder.dimension)
    assert features.regions.shape == (1, regions, 128)


@pytest.mark.parametrize(
    ("backbone", "mean", "std"),
    [("tf_efficientnet_lite0", 0.5, 0.5), ("convnext_atto", 0.449, 0.226), ("torchvision/tiny", 0.449, 0.226)],
)
def test_pixels_are_scaled_as_the_backbone_expects(backbone: str, mean: float, std: float, pictures: Dataset) -> None:
    """Its pretrained weights see pixels with the statistics they were trained on."""
    config = fresh_start([pictures], backbone=backbone, text_tower="gru", pretrained=False).model.config
    assert (config.pixel_mean, config.pixel_std) == pytest.approx((mean, std))


def test_a_wrong_name_is_refused_before_anything_is_built(pictures: Dataset) -> None:
    """With the error of `create_backbone`."""
    with pytest.raises(BackboneError, match="timm has no model 'resnet5O'"):
        fresh_start([pictures], backbone="resnet5O", text_tower="gru")


def test_fine_tuning_trains_the_last_layers_of_any_tower(pictures: Dataset) -> None:
    """Those after the split, else three stages of the CNN and two layers of the text tower."""
    assert fine_tuning_cuts(tiny_checkpoint(image_split=2, text_split=1)) == (2, 1)
    assert fine_tuning_cuts(tiny_checkpoint(text_layers=6)) == (0, 4)
    resnet = fresh_start([pictures], backbone="timm/resnet10t", text_tower="gru", pretrained=False)
    assert fine_tuning_cuts(resnet) == (2, 0)
