"""The image tower: a CNN chosen by name, cut into stages, giving a map of regions.

A backbone is a list of stages that run one after the other. Knowing the stages lets training freeze the early
ones, whose filters are generic, and keep their activations on disk instead of computing them every epoch.
"""

from __future__ import annotations

from copy import deepcopy
from difflib import get_close_matches
from typing import Any, cast

import torch
from torch import Tensor, nn

from .errors import BackboneError


def create_backbone(name: str, *, pretrained: bool = False) -> nn.Sequential:
    """Build a CNN by its timm or torchvision name, as a sequence of stages.

    Args:
        name: a timm model name (`tf_efficientnet_lite2`), or `torchvision/NAME` (`torchvision/resnet50`).
        pretrained: fetch the library's own weights; this reaches for a model hub.

    Returns:
        Stages; run in order they turn pictures (B, 3, S, S) into a map (B, C, H, W).

    Raises:
        BackboneError: no such backbone, not a CNN we can cut, or its weights cannot be fetched here.
    """
    library, _, model_name = name.rpartition("/")
    try:
        if library == "torchvision":
            model = _torchvision_model(model_name, pretrained=pretrained)
        elif library in ("", "timm"):
            model = _timm_model(model_name, pretrained=pretrained)
        else:
            raise BackboneError(f"backbone {name!r}: unknown library {library!r}; use a timm name or torchvision/NAME")
    except OSError as exc:
        raise BackboneError(
            f"backbone {name!r}: its pretrained weights could not be fetched ({exc.__class__.__name__}: {exc}); "
            "work where the model hub can be reached, or start from a crosslook checkpoint, such as --init base"
        ) from exc
    return nn.Sequential(*_stages(model, name))


def _timm_model(name: str, *, pretrained: bool) -> nn.Module:
    import timm  # noqa: PLC0415  heavy, and a query by words never needs it

    if not timm.is_model(name):
        near = ", ".join(get_close_matches(name, timm.list_models(), 3, 0.5)) or "none; see timm.list_models()"
        raise BackboneError(f"timm has no model {name!r}; near it: {near}")
    return timm.create_model(name, pretrained=pretrained)


def _torchvision_model(name: str, *, pretrained: bool) -> nn.Module:
    from torchvision import models  # noqa: PLC0415  as above

    if name not in models.list_models():
        raise BackboneError(f"torchvision has no model {name!r}; see torchvision.models.list_models()")
    return cast(nn.Module, models.get_model(name, weights="DEFAULT" if pretrained else None))


def _stages(model: Any, name: str) -> list[nn.Module]:  # noqa: ANN401  three families with no common type
    """Cut a network into its stages, leaving pooling and classifier behind."""
    if hasattr(model, "conv_stem") and hasattr(model, "conv_head"):  # timm EfficientNet, MobileNetV3
        return [
            nn.Sequential(model.conv_stem, model.bn1),
            *model.blocks,
            nn.Sequential(model.conv_head, model.bn2),
        ]
    if all(hasattr(model, f"layer{i}") for i in (1, 2, 3, 4)):  # ResNet, timm or torchvision
        activation = getattr(model, "act1", None) or model.relu
        stem = nn.Sequential(model.conv1, model.bn1, activation, model.maxpool)
        return [stem, model.layer1, model.layer2, model.layer3, model.layer4]
    if hasattr(model, "stem") and hasattr(model, "stages"):  # timm ConvNeXt, RegNet
        return [model.stem, *model.stages]
    if isinstance(getattr(model, "features", None), nn.Sequential):  # torchvision EfficientNet, ConvNeXt, VGG
        return list(model.features)
    raise BackboneError(f"backbone {name!r} is not a CNN with stages; use an EfficientNet, ResNet or ConvNeXt")


class ImageTower(nn.Module):
    """Pictures to two maps of region states: one for the vector, one for the reranker.

    With a `split` the stages from there on exist twice, so that what is retrieved by and what is reranked by learn
    apart and err apart; without one, both maps are the same.

    Shape:
        - input: (B, 3, S, S), values in [0, 1].
        - output: twice (B, P, C), the map row by row, P = (S / stride)².
    """

    def __init__(
        self, backbone: str, input_size: int, mean: float = 0.5, std: float = 0.5, *, split: int | None = None
    ) -> None:
        super().__init__()
        self.stages = create_backbone(backbone)
        self.split = split
        self.match_stages = None if split is None else nn.Sequential(*deepcopy(list(self.stages[split:])))
        self.input_size = input_size
        self.mean = mean
        self.std = std
        with torch.no_grad():
            self.eval()
            shape = self.stages(torch.zeros(1, 3, input_size, input_size)).shape
        self.channels = int(shape[1])
        self.grid = (int(shape[2]), int(shape[3]))

    def trunk(self, pixels: Tensor, cut: int) -> Tensor:
        """Run the first `cut` stages: (B, 3, S, S) → (B, c, h, w)."""
        x = (pixels - self.mean) / self.std
        x = x.to(memory_format=torch.channels_last)
        return cast(Tensor, self.stages[:cut](x))

    def crown(self, activations: Tensor, cut: int) -> tuple[Tensor, Tensor]:
        """Run the stages from `cut` on, `cut` at most the split: (B, c, h, w) → twice (B, P, C)."""
        x = activations.to(memory_format=torch.channels_last)
        if self.match_stages is None:
            states = _rows(self.stages[cut:](x))
            return states, states
        shared = self.stages[cut : self.split](x)
        return _rows(self.stages[self.split :](shared)), _rows(self.match_stages(shared))

    def fork(self) -> None:
        """Let the reranker's stages start as the others are."""
        if self.match_stages is not None:
            self.match_stages.load_state_dict(nn.Sequential(*self.stages[self.split :]).state_dict())

    def forward(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        """Run every stage."""
        return self.crown(self.trunk(pixels, 0), 0)

    def train(self, mode: bool = True) -> ImageTower:  # noqa: FBT001, FBT002  torch's own signature
        """Keep batch statistics as pretrained: small batches would spoil them."""
        super().train(mode)
        for module in self.modules():
            if isinstance(module, nn.modules.batchnorm._BatchNorm):  # noqa: SLF001  torch names no public base
                module.eval()
        return self


def _rows(activations: Tensor) -> Tensor:
    return activations.flatten(2).transpose(1, 2)
