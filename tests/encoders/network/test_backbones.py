"""CNNs from three libraries, by name, cut into stages."""

from __future__ import annotations

import sys
import urllib.error
from contextlib import nullcontext
from pathlib import Path
from typing import Any, NoReturn

import huggingface_hub
import open_clip
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from encoders.errors import BackboneError
from encoders.network import backbones
from encoders.network.backbones import create_backbone, pixel_statistics
from encoders.network.image_tower import ImageTower


@pytest.mark.parametrize(
    "name",
    [
        "tf_efficientnet_lite0",
        "timm/resnet10t",
        "torchvision/resnet18",
        "convnext_atto",
        "torchvision/squeezenet1_1",
        "open_clip/RN50",
        "open_clip/convnext_tiny",
    ],
)
def test_a_backbone_is_chosen_by_name(name: str) -> None:
    """EfficientNet, ResNet and ConvNeXt of all three libraries become stages that output a square map."""
    with torch.no_grad():
        shape = create_backbone(name).eval()(torch.zeros(1, 3, 64, 64)).shape
    assert shape[0] == 1
    assert shape[2] == shape[3]
    assert shape[2] >= 2


def test_stages_compute_what_the_library_s_network_computes() -> None:
    """Cutting a CNN into stages does not change its output."""
    from torchvision import models  # noqa: PLC0415  slow to load

    torch.manual_seed(0)
    original = models.resnet18(weights=None).eval()
    stages = create_backbone("torchvision/resnet18").eval()
    weights = [v for k, v in original.state_dict().items() if not k.startswith("fc.")]
    stages.load_state_dict(dict(zip(stages.state_dict(), weights, strict=True)))
    x = torch.rand(2, 3, 64, 64)
    with torch.no_grad():
        expected = nn.Sequential(*list(original.children())[:-2])(x)
        torch.testing.assert_close(stages(x), expected)


@pytest.mark.parametrize(
    "name",
    ["convnext_atto", "regnety_002", "mobilenetv4_conv_small", "fastvit_t8", "repvgg_a0", "tf_efficientnet_lite0"],
)
def test_stages_compute_timm_s_features(name: str) -> None:
    """Layers between a family's last stage and pooling belong to the map."""
    import timm  # noqa: PLC0415  slow to load

    original: Any = timm.create_model(name).eval()
    x = torch.rand(1, 3, 64, 64)
    with torch.no_grad():
        torch.testing.assert_close(nn.Sequential(*backbones._stages(original, name))(x), original.forward_features(x))


@pytest.mark.parametrize("tiny_clip", ["resnet", "convnext"], indirect=True)
def test_the_weights_of_a_clip_s_image_half_are_loaded(tiny_clip: Any) -> None:
    """From a file with both halves; the stages output the map that CLIP pools."""
    x = torch.rand(2, 3, 64, 64)
    stages = create_backbone("open_clip/tiny").eval()
    with torch.no_grad():
        expected = tiny_clip.visual.forward_intermediates(x, indices=1, intermediates_only=True)
        (last,) = expected["image_intermediates"]
        assert not torch.equal(stages(x), last)
        stages.load_state_dict(create_backbone("open_clip/tiny:ours", pretrained=True).state_dict())
        torch.testing.assert_close(stages(x), last)


def test_a_clip_with_one_set_of_weights_needs_no_tag(tiny_clip: Any) -> None:
    """With several, the name must have a tag."""
    assert tiny_clip is not None
    create_backbone("open_clip/tiny", pretrained=True)
    with pytest.raises(BackboneError, match=r"several weights for 'RN50'; choose among open_clip/RN50:openai, "):
        create_backbone("open_clip/RN50", pretrained=True)


RESNET = {"layers": [1, 1, 1, 1], "width": 8, "head_width": 8}
CONVNEXT = {"timm_model_name": "convnext_atto", "timm_pool": "", "timm_proj": "linear"}


