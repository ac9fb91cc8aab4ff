"""The model: two towers, their heads, and the reranker on top."""

from __future__ import annotations

from copy import deepcopy
from typing import NamedTuple

import torch
import torch.nn.functional as F  # noqa: N812  torch's own convention
from torch import Tensor, nn

from ..architecture import CAPTION_WEIGHT, PAIR, ModelConfig
from .class_channel import ImageClasses, TextClasses, join
from .heads import AttentionPool, StateProjection
from .image_tower import ImageTower
from .pair_towers import FirstState, PairImageTower, PairTextTower
from .querybank import Hubness
from .reranker import Reranker
from .text_tower import RecurrentTextTower, TextTower, TransformerTextTower


class Encoded(NamedTuple):
    """One side of a batch: vectors (B, D) and states (B, L, C), all of length 1."""

    vectors: Tensor
    states: Tensor


class ImageSide(nn.Module):
    """The image tower with its heads and class channel."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.tower = _image_tower(config)
        self.pool = _pool(config, self.tower.channels)
        self.local = StateProjection(self.tower.channels, config.channels, config.head_dropout)
        self.classes = None
        if config.classes:
            stages = nn.Sequential(*deepcopy(list(self.tower.stages[config.image_split :])))
            self.classes = ImageClasses(stages, self.tower.channels, config.classes, config.class_dimension)

    def heads(self, for_vector: Tensor, for_match: Tensor) -> Encoded:
        """Apply the heads to the tower's two maps, each (B, P, c): vectors (B, D), regions (B, P, C)."""
        return Encoded(self.pool(for_vector), self.local(for_match))

    def from_activations(self, activations: Tensor, cut: int) -> Encoded:
        """Continue `forward` from the output of the first `cut` stages (B, c, h, w)."""
        split = self.tower.split
        if self.classes is None or split is None:
            return self.heads(*self.tower.top_stages(activations, cut))
        shared = self.tower.stages[cut:split](activations)
        encoded = self.heads(*self.tower.top_stages(shared, split))
        return Encoded(join(encoded.vectors, self.classes(shared)), encoded.states)

    def forward(self, pixels: Tensor) -> Encoded:
        """(B, 3, S, S) in [0, 1] → vectors (B, D), with the class part if there is one, and regions (B, P, C)."""
        cut = self.tower.split or 0
        return self.from_activations(self.tower.bottom_stages(pixels, cut), cut)


class TextSide(nn.Module):
    """The text tower with its heads and class channel."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.tower = _text_tower(config)
        self.pool = _pool(config, self.tower.channels)
        self.local = StateProjection(self.tower.channels, config.channels, config.head_dropout)
        self.classes = TextClasses(config.dimension, config.class_dimension) if config.classes else None

    def heads(self, ids: Tensor, mask: Tensor, attended: Tensor) -> Encoded:
        """Run `forward` without the class part."""
        for_vector, for_match = self.tower(ids, attended)
        return Encoded(self.pool(for_vector, mask), self.local(for_match))

    def forward(self, ids: Tensor, mask: Tensor, attended: Tensor) -> Encoded:
        """(B, T) ids → vectors (B, D), with the class part if there is one, and token states (B, T, C)."""
        encoded = self.heads(ids, mask, attended)
        return Encoded(self.with_class_weight(encoded.vectors, CAPTION_WEIGHT), encoded.states)

    def with_class_weight(self, vectors: Tensor, weight: Tensor | float) -> Tensor:
        """Call the function `with_class_weight`; without classes, vectors (B, D) stay as they are."""
        return vectors if self.classes is None else with_class_weight(vectors, self.classes, weight)


def with_class_weight(vectors: Tensor, classes: TextClasses, weight: Tensor | float) -> Tensor:
    """Add a class part to vectors (B, D), or change the weight of theirs, to one number or one per row (B, 1)."""
    plain = F.normalize(vectors[:, : len(classes.centre)], dim=-1)
    return join(plain, classes(plain), weight)


class CrosslookModel(nn.Module):
    """Both towers in one space, and the reranker on top of their states."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        self.image = ImageSide(config)
        self.text = TextSide(config)
        self.reranker = create_reranker(config)
        self.hubness = Hubness(config.querybank, config.dimension) if config.querybank else None
        self.log_scale = nn.Parameter(torch.tensor(3.0))

    def copy_match_layers(self) -> None:
        """Copy the weights of the vectors' last tower layers to the reranker's."""
        self.image.tower.copy_match_layers()
        self.text.tower.copy_match_layers()

    def freeze_towers(self) -> None:
        """Freeze all that computes vectors, so that only the reranker and its layers of the towers train."""
        for name, parameter in self.named_parameters():
            if not (name.startswith("reranker.") or ".match_" in name or ".local." in name):
                parameter.requires_grad_(False)  # noqa: FBT003  positional in torch's types

    @property
    def scale(self) -> Tensor:
        """Inverse temperature of the contrastive loss, at most 100 as in CLIP."""
        return self.log_scale.exp().clamp(max=100)


def create_reranker(config: ModelConfig) -> Reranker:
    """Build the reranker of a configuration."""
    return Reranker(
        config.fusion,
        config.channels,
        config.joint_size,
        config.dimension,
        dropout=config.dropout,
    )


def _image_tower(config: ModelConfig) -> ImageTower:
    if config.backbone == PAIR:
        return PairImageTower(config.input_size, config.region_width)
    return ImageTower(config.backbone, config.input_size, config.pixel_mean, config.pixel_std, split=config.image_split)


def _pool(config: ModelConfig, width: int) -> AttentionPool:
    if config.backbone == PAIR:
        return FirstState(config.dimension)
    return AttentionPool(width, config.dimension, config.head_dropout)


def _text_tower(config: ModelConfig) -> TextTower:
    if config.text_tower == "pair":
        return PairTextTower(config.token_width)
    if config.text_tower == "transformer":
        return TransformerTextTower(
            config.vocabulary_size,
            width=config.text_width,
            layers=config.text_layers,
            heads=config.text_heads,
            feed_forward=config.text_feed_forward,
            max_tokens=config.max_tokens,
            dropout=config.dropout,
            split=config.text_split,
        )
    return RecurrentTextTower(
        config.vocabulary_size,
        embedding_size=config.text_width,
        hidden_size=config.text_width // 2,
        cell=config.text_tower,
        dropout=config.dropout,
    )
