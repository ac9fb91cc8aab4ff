"""The class channel: what an ImageNet classifier recognises, as a direction in the text tower's own space.

The towers have read the captions of a few thousand photographs; a classifier knows a thousand things by name. Its
probabilities weigh the text tower's vectors of those names, and the sum can be held against any sentence, whether or
not a caption ever said the word.

Source: Norouzi et al., "Zero-Shot Learning by Convex Combination of Semantic Embeddings",
https://arxiv.org/abs/1312.5650.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F  # noqa: N812  torch's own convention
from torch import Tensor, nn

TEMPERATURE = 2.0
CAPTION_WEIGHT = 0.03
"""Weight of the class part beside the vector of 1, for a sentence whose words are all familiar."""
UNFAMILIAR_WEIGHT = 4.0
"""What is added to it for a sentence of unfamiliar words only."""


class ImageClasses(nn.Module):
    """Pictures to a weighted sum of class names.

    Args:
        stages: the classifier's own last stages, never trained.
        width: channels of the map they give.
        classes: how many names.
        dimension: length of the class part.

    Shape:
        - activations: (B, c, h, w), where the tower splits.
        - output: (B, d), rows of length 1.
    """

    names: Tensor

    def __init__(self, stages: nn.Sequential, width: int, classes: int, dimension: int) -> None:
        super().__init__()
        self.stages = stages
        self.classifier = nn.Linear(width, classes)
        self.register_buffer("names", torch.zeros(classes, dimension))

    def forward(self, activations: Tensor) -> Tensor:
        """Recognise, and say it in the text tower's terms."""
        logits = self.classifier(self.stages(activations).mean((2, 3))).float()
        return F.normalize(((logits / TEMPERATURE).softmax(1) @ self.names).float(), dim=-1)


class TextClasses(nn.Module):
    """Sentence vectors to the space that class names span, centred: (B, D) → (B, d), rows of length 1."""

    centre: Tensor
    basis: Tensor

    def __init__(self, dimension: int, class_dimension: int) -> None:
        super().__init__()
        self.register_buffer("centre", torch.zeros(dimension))
        self.register_buffer("basis", torch.zeros(dimension, class_dimension))

    def forward(self, vectors: Tensor) -> Tensor:
        """Project."""
        return F.normalize((vectors - self.centre) @ self.basis, dim=-1)

    def fit(self, names: Tensor) -> Tensor:
        """Span the space by the vectors (K, D) of class names, and give their places in it (K, d)."""
        self.centre.copy_(names.mean(0))
        spread = F.normalize(names - self.centre, dim=-1)
        _, _, directions = torch.linalg.svd(spread, full_matrices=False)
        size = min(self.basis.shape[1], len(directions))
        self.basis.zero_()[:, :size] = directions[:size].T
        return spread @ self.basis


def join(vectors: Tensor, classes: Tensor, weight: Tensor | float = 1.0) -> Tensor:
    """Vectors (B, D) and class parts (B, d), the latter by its weight, in rows of length 1 (B, D + d)."""
    return F.normalize(torch.cat([vectors, classes * weight], dim=-1), dim=-1)


def plain_cosine(weight: float = CAPTION_WEIGHT) -> float:
    """What a cosine of joined vectors is multiplied by to give plain cosine + `weight` · cosine of the class parts."""
    return math.sqrt(2) * math.sqrt(1 + weight**2)
