"""The fused objective: a contrastive loss over the towers and a listwise matching loss over the reranker."""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812  torch's own convention
from torch import Tensor


def info_nce(
    similarities: Tensor, image_of: Tensor, scale: Tensor, kinship: Tensor | None = None, *, soft: float = 0.0
) -> Tensor:
    """Contrastive loss both ways, for a batch in which a picture may have several captions.

    Text to image, each caption picks its picture among all. Image to text, each caption in turn is the answer
    for its picture, the picture's other captions left out of the sum. Some of a batch's "wrong" pairs are right in
    truth, so a share of the target can be spread over them.

    Args:
        similarities: cosines in [-1, 1].
        image_of: for each caption, the row of its picture.
        scale: learnable inverse temperature, a scalar.
        kinship: how alike the captions are, as logits; None spreads the share evenly.
        soft: share of the target that is spread.

    Shape:
        - similarities: (B, M), pictures by captions; image_of: (M,); kinship: (M, M).

    Returns:
        The mean of both directions, a scalar.

    Source: van den Oord et al., "Contrastive Predictive Coding", https://arxiv.org/abs/1807.03748;
    both ways as Radford et al., "CLIP", https://arxiv.org/abs/2103.00020; softened targets after Andonian et al.,
    "Robust Cross-Modal Representation Learning with Progressive Self-Distillation", https://arxiv.org/abs/2204.04588.
    """
    logits = similarities * scale
    captions = torch.arange(logits.shape[1], device=logits.device)
    own = image_of[:, None] == torch.arange(len(logits), device=logits.device)  # (M, B)
    same = image_of[None] == image_of[:, None]
    siblings = same & (captions[None] != captions[:, None])
    if kinship is None:
        kinship = logits.new_zeros(same.shape)
    to_image = soft_targets(own.to(logits.dtype), kinship_of_images(kinship, own), soft)
    spread = kinship.masked_fill(siblings, float("-inf"))
    to_text = soft_targets((same & ~siblings).to(logits.dtype), spread, soft)
    rows = logits[image_of].masked_fill(siblings, -1e4)  # (M, M): the picture of each caption against all captions
    return (F.cross_entropy(logits.T, to_image) + F.cross_entropy(rows, to_text)) / 2


def kinship_of_images(kinship: Tensor, own: Tensor) -> Tensor:
    """Kinship of each caption with each picture: the mean over the picture's captions, (M, M) → (M, B)."""
    weight = own.to(kinship.dtype)
    return kinship @ (weight / weight.sum(0))


def soft_targets(one_hot: Tensor, kinship: Tensor, soft: float) -> Tensor:
    """Targets (N, K): `1 - soft` on the truth, the rest by softmax of kinship (N, K)."""
    return (1 - soft) * one_hot + soft * kinship.softmax(-1)


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


def listwise_match(logits: Tensor, kinship: Tensor | None = None, *, soft: float = 0.0) -> Tensor:
    """Cross-entropy of lists whose first entry is the true one.

    Args:
        logits: match logits.
        kinship: how alike each candidate and the truth are, as logits; None spreads the share evenly.
        soft: share of the target that is spread.

    Shape:
        - logits, kinship: (N, 1+K).

    Returns:
        The mean over lists, a scalar.

    Source: Cao et al., "Learning to Rank: From Pairwise Approach to Listwise Approach" (ListNet, top one), 2007.
    """
    truth = torch.zeros_like(logits)
    truth[:, 0] = 1
    return F.cross_entropy(logits, soft_targets(truth, truth * 0 if kinship is None else kinship, soft))
