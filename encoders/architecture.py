"""The architecture of a model, as its description stores it. Importing it does not load torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

PAIR: Literal["pair"] = "pair"
"""Stands for both towers if the encoders of a pretrained pair are the towers."""
CAPTION_WEIGHT = 0.03
"""Weight of a vector's class part, the rest having 1, for a sentence of familiar words only."""
UNFAMILIAR_WEIGHT = 4.0
"""Added to it for a sentence of unfamiliar words only."""


@dataclass(frozen=True)
class ModelConfig:
    """The architecture; stored in `model.json`.

    `text_width`, `text_layers`, `text_heads` and `text_feed_forward` shape the transformer; the recurrent towers
    take `text_width` as the size of their word embeddings and of their two-way output, in one layer. `querybank` is
    the number of centres that measure hubness; 0 turns that off. The CNN's stages from `image_split` on, and the
    transformer's layers from `text_split` on, exist twice, once for the vector and once for the reranker; None shares
    them all.

    With `classes`, vectors are longer by `class_dimension`: see `network/class_channel.py`. That needs an
    `image_split`.

    Where `backbone` and `text_tower` are `pair`, its regions have states of `region_width` values, its tokens of
    `token_width`.
    """

    backbone: str = "tf_efficientnet_lite2"
    input_size: int = 224
    pixel_mean: float = 0.5
    pixel_std: float = 0.5
    text_tower: Literal["transformer", "gru", "lstm", "pair"] = "transformer"
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
    image_split: int | None = None
    text_split: int | None = None
    classes: int = 0
    class_dimension: int = 128
    region_width: int = 0
    token_width: int = 0

    def __post_init__(self) -> None:
        """Refuse settings that contradict each other."""
        if self.classes and self.image_split is None:
            raise ValueError("a class channel needs an image_split: it reads the CNN's activations there")
        if (self.backbone == PAIR) != (self.text_tower == PAIR):
            raise ValueError("a pretrained pair stands for both towers or for none")
        if self.text_split is not None and self.text_tower != "transformer":
            raise ValueError(f"only the transformer can be split, not {self.text_tower}")

    @property
    def vector_size(self) -> int:
        """Length of a vector, class part included."""
        return self.dimension + (self.class_dimension if self.classes else 0)