@pytest.fixture
def tiny_clip(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    """A small CLIP with random weights, on disk as `tiny:ours`, without a hub."""
    vision = CONVNEXT if getattr(request, "param", None) == "convnext" else RESNET
    config = {
        "embed_dim": 8,
        "vision_cfg": {"image_size": 64, **vision},
        "text_cfg": {"context_length": 8, "vocab_size": 16, "width": 8, "heads": 1, "layers": 1},
    }
    weights = {"file": str(tmp_path / "clip.pt"), "mean": (0.1, 0.2, 0.3), "std": (0.4, 0.5, 0.6)}
    monkeypatch.setitem(open_clip.factory._MODEL_CONFIGS, "tiny", config)
    monkeypatch.setitem(open_clip.pretrained._PRETRAINED, "tiny", {"ours": weights})
    monkeypatch.setattr(backbones, "_one_hub_check", nullcontext)
    model = open_clip.create_model("tiny").eval()
    torch.save(model.state_dict(), tmp_path / "clip.pt")
    return model


def test_pixel_statistics_are_those_of_the_backbone_s_weights(tiny_clip: Any) -> None:
    """The average over the channels, from the library if it has them, else ImageNet's."""
    assert tiny_clip is not None
    assert pixel_statistics("tf_efficientnet_lite2") == (0.5, 0.5)
    assert pixel_statistics("convnext_atto") == pytest.approx((0.449, 0.226))
    assert pixel_statistics("convnext_base.clip_laion2b") == pytest.approx((0.4492, 0.2686), abs=1e-4)
    assert pixel_statistics("torchvision/resnet18") == pytest.approx((0.449, 0.226))
    assert pixel_statistics("open_clip/RN50") == pytest.approx((0.4492, 0.2686), abs=1e-4)
    assert pixel_statistics("open_clip/tiny") == pytest.approx((0.2, 0.5))
    assert pixel_statistics("open_clip/convnext_tiny") == pytest.approx((0.4492, 0.2686), abs=1e-4)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("resnet5O", r"timm has no model 'resnet5O'; similar names: .*resnet50"),
        ("torchvision/nothing", "torchvision has no model 'nothing'"),
        ("hub/resnet50", "unknown library 'hub'"),
        ("vit_tiny_patch16_224", "is not a CNN with stages"),
        ("convnext_atto.imagenet", r"no weights 'imagenet' for 'convnext_atto'; there are convnext_atto\.d2_in1k"),
        ("open_clip/RN5O", r"open_clip has no model 'RN5O'; similar names: RN50,"),
        ("open_clip/ViT-B-32", "'open_clip/ViT-B-32' is not a CNN with stages"),
    ],
)
def test_an_unusable_name_is_refused(name: str, words: str) -> None:
    """The error suggests alternatives."""
    with pytest.raises(BackboneError, match=words):
        create_backbone(name)


def test_a_missing_open_clip_is_an_error_that_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """open_clip is optional."""
    monkeypatch.setitem(sys.modules, "open_clip", None)
    for function in (create_backbone, pixel_statistics):
        with pytest.raises(BackboneError, match=r"need open_clip.*pip install .*\[towers\]"):
            function("open_clip/RN50")


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[str]:
    """A hub that does not answer, with an empty cache; returns the addresses requested."""
    requested = []

    class Offline:
        def head(self, url: str, timeout: float) -> NoReturn:
            requested.append(url)
            raise ValueError(f"no answer in {timeout} s")

    monkeypatch.setattr(huggingface_hub, "get_session", Offline)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    return requested


@pytest.mark.parametrize("name", ["resnet10t", "open_clip/RN50:openai"])
def test_a_hub_that_does_not_answer_is_asked_once(name: str, offline: list[str]) -> None:
    """Instead of retrying for a minute; the settings of its client are restored."""
    setting = huggingface_hub.constants.HF_HUB_OFFLINE
    with pytest.raises(BackboneError, match=r"could not be fetched .*cannot be reached.*no answer in 5 s.*--init base"):
        create_backbone(name, pretrained=True)
    assert offline == [huggingface_hub.constants.ENDPOINT]
    assert setting == huggingface_hub.constants.HF_HUB_OFFLINE


def test_weights_in_the_hub_s_cache_need_no_hub(offline: list[str], tmp_path: Path) -> None:
    """Weights fetched before load without a connection."""
    import timm  # noqa: PLC0415  slow to load

    repository, model = tmp_path / "models--timm--resnet10t.c3_in1k", timm.create_model("resnet10t")
    for folder in ("refs", "snapshots/0"):
        (repository / folder).mkdir(parents=True)
    (repository / "refs/main").write_text("0", encoding="utf-8")
    save_file(model.state_dict(), repository / "snapshots/0/model.safetensors")
    stages = create_backbone("resnet10t", pretrained=True)
    assert offline
    assert torch.equal(stages[4][0].conv1.weight, model.layer4[0].conv1.weight)  # type: ignore[index, union-attr]  # as above


def test_the_error_for_unavailable_weights_names_an_alternative(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a connection, `--init base` still works."""
    from torchvision import models  # noqa: PLC0415  slow to load

    def offline(*_: object, **__: object) -> NoReturn:
        raise urllib.error.URLError("no such host")

    monkeypatch.setattr(models, "get_model", offline)
    with pytest.raises(BackboneError, match=r"could not be fetched .*no such host.*--init base"):
        create_backbone("torchvision/resnet18", pretrained=True)


@pytest.mark.parametrize(("size", "grid"), [(64, (2, 2)), (96, (3, 3))])
def test_a_tower_takes_pictures_of_any_size(tiny_clip: Any, size: int, grid: tuple[int, int]) -> None:
    """Not only those of the size its weights were trained on."""
    assert tiny_clip is not None
    tower = ImageTower("open_clip/tiny", size)
    assert tower.grid == grid
    assert tower(torch.rand(1, 3, size, size))[0].shape == (1, grid[0] * grid[1], 256)
