"""Each loss, against a slow oracle written from its paper."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
import torch

from encoders.training.losses import hard_candidates, info_nce, listwise_match


def info_nce_oracle(
    similarities: np.ndarray, image_of: np.ndarray, scale: float, kinship: np.ndarray, soft: float
) -> float:
    """Compute InfoNCE one candidate at a time, without vector arithmetic."""
    images, captions = similarities.shape
    to_image, to_text = [], []
    for c in range(captions):
        kin = [float(np.mean([kinship[c, j] for j in range(captions) if image_of[j] == i])) for i in range(images)]
        candidates = list(range(images))
        to_image.append(_soft_loss(similarities[:, c] * scale, candidates, image_of[c], kin, soft))
        image = image_of[c]
        candidates = [j for j in range(captions) if image_of[j] != image or j == c]
        to_text.append(_soft_loss(similarities[image] * scale, candidates, c, kinship[c], soft))
    return float(np.mean(to_image) + np.mean(to_text)) / 2


def _soft_loss(logits: np.ndarray, candidates: list[int], target: int, kin: Sequence[float], soft: float) -> float:
    total = sum(np.exp(logits[j]) for j in candidates)
    total_kinship = sum(np.exp(kin[j]) for j in candidates)
    losses = {j: -np.log(np.exp(logits[j]) / total) for j in candidates}
    return float(
        (1 - soft) * losses[target] + soft * sum(np.exp(kin[j]) / total_kinship * losses[j] for j in candidates)
    )


@pytest.fixture
def batch() -> tuple[torch.Tensor, torch.Tensor]:
    """Five pictures with 1, 3, 2, 2 and 1 captions."""
    generator = torch.Generator().manual_seed(3)
    image_of = torch.tensor([0, 1, 1, 1, 2, 2, 3, 3, 4])
    return torch.rand(5, 9, generator=generator, dtype=torch.float64) * 2 - 1, image_of


@pytest.mark.parametrize("soft", [0.0, 0.2])
@pytest.mark.parametrize("known", [False, True])
def test_info_nce_agrees_with_oracle(batch: tuple[torch.Tensor, torch.Tensor], soft: float, *, known: bool) -> None:
    """In both directions, with several captions per picture, hard and soft targets, with and without kinship."""
    similarities, image_of = batch
    kinship = torch.randn(9, 9, generator=torch.Generator().manual_seed(4), dtype=torch.float64)
    if not known:
        kinship *= 0
    ours = info_nce(similarities, image_of, torch.tensor(7.0), kinship if known else None, soft=soft)
    expected = info_nce_oracle(similarities.numpy(), image_of.numpy(), 7.0, kinship.numpy(), soft)
    assert ours.item() == pytest.approx(expected, rel=1e-9)


def test_info_nce_has_finite_gradients(batch: tuple[torch.Tensor, torch.Tensor]) -> None:
    """Leaving siblings out of the sum puts no NaN into the gradient."""
    similarities, image_of = batch
    scale = torch.tensor(20.0, requires_grad=True)
    for soft in (0.0, 0.1):
        info_nce(similarities.requires_grad_(), image_of, scale, soft=soft).backward()  # type: ignore[no-untyped-call]
    assert similarities.grad is not None
    assert scale.grad is not None
    assert torch.isfinite(similarities.grad).all()
    assert torch.isfinite(scale.grad)


def test_listwise_match_agrees_with_oracle() -> None:
    """It is the cross-entropy of each list's first entry."""
    logits = torch.randn(6, 4, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    expected = np.mean([-np.log(np.exp(row[0]) / np.exp(row).sum()) for row in logits.numpy()])
    assert listwise_match(logits).item() == pytest.approx(expected, rel=1e-9)


def test_listwise_match_spreads_its_target() -> None:
    """With kinship, a share of the target goes to candidates similar to the truth."""
    generator = torch.Generator().manual_seed(2)
    logits, kinship = torch.randn(2, 6, 4, generator=generator, dtype=torch.float64)
    expected = [
        _soft_loss(row, [0, 1, 2, 3], 0, kin, 0.3) for row, kin in zip(logits.numpy(), kinship.numpy(), strict=True)
    ]
    assert listwise_match(logits, kinship, soft=0.3).item() == pytest.approx(np.mean(expected), rel=1e-9)


def test_hard_candidates_agree_with_oracle(batch: tuple[torch.Tensor, torch.Tensor]) -> None:
    """The true match comes first, then the most similar ones of other pictures."""
    similarities, image_of = batch
    images, captions = hard_candidates(similarities, image_of, 3)
    for c, image in enumerate(image_of.tolist()):
        wrong_images = [i for i in torch.argsort(-similarities[:, c]).tolist() if i != image]
        assert images[c].tolist() == [image, *wrong_images[:3]]
        wrong_captions = [j for j in torch.argsort(-similarities[image]).tolist() if image_of[j] != image]
        assert captions[c].tolist() == [c, *wrong_captions[:3]]


def test_a_small_batch_has_fewer_hard_candidates() -> None:
    """Lists are as long as the batch allows, and never contain another caption of the same picture."""
    image_of = torch.tensor([0, 0, 1])
    images, captions = hard_candidates(torch.zeros(2, 3), image_of, 10)
    assert images.shape == (3, 2)
    assert captions.shape == (3, 2)
    assert all(image_of[row[1]] != image_of[row[0]] for row in captions)
