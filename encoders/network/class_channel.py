"""The class channel: what an ImageNet classifier recognises, as a direction in the text tower's space.

The towers learned from captions of a few thousand photographs; a classifier knows a thousand classes by name. The text
tower's vectors of those names, weighted by the classifier's probabilities, add up to a vector that can be compared with
any sentence, even with words that no training caption contains.

Source: Norouzi et al., "Zero-Shot Learning by Convex Combination of Semantic Embeddings",
https://arxiv.org/abs/1312.5650.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F  # noqa: N812  torch's own convention
from torch import Tensor, nn

from ..architecture import CAPTION_WEIGHT

TEMPERATURE = 2.0


class ImageClasses(nn.Module):
    """Pictures to a weighted sum of class-name vectors.

    Args:
        stages: the classifier's last stages, never trained.
        width: channels of the map they output.
        classes: number of class names.
        dimension: length of the class part.

    Shape:
        - activations: (B, c, h, w), where the tower is split.
        - output: (B, d), rows of length 1.
    """

    names: Tensor

    def __init__(self, stages: nn.Sequential, width: int, classes: int, dimension: int) -> None:
        super().__init__()
        self.stages = stages
        self.classifier = nn.Linear(width, classes)
        self.register_buffer("names", torch.zeros(classes, dimension))

    def forward(self, activations: Tensor) -> Tensor:
        """Sum the class-name vectors, weighted by the classifier's probabilities."""
        logits = self.classifier(self.stages(activations).mean((2, 3))).float()
        return F.normalize(((logits / TEMPERATURE).softmax(1) @ self.names).float(), dim=-1)


class TextClasses(nn.Module):
    """Centred sentence vectors in the space spanned by class names: (B, D) → (B, d), rows of length 1."""

    centre: Tensor
    basis: Tensor

    def __init__(self, dimension: int, class_dimension: int) -> None:
        super().__init__()
        self.register_buffer("centre", torch.zeros(dimension))
        self.register_buffer("basis", torch.zeros(dimension, class_dimension))

    def forward(self, vectors: Tensor) -> Tensor:
        """Centre and project the vectors."""
        return F.normalize((vectors - self.centre) @ self.basis, dim=-1)

    def fit(self, names: Tensor) -> Tensor:
        """Fit the space to the vectors (K, D) of class names, and return their coordinates in it (K, d)."""
        self.centre.copy_(names.mean(0))
        spread = F.normalize(names - self.centre, dim=-1)
        _, _, directions = torch.linalg.svd(spread, full_matrices=False)
        size = min(self.basis.shape[1], len(directions))
        self.basis.zero_()[:, :size] = directions[:size].T
        return spread @ self.basis


def join(vectors: Tensor, classes: Tensor, weight: Tensor | float = 1.0) -> Tensor:
    """Concatenate vectors (B, D) and weighted class parts (B, d) in rows of length 1: (B, D + d)."""
    return F.normalize(torch.cat([vectors, classes * weight], dim=-1), dim=-1)


def plain_cosine(weight: float = CAPTION_WEIGHT) -> float:
    """Return the factor from a cosine of joined vectors to plain cosine + `weight` · cosine of the class parts."""
    return math.sqrt(2) * math.sqrt(1 + weight**2)
