"""What is hidden from the model in training, and how sentences are batched by length."""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812  torch's own convention
from torch import Tensor

from ..model import Encoded, TextSide


def hide_regions(states: Tensor, share: float) -> Tensor:
    """Leave out a random share of each picture's regions: (B, P, C) → (B, P', C)."""
    count = max(1, round(states.shape[1] * (1 - share)))
    if count == states.shape[1]:
        return states
    kept = torch.rand(states.shape[:2], device=states.device).argsort(1)[:, :count]
    return states.gather(1, kept.unsqueeze(-1).expand(-1, -1, states.shape[2]))


def hide_words(mask: Tensor, share: float) -> Tensor:
    """Take a random share of words out of a mask (M, T), never all words of a sentence."""
    kept = mask & (torch.rand(mask.shape, device=mask.device) >= share)
    return torch.where(kept.any(1, keepdim=True), kept, mask)


def encode_by_length(side: TextSide, ids: Tensor, mask: Tensor, attended: Tensor, parts: int = 4) -> Encoded:
    """Encode sentences in parts of similar length, so that little time goes into padding.

    Shape:
        - ids, mask, attended: (M, T).
        - output: vectors (M, D), states (M, T, C).
    """
    order = attended.sum(1).argsort()
    vectors, states = [], []
    for rows in order.chunk(parts):
        width = int(attended[rows].sum(1).max())
        encoded = side(ids[rows, :width], mask[rows, :width], attended[rows, :width])
        vectors.append(encoded.vectors)
        states.append(F.pad(encoded.states, (0, 0, 0, ids.shape[1] - width)))
    back = order.argsort()
    return Encoded(torch.cat(vectors)[back], torch.cat(states)[back])
