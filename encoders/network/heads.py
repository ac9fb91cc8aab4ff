"""From states to the shared space: one vector of all of them, or each of them smaller."""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812  torch's own convention
from torch import Tensor, nn


def tanh(x: Tensor) -> Tensor:
    """`torch.tanh` to seven digits, four times as fast on a CPU, where it took a third of reranking.

    Computed in float32 whatever the type of `x`: near 0 the sigmoid is near 1/2, and the difference from it loses three
    of bf16's eight bits.
    """
    return ((2 * x.float()).sigmoid_() * 2).sub_(1).to(x.dtype)


class Tanh(nn.Module):
    """`tanh` as a layer."""

    def forward(self, x: Tensor) -> Tensor:
        """Each value by itself."""
        return tanh(x)


class AttentionPool(nn.Module):
    """One vector from a set of states, by attention pooling with several heads.

    Shape:
        - states: (B, L, c); mask: (B, L), bool, true where there is something.
        - output: (B, D), rows of length 1.
    """

    def __init__(self, width: int, dimension: int, dropout: float) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.dropout = nn.Dropout(dropout)
        self.value = nn.Linear(width, dimension)
        self.weigh = nn.Sequential(nn.Linear(width, 256), Tanh(), nn.Linear(256, 4))

    def forward(self, states: Tensor, mask: Tensor | None = None) -> Tensor:
        """Weigh and sum."""
        x = self.dropout(self.norm(states))
        logits = self.weigh(x)  # (B, L, heads)
        if mask is not None:
            logits = logits.masked_fill(~mask.unsqueeze(-1), -1e4)
        weights = logits.softmax(dim=1)
        seen = weights.transpose(1, 2) @ x  # (B, heads, c): summed first, so that few rows are projected
        rows = self.value.weight.view(weights.shape[-1], -1, x.shape[-1])  # (heads, D / heads, c)
        values = torch.einsum("bhc,hdc->bhd", seen, rows).flatten(1) + self.value.bias
        return F.normalize(values.float(), dim=-1)


class StateProjection(nn.Module):
    """Each state by itself, as the reranker compares it.

    Shape:
        - states: (B, L, c); output: (B, L, C), rows of length 1.
    """

    def __init__(self, width: int, channels: int, dropout: float) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.dropout = nn.Dropout(dropout)
        self.project = nn.Linear(width, channels)

    def forward(self, states: Tensor) -> Tensor:
        """Project."""
        return F.normalize(self.project(self.dropout(self.norm(states))).float(), dim=-1)
