"""The fused objective: a contrastive loss over the towers and a listwise matching loss over the reranker."""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812  torch's own convention
from torch import Tensor


def info_nce(similarities: Tensor, image_of: Tensor, scale: Tensor, *, label_smoothing: float = 0.0) -> Tensor:
    """Contrastive loss both ways, for a batch in which a picture may have several captions.

    Text to image, each caption picks its picture among all. Image to text, each caption in turn is the answer
    for its picture, the picture's other captions left out of the sum.

    Args:
        similarities: cosines in [-1, 1].
        image_of: for each caption, the row of its picture.
        scale: learnable inverse temperature, a scalar.
        label_smoothing: share of the target spread over all candidates.

    Shape:
        - similarities: (B, M), pictures by captions; image_of: (M,).

    Returns:
        The mean of both directions, a scalar.

    Source: van den Oord et al., "Contrastive Predictive Coding", https://arxiv.org/abs/1807.03748;
    both ways as Radford et al., "CLIP", https://arxiv.org/abs/2103.00020.
    """
    logits = similarities * scale
    to_image = F.cross_entropy(logits.T, image_of, label_smoothing=label_smoothing)
    captions = torch.arange(logits.shape[1], device=logits.device)
    siblings = (image_of[None] == image_of[:, None]) & (captions[None] != captions[:, None])
    rows = logits[image_of]  # (M, M): the picture of each caption against all captions
    if label_smoothing == 0:
        return (to_image + F.cross_entropy(rows.masked_fill(siblings, float("-inf")), captions)) / 2
    log_p = rows - torch.logsumexp(rows.masked_fill(siblings, float("-inf")), dim=1, keepdim=True)
    candidates = (~siblings).to(log_p.dtype)
    spread = (log_p * candidates).sum(1) / candidates.sum(1)
    to_text = -((1 - label_smoothing) * log_p.diagonal() + label_smoothing * spread).mean()
    return (to_image + to_text) / 2


def hard_candidates(similarities: Tensor, image_of: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """Draw matching lists from the contrastive similarities: the true one first, then the most similar others.

    Args:
        similarities: cosines; gradients are not followed.
        image_of: for each caption, the row of its picture.
        count: how many negatives a list has; fewer where the batch is small.

    Shape:
        - similarities: (B, M); image_of: (M,).

    Returns:
        Pictures for each caption (M, 1+count), and captions for each caption's picture (M, 1+count).
    """
    with torch.no_grad():
        own = torch.arange(similarities.shape[0], device=similarities.device)[:, None] == image_of[None]  # (B, M)
        masked = similarities.masked_fill(own, float("-inf"))
        images = masked.topk(min(count, similarities.shape[0] - 1), dim=0).indices.T
        smallest = int((~own).sum(1).min())
        captions = masked.topk(min(count, smallest), dim=1).indices[image_of]
        mine = torch.arange(len(image_of), device=similarities.device)
        return torch.cat([image_of[:, None], images], 1), torch.cat([mine[:, None], captions], 1)


def listwise_match(logits: Tensor, *, label_smoothing: float = 0.0) -> Tensor:
    """Cross-entropy of lists whose first entry is the true one.

    Shape:
        - logits: (N, 1+K).

    Returns:
        The mean over lists, a scalar.

    Source: Cao et al., "Learning to Rank: From Pairwise Approach to Listwise Approach" (ListNet, top one), 2007.
    """
    return F.cross_entropy(logits, logits.new_zeros(len(logits), dtype=torch.long), label_smoothing=label_smoothing)
