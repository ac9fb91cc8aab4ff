"""Towers of which nothing trains: they take what the encoders of a pretrained pair gave, see `encoders/pairs`.

In place of a CNN's activations or of token ids come the pair's own outputs, joined: its vector, then its states.
"""

from __future__ import annotations

import torch.nn.functional as F  # noqa: N812  torch's own convention
from torch import Tensor, nn

from .heads import AttentionPool
from .image_tower import ImageTower
from .text_tower import TextTower


class PairImageTower(ImageTower):
    """Takes a vector and regions, (B, 1 + P, W), in the place of pixels; `channels` of W are the regions'."""

    def __init__(self, input_size: int, channels: int) -> None:
        nn.Module.__init__(self)  # there is no backbone
        self.stages, self.split, self.match_stages = nn.Sequential(), None, None
        self.input_size, self.channels = input_size, channels

    def bottom_stages(self, pixels: Tensor, cut: int) -> Tensor:
        """Leave them as they are."""
        del cut
        return pixels

    def top_stages(self, activations: Tensor, cut: int) -> tuple[Tensor, Tensor]:
        """Part them: (B, 1 + P, W) → (B, 1, W), (B, P, C)."""
        del cut
        return activations[:, :1], activations[:, 1:, : self.channels]


class PairTextTower(TextTower):
    """Takes a vector and token states, (B, T, W), in the place of token ids."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.channels = channels

    def forward(self, ids: Tensor, attended: Tensor) -> tuple[Tensor, Tensor]:
        """Part them: (B, 1, W), (B, T, C). The first state is the vector's, and no word."""
        del attended
        return ids[:, :1], ids[:, :, : self.channels]

    def freeze(self, layers: int) -> None:
        """Do nothing: there are no layers."""


class FirstState(AttentionPool):
    """Pools nothing: (B, L, W) → the first D values of the first state, (B, D), of length 1."""

    def __init__(self, dimension: int) -> None:
        nn.Module.__init__(self)  # there are no weights
        self.dimension = dimension

    def forward(self, states: Tensor, mask: Tensor | None = None) -> Tensor:
        """Take the vector."""
        del mask
        return F.normalize(states[:, 0, : self.dimension].float(), dim=-1)
