"""The losses: InfoNCE over the towers, and a listwise matching loss over the reranker."""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812  torch's own convention
from torch import Tensor


def info_nce(
    similarities: Tensor, image_of: Tensor, scale: Tensor, kinship: Tensor | None = None, *, soft: float = 0.0
) -> Tensor:
    """Contrastive loss in both directions, for a batch in which a picture may have several captions.

    Text to image, each caption picks its picture among all. Image to text, each caption in turn is the target for its
    picture, whose other captions are left out of the sum. Some "wrong" pairs of a batch do match, so a share of the
    target can be spread over them.

    Args:
        similarities: cosines in [-1, 1].
        image_of: for each caption, the row of its picture.
        scale: learnable inverse temperature, a scalar.
        kinship: similarity of the captions, as logits; None spreads the share evenly.
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
    matches = image_of[:, None] == torch.arange(len(logits), device=logits.device)  # (M, B)
    same = image_of[None] == image_of[:, None]
    siblings = same & (captions[None] != captions[:, None])
    if kinship is None:
        kinship = logits.new_zeros(same.shape)
    to_image = soft_targets(matches.to(logits.dtype), kinship_of_images(kinship, matches), soft)
    spread = kinship.masked_fill(siblings, float("-inf"))
    to_text = soft_targets((same & ~siblings).to(logits.dtype), spread, soft)
    rows = logits[image_of].masked_fill(siblings, -1e4)  # (M, M): the picture of each caption against all captions
    return (F.cross_entropy(logits.T, to_image) + F.cross_entropy(rows, to_text)) / 2


def label_loss(logits: Tensor, shown: Tensor, known: Tensor) -> Tensor:
    """Contrast labels with the pictures of which they are known; those that show a label share the target evenly.

    Shape:
        - logits: (K, B), labels by pictures; shown, known: (K, B), bool, each row with at least one picture.

    Returns:
        The loss of each label (K,).

    Source: Khosla et al., "Supervised Contrastive Learning", https://arxiv.org/abs/2004.11362.
    """
    target = shown.to(logits.dtype)
    return F.cross_entropy(logits.masked_fill(~known, -1e4), target / target.sum(1, keepdim=True), reduction="none")


def kinship_of_images(kinship: Tensor, matches: Tensor) -> Tensor:
    """Average the kinship (M, M) of each caption with each picture's captions: (M, B).

    Shape:
        - matches: (M, B), bool, true where a caption is the picture's.
    """
    weight = matches.to(kinship.dtype)
    return kinship @ (weight / weight.sum(0))


def soft_targets(one_hot: Tensor, kinship: Tensor, soft: float) -> Tensor:
    """Return targets (N, K): `1 - soft` on the truth, the rest by softmax of kinship (N, K)."""
    return (1 - soft) * one_hot + soft * kinship.softmax(-1)


def hard_candidates(similarities: Tensor, image_of: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """Build matching lists of hard negatives: the true match first, then the most similar others.

    Args:
        similarities: cosines; gradients are not followed.
        image_of: for each caption, the row of its picture.
        count: negatives in a list; fewer in a small batch.

    Shape:
        - similarities: (B, M); image_of: (M,).

    Returns:
        Pictures for each caption (M, 1+count), and captions for each caption's picture (M, 1+count).
    """
    with torch.no_grad():
        matches = torch.arange(similarities.shape[0], device=similarities.device)[:, None] == image_of[None]  # (B, M)
        masked = similarities.masked_fill(matches, float("-inf"))
        images = masked.topk(min(count, similarities.shape[0] - 1), dim=0).indices.T
        fewest = int((~matches).sum(1).min())
        captions = masked.topk(min(count, fewest), dim=1).indices[image_of]
        true_captions = torch.arange(len(image_of), device=similarities.device)
        return torch.cat([image_of[:, None], images], 1), torch.cat([true_captions[:, None], captions], 1)


def label_candidates(similarities: Tensor, shown: Tensor, known: Tensor, chosen: Tensor, count: int) -> Tensor:
    """Build lists of pictures for labels: the chosen one that shows the label, then the most similar that do not.

    Shape:
        - similarities: (K, B), labels by pictures; shown, known: (K, B), bool; chosen: (K,), rows of pictures.

    Returns:
        Rows of pictures (K, 1+count); if the batch has too few of these, a list ends in others.
    """
    with torch.no_grad():
        others = similarities.masked_fill(shown | ~known, -2.0).scatter(1, chosen[:, None], float("-inf"))
        return torch.cat([chosen[:, None], others.topk(min(count, shown.shape[1] - 1), dim=1).indices], 1)


def listwise_match(logits: Tensor, kinship: Tensor | None = None, *, soft: float = 0.0) -> Tensor:
    """Cross-entropy of lists whose first entry is the true match.

    Args:
        logits: match logits.
        kinship: similarity of each candidate and the truth, as logits; None spreads the share evenly.
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
