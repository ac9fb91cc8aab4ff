"""The reranker: one logit for how well a sentence describes a picture, and where each word looked."""

from __future__ import annotations

from typing import NamedTuple, cast

import torch
from torch import Tensor, nn

from .fusion import FUSIONS


class Match(NamedTuple):
    """The reranker's answer.

    Shape:
        - logit: (N,), higher is a better match.
        - attention: (N, T, P) or None, as `Fused.attention`.
    """

    logit: Tensor
    attention: Tensor | None


class Reranker(nn.Module):
    """A fusion strategy under a small head.

    The head is a linear layer beside a hidden one: with attention fusion its first input is the plain cosine of
    words and attended regions, so matching works from the first step on and the rest is learned on top.

    Args:
        fusion: a name from `FUSIONS`.
        channels: C of region and token states.
        joint_size: width of the fused vector.
        region_dropout: share of regions hidden from each pair in training.
        word_dropout: share of words hidden from each pair in training.
        dropout: ordinary dropout inside fusion and head.
    """

    def __init__(
        self,
        fusion: str,
        channels: int,
        joint_size: int,
        *,
        region_dropout: float = 0.0,
        word_dropout: float = 0.0,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.fusion = FUSIONS[fusion](channels, joint_size, dropout)
        size = self.fusion.joint_size
        self.linear = nn.Linear(size, 1)
        self.hidden = nn.Sequential(
            nn.LayerNorm(size), nn.Linear(size, joint_size), nn.GELU(), nn.Dropout(dropout), nn.Linear(joint_size, 1)
        )
        nn.init.zeros_(cast(Tensor, self.hidden[-1].weight))
        with torch.no_grad():
            self.linear.weight *= 0.1
            if fusion == "attention":
                self.linear.weight[0, 0] = 10.0
        self.region_dropout = region_dropout
        self.word_dropout = word_dropout

    def forward(self, regions: Tensor, tokens: Tensor, mask: Tensor) -> Match:
        """Score N pairs.

        Shape:
            - regions: (N, P, C); tokens: (N, T, C); mask: (N, T), bool, true on words.
        """
        if self.training:
            mask = self._hide(mask)
            kept = torch.rand(regions.shape[:2], device=regions.device).argsort(1)
            count = max(1, round(regions.shape[1] * (1 - self.region_dropout)))
            regions = regions.gather(1, kept[:, :count, None].expand(-1, -1, regions.shape[2]))
        joint, attention = self.fusion(regions, tokens, mask)
        return Match((self.linear(joint) + self.hidden(joint)).squeeze(-1), attention)

    def _hide(self, mask: Tensor) -> Tensor:
        """Hide words at random, never all of a sentence's."""
        kept = mask & (torch.rand(mask.shape, device=mask.device) >= self.word_dropout)
        return torch.where(kept.any(1, keepdim=True), kept, mask)
