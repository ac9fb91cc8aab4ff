"""The three fusion strategies and the reranker on top of them."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F  # noqa: N812  torch's own convention
from torch import Tensor

from encoders.network.fusion import FUSIONS, AttentionFusion
from encoders.network.reranker import Reranker

N, T, P, C, J, D = 3, 5, 9, 16, 8, 12


@pytest.fixture
def pairs() -> tuple[Tensor, Tensor, Tensor]:
    """Three pairs; the second sentence has two words, the third four."""
    generator = torch.Generator().manual_seed(0)
    regions = F.normalize(torch.randn(N, P, C, generator=generator), dim=-1)
    tokens = F.normalize(torch.randn(N, T, C, generator=generator), dim=-1)
    mask = torch.arange(T)[None] < torch.tensor([5, 2, 4])[:, None]
    return regions, tokens, mask


@pytest.mark.parametrize("name", FUSIONS)
def test_padding_changes_nothing(name: str, pairs: tuple[Tensor, Tensor, Tensor]) -> None:
    """The states of masked tokens do not reach the joint vector."""
    regions, tokens, mask = pairs
    torch.manual_seed(1)
    fusion = FUSIONS[name](C, J, 0.1).eval()
    joint = fusion(regions, tokens, mask).joint
    noise = torch.where(mask.unsqueeze(-1), tokens, F.normalize(torch.randn_like(tokens), dim=-1))
    assert joint.shape == (N, fusion.joint_size)
    torch.testing.assert_close(joint, fusion(regions, noise, mask).joint)


@pytest.mark.parametrize("name", FUSIONS)
def test_reranker_scores_each_pair_independently(name: str, pairs: tuple[Tensor, Tensor, Tensor]) -> None:
    """A pair's logit does not depend on the batch, and gradients reach both sides."""
    regions, tokens, mask = (x.clone() for x in pairs)
    torch.manual_seed(1)
    reranker = Reranker(name, C, J, D, dropout=0.1).eval()
    with torch.no_grad():
        for parameter in reranker.hidden.parameters():
            parameter.normal_()
    batch = reranker(regions, tokens, mask)
    single = [reranker(regions[i : i + 1], tokens[i : i + 1], mask[i : i + 1]) for i in range(N)]
    torch.testing.assert_close(batch.logit, torch.cat([match.logit for match in single]))
    torch.testing.assert_close(batch.global_match, torch.cat([match.global_match for match in single]))
    regions.requires_grad_()
    tokens.requires_grad_()
    match = reranker(regions, tokens, mask)
    (match.logit + match.global_match).sum().backward()
    assert regions.grad is not None
    assert tokens.grad is not None
    assert regions.grad.abs().sum() > 0
    assert tokens.grad[mask].abs().sum() > 0
    assert tokens.grad[~mask].abs().sum() == 0


def test_attention_agrees_with_oracle(pairs: tuple[Tensor, Tensor, Tensor]) -> None:
    """A word's weights are the softmax of its sharpened cosines with the regions."""
    regions, tokens, mask = pairs
    fusion = AttentionFusion(C, J, 0.0).eval()
    attention = fusion(regions, tokens, mask).attention
    assert attention is not None
    sharpness = float(fusion.log_sharpness[0].detach().exp())
    for n in range(N):
        for t in range(T):
            cosines = [float(tokens[n, t] @ regions[n, p]) for p in range(P)]
            weights = np.exp(sharpness * np.array(cosines))
            np.testing.assert_allclose(attention[n, t].detach().numpy(), weights / weights.sum(), rtol=1e-4)


def test_a_new_reranker_prefers_the_matching_picture() -> None:
    """With attention fusion the initial logit is the cosine of words and attended regions."""
    torch.manual_seed(0)
    words = F.normalize(torch.randn(1, 4, C), dim=-1)
    noise = F.normalize(torch.randn(1, P, C), dim=-1)
    matching = noise.clone()
    matching[:, :4] = words
    reranker = Reranker("attention", C, J, D).eval()
    mask = torch.ones(1, 4, dtype=torch.bool)
    assert reranker(matching, words, mask).logit > reranker(noise, words, mask).logit + 1


@pytest.mark.parametrize("name", ["concatenation", "gated"])
def test_pooled_strategies_have_no_attention(name: str, pairs: tuple[Tensor, Tensor, Tensor]) -> None:
    """They compare pooled vectors, and return None."""
    assert FUSIONS[name](C, J, 0.0)(*pairs).attention is None
