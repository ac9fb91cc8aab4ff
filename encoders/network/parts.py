"""The three parts of a model that run by themselves, each as a module of tensors to tensors: see `Parts`."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor, nn

from ..architecture import PAIR, ModelConfig
from .model import ImageSide, TextSide, create_reranker


class ImagePart(nn.Module):
    """(B, S, S, 3), uint8 → vectors (B, D), regions (B, P, C). Of a pair: (B, 1 + P, W), see `PairImageTower`."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.image = ImageSide(config)
        self._has_towers = config.backbone != PAIR

    def forward(self, pixels: Tensor) -> tuple[Tensor, ...]:
        """Encode pictures."""
        if not self._has_towers:
            return tuple(self.image(pixels))
        return tuple(self.image(pixels.permute(0, 3, 1, 2).float() / 255))


class TextPart(nn.Module):
    """(B, T) three times → vectors (B, D), token states (B, T, C). Of a pair the first is (B, T, W)."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.text = TextSide(config)

    def forward(self, ids: Tensor, mask: Tensor, attended: Tensor) -> tuple[Tensor, ...]:
        """Encode sentences."""
        return tuple(self.text(ids, mask, attended))


class RerankerPart(nn.Module):
    """(N, P, C), (N, T, C), (N, T) → logits (N,), global matches (N,), and attention (N, T, P) if there is one."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.reranker = create_reranker(config)

    def forward(self, regions: Tensor, tokens: Tensor, mask: Tensor) -> tuple[Tensor, ...]:
        """Score pairs."""
        logit, global_match, attention = self.reranker(regions, tokens, mask)
        return (logit, global_match) if attention is None else (logit, global_match, attention)


PARTS: dict[str, Callable[[ModelConfig], nn.Module]] = {
    "image": ImagePart,
    "text": TextPart,
    "reranker": RerankerPart,
}
"""By the first word of their weights' names."""
