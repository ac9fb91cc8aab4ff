"""The querybank: centres of many vectors, weighted by their shares."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F  # noqa: N812  torch's own convention

from encoders.network.querybank import Querybank


def test_with_a_centre_per_vector_hubness_is_exact() -> None:
    """It is the log of the mean of exp(scale · cosine) with all vectors."""
    vectors = F.normalize(torch.randn(20, 8, generator=torch.Generator().manual_seed(0)), dim=-1)
    bank = Querybank(20, 8)
    bank.fit(vectors, 10.0)
    queries = F.normalize(torch.randn(5, 8, generator=torch.Generator().manual_seed(1)), dim=-1)
    torch.testing.assert_close(bank(queries), (10 * queries @ vectors.T).exp().mean(1).log(), atol=1e-4, rtol=1e-4)


def test_centres_find_clusters() -> None:
    """Of two clusters, one three times the size of the other, the centre of the larger is the larger hub."""
    generator = torch.Generator().manual_seed(2)
    one, two = F.normalize(torch.randn(2, 8, generator=generator), dim=-1)
    noise = 0.05 * torch.randn(40, 8, generator=generator)
    bank = Querybank(2, 8)
    bank.fit(F.normalize(torch.stack([one] * 30 + [two] * 10) + noise, dim=-1), 20.0)
    assert sorted(bank.log_shares.exp().tolist()) == pytest.approx([0.25, 0.75])
    hubness = bank(torch.stack([one, two]))
    assert hubness[0] - hubness[1] == pytest.approx(torch.tensor(3.0).log().item(), abs=0.2)


def test_fewer_vectors_than_centres_still_fit() -> None:
    """Three vectors fit a bank of eight centres, and hubness is exact."""
    vectors = F.normalize(torch.randn(3, 8, generator=torch.Generator().manual_seed(3)), dim=-1)
    bank = Querybank(8, 8)
    bank.fit(vectors, 5.0)
    torch.testing.assert_close(bank(vectors), (5 * vectors @ vectors.T).exp().mean(1).log(), atol=1e-3, rtol=1e-3)


def test_a_class_part_is_ignored() -> None:
    """Only the first dimensions of longer vectors count."""
    vectors = F.normalize(torch.randn(9, 8, generator=torch.Generator().manual_seed(4)), dim=-1)
    bank = Querybank(4, 8)
    bank.fit(vectors, 5.0)
    longer = F.normalize(torch.cat([vectors, torch.ones(9, 3)], dim=-1), dim=-1)
    torch.testing.assert_close(bank(longer), bank(vectors))
