"""Fusion of a picture's regions and a sentence's words into one joint vector: three strategies, one interface.

Every strategy takes N pairs at once, and the reranker selects one by its name. Only `AttentionFusion` compares words
with regions one by one, so only it has an attention map.
"""

from __future__ import annotations

from typing import NamedTuple, cast

import torch
import torch.nn.functional as F  # noqa: N812  torch's own convention
from torch import Tensor, nn

from .heads import tanh


class Fused(NamedTuple):
    """The output of a fusion.

    Shape:
        - joint: (N, J).
        - attention: (N, T, P), each word's weights over the regions sum to 1; None where the strategy has none.
    """

    joint: Tensor
    attention: Tensor | None


class Fusion(nn.Module):
    """The interface of a fusion strategy.

    Shape:
        - regions: (N, P, C) and tokens: (N, T, C), rows of length 1; mask: (N, T), bool, true on words. A single
          picture or sentence is paired with all others.
        - joint: (N, J), J = `joint_size`.
    """

    joint_size: int

    def forward(self, regions: Tensor, tokens: Tensor, mask: Tensor) -> Fused:
        """Fuse N pairs."""
        raise NotImplementedError


def _pool(tokens: Tensor, mask: Tensor) -> Tensor:
    """Mean over the words: (N, T, C) → (N, C)."""
    weight = mask.unsqueeze(-1).to(tokens.dtype)
    return (tokens * weight).sum(1) / weight.sum(1).clamp(min=1)


def _concatenate(image: Tensor, text: Tensor) -> Tensor:
    """Concatenate (N, C) and (N, C), of which one may be (1, C): (N, 2C)."""
    count = max(len(image), len(text))
    return torch.cat([image.expand(count, -1), text.expand(count, -1)], dim=-1)


class ConcatFusion(Fusion):
    """The pooled picture and the pooled sentence, concatenated and mixed by one hidden layer."""

    def __init__(self, channels: int, joint_size: int, dropout: float) -> None:
        super().__init__()
        self.joint_size = joint_size
        self.mix = nn.Sequential(nn.Linear(2 * channels, joint_size), nn.GELU(), nn.Dropout(dropout))

    def forward(self, regions: Tensor, tokens: Tensor, mask: Tensor) -> Fused:
        """Fuse N pairs."""
        return Fused(self.mix(_concatenate(regions.mean(1), _pool(tokens, mask))), None)


class GatedFusion(Fusion):
    """A weighted sum of the two sides, with weights from a gate that sees both.

    Source: Arevalo et al., "Gated Multimodal Units", https://arxiv.org/abs/1702.01992.
    """

    def __init__(self, channels: int, joint_size: int, dropout: float) -> None:
        super().__init__()
        self.joint_size = joint_size
        self.from_image = nn.Linear(channels, joint_size)
        self.from_text = nn.Linear(channels, joint_size)
        self.gate = nn.Linear(2 * channels, joint_size)
        self.dropout = nn.Dropout(dropout)

    def forward(self, regions: Tensor, tokens: Tensor, mask: Tensor) -> Fused:
        """Fuse N pairs."""
        image, text = regions.mean(1), _pool(tokens, mask)
        gate = torch.sigmoid(self.gate(_concatenate(image, text)))
        joint = gate * torch.tanh(self.from_image(image)) + (1 - gate) * torch.tanh(self.from_text(text))
        return Fused(self.dropout(joint), None)


class AttentionFusion(Fusion):
    """Words attend to regions and regions to words; each comparison gives a vector of similarities.

    Each word is compared with the regions it attends to, and each region with the words it attends to. The joint vector
    consists of the two pooled similarity vectors and the two pooled cosines.

    Source: cross attention after Lee et al., "Stacked Cross Attention", https://arxiv.org/abs/1803.08024;
    similarity vectors after Diao et al., "Similarity Reasoning and Filtration", https://arxiv.org/abs/2101.01368.
    """

    def __init__(self, channels: int, joint_size: int, dropout: float) -> None:
        super().__init__()
        self.joint_size = 2 * joint_size + 2
        self.log_sharpness = nn.Parameter(torch.tensor([2.2, 2.2]))
        self.compare_words = nn.Linear(channels, joint_size)
        self.compare_regions = nn.Linear(channels, joint_size)
        self.weigh_words = nn.Linear(channels + joint_size, 1)
        self.weigh_regions = nn.Linear(channels + joint_size, 1)
        self.dropout = nn.Dropout(dropout)

    def forward(self, regions: Tensor, tokens: Tensor, mask: Tensor) -> Fused:
        """Fuse N pairs."""
        products = tokens @ regions.transpose(1, 2)  # (N, T, P)
        sharpness = self.log_sharpness.exp()
        attention = (products * sharpness[0]).softmax(dim=-1)
        attended_regions = F.normalize(attention @ regions, dim=-1)  # (N, T, C)
        word_attention = (products * sharpness[1]).masked_fill(~mask.unsqueeze(-1), -1e4).softmax(dim=1)
        attended_words = F.normalize(word_attention.transpose(1, 2) @ tokens, dim=-1)  # (N, P, C)
        by_word = self._compare(tokens, attended_regions, self.compare_words, self.weigh_words, mask)
        all_regions = torch.ones(regions.shape[:2], dtype=torch.bool, device=regions.device)
        by_region = self._compare(regions, attended_words, self.compare_regions, self.weigh_regions, all_regions)
        return Fused(self.dropout(torch.cat([*by_word, *by_region], dim=-1)), attention)

    def _compare(
        self, states: Tensor, attended: Tensor, compare: nn.Linear, weigh: nn.Linear, mask: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Compare states (N, L, C) with what they attend to, and pool over L: cosine (N, 1), similarities (N, J)."""
        product = states * attended
        cosine = product.sum(-1, keepdim=True)
        similarity = tanh(cast(Tensor, compare(product) * states.shape[-1] ** 0.5))
        channels = states.shape[-1]  # one linear layer over both, without concatenating them
        state_weight, similarity_weight = weigh.weight[:, :channels], weigh.weight[:, channels:]
        logits = F.linear(states, state_weight) + F.linear(similarity, similarity_weight, weigh.bias)
        logits = logits.masked_fill(~mask.unsqueeze(-1), -1e4)
        weight = logits.softmax(dim=1)
        return (cosine * weight).sum(1), (similarity * weight).sum(1)


FUSIONS: dict[str, type[ConcatFusion | GatedFusion | AttentionFusion]] = {
    "concatenation": ConcatFusion,
    "gated": GatedFusion,
    "attention": AttentionFusion,
}
