"""The image tower: any CNN by name, cut into stages."""

from __future__ import annotations

import urllib.error
from typing import NoReturn

import pytest
import torch
from torch import nn

from encoders import BackboneError
from encoders.image_tower import ImageTower, create_backbone
from tests.encoders.conftest import TINY


@pytest.mark.parametrize(
    "name",
    ["tf_efficientnet_lite0", "timm/resnet10t", "torchvision/resnet18", "convnext_atto", "torchvision/squeezenet1_1"],
)
def test_a_backbone_is_chosen_by_name(name: str) -> None:
    """From timm and torchvision, EfficientNet, ResNet and ConvNeXt all become stages that give a square map."""
    with torch.no_grad():
        shape = create_backbone(name).eval()(torch.zeros(1, 3, 64, 64)).shape
    assert shape[0] == 1
    assert shape[2] == shape[3]
    assert shape[2] >= 2


def test_stages_add_up_to_the_library_s_own_network() -> None:
    """Cutting a CNN up must not change what it computes."""
    from torchvision import models  # noqa: PLC0415  slow to load

    torch.manual_seed(0)
    whole = models.resnet18(weights=None).eval()
    stages = create_backbone("torchvision/resnet18").eval()
    ours = stages.state_dict()
    theirs = [v for k, v in whole.state_dict().items() if not k.startswith("fc.")]
    stages.load_state_dict(dict(zip(ours, theirs, strict=True)))
    x = torch.rand(2, 3, 64, 64)
    with torch.no_grad():
        expected = nn.Sequential(*list(whole.children())[:-2])(x)
        torch.testing.assert_close(stages(x), expected)


@pytest.mark.parametrize("cut", [0, 1, 2, 3])
def test_trunk_and_crown_make_the_whole(cut: int) -> None:
    """Frozen stages run once and the rest on top give what one pass gives."""
    tower = ImageTower(TINY, 32).eval()
    pixels = torch.rand(2, 3, 32, 32)
    with torch.no_grad():
        torch.testing.assert_close(tower.crown(tower.trunk(pixels, cut), cut), tower(pixels))
    assert tower(pixels)[0].shape == (2, 16, 24)
    assert tower.grid == (4, 4)


def test_a_split_tower_starts_as_twins_and_learns_apart() -> None:
    """Both maps are the same after a fork; training one pair of stages leaves the other's map alone."""
    tower = ImageTower(TINY, 32, split=2)
    with torch.no_grad():
        tower.stages[2][0].weight += 0.1  # type: ignore[index, operator]  # torch types what a Sequential holds as Tensor or Module
        tower.fork()
        pixels = torch.rand(2, 3, 32, 32)
        for_vector, for_match = tower.eval()(pixels)
        torch.testing.assert_close(for_vector, for_match)
        tower.stages[2][0].weight += 0.1  # type: ignore[index, operator]  # torch types what a Sequential holds as Tensor or Module
        changed, same = tower(pixels)
    assert torch.equal(same, for_match)
    assert not torch.allclose(changed, for_vector)


def test_regions_are_in_reading_order() -> None:
    """What lies top left in the picture is region 0, top right the last of the first row."""
    tower = ImageTower(TINY, 32).eval()
    plain = torch.zeros(1, 3, 32, 32)
    marked = plain.clone()
    marked[..., 0:4, 28:32] = 1.0
    with torch.no_grad():
        change = (tower(marked)[0] - tower(plain)[0]).abs().sum(-1)[0]
    assert int(change.argmax()) == 3


def test_batch_statistics_stay_as_pretrained() -> None:
    """Training mode does not move them: small batches would spoil them."""
    tower = ImageTower(TINY, 32).train()
    before = {k: v.clone() for k, v in tower.state_dict().items() if "running" in k}
    tower(torch.rand(4, 3, 32, 32))
    assert all(torch.equal(v, tower.state_dict()[k]) for k, v in before.items())


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("resnet5O", r"timm has no model 'resnet5O'; near it: .*resnet50"),
        ("torchvision/nothing", "torchvision has no model 'nothing'"),
        ("hub/resnet50", "unknown library 'hub'"),
        ("vit_tiny_patch16_224", "is not a CNN with stages"),
    ],
)
def test_a_name_that_does_not_fit_is_told(name: str, words: str) -> None:
    """With what would fit."""
    with pytest.raises(BackboneError, match=words):
        create_backbone(name)


def test_weights_that_cannot_be_fetched_are_told_with_a_way_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where no model hub can be reached the message says what to do instead."""
    from torchvision import models  # noqa: PLC0415  slow to load

    def offline(*_: object, **__: object) -> NoReturn:
        raise urllib.error.URLError("no such host")

    monkeypatch.setattr(models, "get_model", offline)
    with pytest.raises(BackboneError, match=r"could not be fetched .*no such host.*--init base"):
        create_backbone("torchvision/resnet18", pretrained=True)
