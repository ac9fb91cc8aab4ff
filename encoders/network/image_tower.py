"""The image tower: a CNN, cut into stages, that outputs maps of regions."""

from __future__ import annotations

from copy import deepcopy
from typing import cast

import torch
from torch import Tensor, nn

from ..errors import BackboneError, cause
from .backbones import create_backbone


class ImageTower(nn.Module):
    """Pictures to two maps of region states: one for the vector, one for the reranker.

    With a `split` the stages from there on exist twice, so that retrieval and reranking learn separately and make
    different errors; without one, both maps are the same.

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
        self.channels, self.grid = self._probe(backbone)

    def _probe(self, backbone: str) -> tuple[int, tuple[int, int]]:
        """Run the stages once for the size of their map: C, (H, W)."""
        self.eval()
        try:
            with torch.no_grad():
                shape = self.stages(torch.zeros(1, 3, self.input_size, self.input_size)).shape
            _, channels, height, width = shape
        except (RuntimeError, ValueError, AssertionError) as exc:  # raised for unsuitable sizes
            raise BackboneError(
                f"backbone {backbone!r} outputs no map for pictures of {self.input_size} pixels ({cause(exc)}); "
                "use an EfficientNet, ResNet or ConvNeXt"
            ) from exc
        return channels, (height, width)

    def bottom_stages(self, pixels: Tensor, cut: int) -> Tensor:
        """Run the first `cut` stages: (B, 3, S, S) → (B, c, h, w)."""
        x = (pixels - self.mean) / self.std
        x = x.to(memory_format=torch.channels_last)
        return cast(Tensor, self.stages[:cut](x))

    def top_stages(self, activations: Tensor, cut: int) -> tuple[Tensor, Tensor]:
        """Run the stages from `cut` on, `cut` at most the split: (B, c, h, w) → twice (B, P, C)."""
        x = activations.to(memory_format=torch.channels_last)
        if self.match_stages is None:
            states = _regions(self.stages[cut:](x))
            return states, states
        shared = self.stages[cut : self.split](x)
        return _regions(self.stages[self.split :](shared)), _regions(self.match_stages(shared))

    def copy_match_layers(self) -> None:
        """Copy the weights of the vector's stages to the reranker's."""
        if self.match_stages is not None:
            self.match_stages.load_state_dict(nn.Sequential(*self.stages[self.split :]).state_dict())

    def forward(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        """Run every stage."""
        return self.top_stages(self.bottom_stages(pixels, 0), 0)

    def train(self, mode: bool = True) -> ImageTower:  # noqa: FBT001, FBT002  torch's own signature
        """Keep batch-norm statistics as pretrained: small batches would spoil them."""
        super().train(mode)
        for module in self.modules():
            if isinstance(module, nn.modules.batchnorm._BatchNorm):  # noqa: SLF001  torch names no public base
                module.eval()
        return self


def _regions(activations: Tensor) -> Tensor:
    return activations.flatten(2).transpose(1, 2)
