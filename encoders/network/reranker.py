"""The reranker: how well a sentence describes a picture, by its words and regions and by a global match."""

from __future__ import annotations

from typing import NamedTuple, cast

import torch
from torch import Tensor, nn

from .fusion import FUSIONS
from .heads import AttentionPool


class Match(NamedTuple):
    """The reranker's output.

    Shape:
        - logit: (N,), from the fusion of words and regions; higher is a better match.
        - global_match: (N,), the scaled cosine of the pooled picture and the pooled sentence.
        - attention: (N, T, P) or None, as `Fused.attention`.
    """

    logit: Tensor
    global_match: Tensor
    attention: Tensor | None


class Reranker(nn.Module):
    """A fusion strategy under a small head, beside a global match of picture and sentence.

    The head is a linear layer beside a hidden one: with attention fusion its first input is the plain cosine of
    words and attended regions, so matching works from the first step and the rest is learned on top. The global match
    pools the same states, so nothing more is stored for it. The two have separate losses: in one sum the fusion would
    only learn to correct the global match.

    Args:
        fusion: a name from `FUSIONS`.
        channels: C of region and token states.
        joint_size: width of the fused vector.
        dimension: length of a pooled vector of the global match.
        dropout: share of inner values dropped in training.
    """

    def __init__(self, fusion: str, channels: int, joint_size: int, dimension: int, *, dropout: float = 0.0) -> None:
        super().__init__()
        self.fusion = FUSIONS[fusion](channels, joint_size, dropout)
        size = self.fusion.joint_size
        self.linear = nn.Linear(size, 1)
        self.hidden = nn.Sequential(
            nn.LayerNorm(size), nn.Linear(size, joint_size), nn.GELU(), nn.Dropout(dropout), nn.Linear(joint_size, 1)
        )
        self.picture = AttentionPool(channels, dimension, dropout)
        self.sentence = AttentionPool(channels, dimension, dropout)
        self.log_scale = nn.Parameter(torch.tensor(3.0))
        nn.init.zeros_(cast(Tensor, self.hidden[-1].weight))
        with torch.no_grad():
            self.linear.weight *= 0.1
            if fusion == "attention":
                self.linear.weight[0, 0] = 10.0

    @property
    def scale(self) -> Tensor:
        """Inverse temperature of the global match."""
        return self.log_scale.exp().clamp(max=100)

    def compare(self, regions: Tensor, tokens: Tensor, mask: Tensor) -> tuple[Tensor, Tensor | None]:
        """Run the fusion alone: logit and attention, with the shapes of `forward`."""
        joint, attention = self.fusion(regions, tokens, mask)
        return (self.linear(joint) + self.hidden(joint)).squeeze(-1), attention

    def forward(self, regions: Tensor, tokens: Tensor, mask: Tensor) -> Match:
        """Score N pairs.

        Shape:
            - regions: (N, P, C) and tokens: (N, T, C), rows of length 1; mask: (N, T), bool, true on words. A
              single picture or sentence is paired with all others.
        """
        logit, attention = self.compare(regions, tokens, mask)
        cosine = (self.picture(regions) * self.sentence(tokens, mask)).sum(-1)
        return Match(logit, self.scale * cosine, attention)
