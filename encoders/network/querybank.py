"""Hubness: how similar a vector is to queries in general, subtracted from its score when candidates are compared.

In a shared space some pictures are near every sentence and some sentences near every picture; such hubs enter lists
where they do not belong. A candidate's similarity to a bank of queries measures its hubness.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812  torch's own convention
from torch import Tensor, nn

ROUNDS = 12
CENTRES = 128
"""Enough for a training set of Flickr8k's size: a bank of 6,000 single queries is no better."""


class Querybank(nn.Module):
    """A bank of queries, as weighted centres of the training set's vectors.

    Source: Bogolin et al., "Cross Modal Retrieval with Querybank Normalisation", https://arxiv.org/abs/2112.12777; the
    form after Smith et al., "Offline bilingual word vectors, orthogonal transformations and the inverted softmax",
    https://arxiv.org/abs/1702.03859.
    """

    centres: Tensor
    log_shares: Tensor
    scale: Tensor

    def __init__(self, size: int, dimension: int) -> None:
        super().__init__()
        self.register_buffer("centres", torch.zeros(size, dimension))
        self.register_buffer("log_shares", torch.zeros(size))
        self.register_buffer("scale", torch.ones(()))

    def forward(self, vectors: Tensor) -> Tensor:
        """Log of the mean of exp(scale · cosine) with the bank: vectors (N, D) → (N,). A class part is ignored."""
        plain = F.normalize(vectors[:, : self.centres.shape[1]], dim=-1)
        return torch.logsumexp(self.scale * plain @ self.centres.T + self.log_shares, dim=1)

    def fit(self, vectors: Tensor, scale: float) -> None:
        """Run spherical k-means over vectors (N, D); `scale` is the inverse temperature they were trained with."""
        size = len(self.centres)
        vectors = F.normalize(vectors[:, : self.centres.shape[1]], dim=-1)
        generator = torch.Generator().manual_seed(0)
        chosen = torch.randperm(len(vectors), generator=generator).repeat(-(-size // len(vectors)))[:size]
        centres = vectors[chosen.to(vectors.device)]
        for _ in range(ROUNDS):
            nearest = (vectors @ centres.T).argmax(1)
            sums = torch.zeros_like(centres).index_add_(0, nearest, vectors)
            empty = torch.bincount(nearest, minlength=size) == 0
            centres = torch.where(empty[:, None], centres, F.normalize(sums, dim=-1))
        counts = torch.bincount((vectors @ centres.T).argmax(1), minlength=size)
        self.centres.copy_(centres)
        self.log_shares.copy_((counts / len(vectors)).clamp(min=1e-6).log())
        self.scale.fill_(scale)


class Hubness(nn.Module):
    """A querybank for each side: pictures are compared with captions, captions with pictures."""

    def __init__(self, size: int, dimension: int) -> None:
        super().__init__()
        self.captions = Querybank(size, dimension)
        self.images = Querybank(size, dimension)
