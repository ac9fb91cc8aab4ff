"""The model: two towers, their heads, and the reranker on top."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple, cast

import torch
import torch.nn.functional as F  # noqa: N812  torch's own convention
from torch import Tensor, nn

from .hubness import Hubness
from .image_tower import ImageTower
from .reranker import Reranker
from .text_tower import RecurrentTextTower, TextTower, TransformerTextTower


@dataclass(frozen=True)
class ModelConfig:
    """The architecture; travels in the checkpoint's JSON.

    `text_width`, `text_layers`, `text_heads` and `text_feed_forward` shape the transformer; the recurrent towers
    take `text_width` as the size of their word embeddings and of their two-way output, in one layer. `querybank` is the
    number of centres that hubness is measured by; without any it is not.
    """

    backbone: str = "tf_efficientnet_lite2"
    input_size: int = 224
    pixel_mean: float = 0.5
    pixel_std: float = 0.5
    text_tower: Literal["transformer", "gru", "lstm"] = "transformer"
    vocabulary_size: int = 30522
    max_tokens: int = 64
    text_width: int = 384
    text_layers: int = 6
    text_heads: int = 12
    text_feed_forward: int = 1536
    dimension: int = 256
    channels: int = 128
    fusion: Literal["attention", "gated", "concatenation"] = "attention"
    joint_size: int = 128
    dropout: float = 0.1
    head_dropout: float = 0.2
    querybank: int = 0


class Encoded(NamedTuple):
    """One side of a batch: vectors (B, D) and states (B, L, C), all of length 1."""

    vectors: Tensor
    states: Tensor


class Head(nn.Module):
    """From a tower's states to the shared space: local states, and one vector by attention pooling.

    Shape:
        - states: (B, L, c); mask: (B, L), bool, true where there is something.
        - output: vectors (B, D) and states (B, L, C), rows of length 1.
    """

    def __init__(self, width: int, channels: int, dimension: int, dropout: float) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.dropout = nn.Dropout(dropout)
        self.local = nn.Linear(width, channels)
        self.value = nn.Linear(width, dimension)
        self.weigh = nn.Sequential(nn.Linear(width, 256), nn.Tanh(), nn.Linear(256, 4))

    def forward(self, states: Tensor, mask: Tensor | None = None) -> Encoded:
        """Project and pool."""
        x = self.dropout(self.norm(states))
        logits = self.weigh(x)  # (B, L, heads)
        if mask is not None:
            logits = logits.masked_fill(~mask.unsqueeze(-1), -1e4)
        weights = logits.softmax(dim=1)
        values = self.value(x).unflatten(-1, (weights.shape[-1], -1))  # (B, L, heads, D / heads)
        vectors = (values * weights.unsqueeze(-1)).sum(1).flatten(1)
        return Encoded(F.normalize(vectors.float(), dim=-1), F.normalize(self.local(x).float(), dim=-1))


class ImageSide(nn.Module):
    """The image tower and its head."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.tower = ImageTower(config.backbone, config.input_size, config.pixel_mean, config.pixel_std)
        self.head = Head(self.tower.channels, config.channels, config.dimension, config.head_dropout)

    def forward(self, pixels: Tensor) -> Encoded:
        """(B, 3, S, S) in [0, 1] → vectors (B, D), regions (B, P, C)."""
        return cast(Encoded, self.head(self.tower(pixels)))


class TextSide(nn.Module):
    """The text tower and its head."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.tower = _text_tower(config)
        self.head = Head(self.tower.channels, config.channels, config.dimension, config.head_dropout)

    def forward(self, ids: Tensor, mask: Tensor, attended: Tensor) -> Encoded:
        """(B, T) ids → vectors (B, D), token states (B, T, C)."""
        return cast(Encoded, self.head(self.tower(ids, attended), mask))


class CrosslookModel(nn.Module):
    """Both sides in one space, and the reranker on top of their states."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        self.image = ImageSide(config)
        self.text = TextSide(config)
        self.reranker = create_reranker(config)
        self.hubness = Hubness(config.querybank, config.dimension) if config.querybank else None
        self.log_scale = nn.Parameter(torch.tensor(3.0))

    @property
    def scale(self) -> Tensor:
        """Inverse temperature of the contrastive loss, at most 100 as in CLIP."""
        return self.log_scale.exp().clamp(max=100)


def create_reranker(config: ModelConfig) -> Reranker:
    """The reranker that a configuration describes."""
    return Reranker(
        config.fusion,
        config.channels,
        config.joint_size,
        dropout=config.dropout,
    )


def _text_tower(config: ModelConfig) -> TextTower:
    if config.text_tower == "transformer":
        return TransformerTextTower(
            config.vocabulary_size,
            width=config.text_width,
            layers=config.text_layers,
            heads=config.text_heads,
            feed_forward=config.text_feed_forward,
            max_tokens=config.max_tokens,
            dropout=config.dropout,
        )
    return RecurrentTextTower(
        config.vocabulary_size,
        embedding_size=config.text_width,
        hidden_size=config.text_width // 2,
        cell=config.text_tower,
        dropout=config.dropout,
    )
