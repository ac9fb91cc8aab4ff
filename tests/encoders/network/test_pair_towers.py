"""Towers that take what a pretrained pair gave."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F  # noqa: N812  torch's own convention

from encoders.architecture import PAIR, ModelConfig
from encoders.network.model import CrosslookModel


def test_vectors_pass_and_states_are_projected() -> None:
    """Vectors and states may be of three lengths: the joined form is as wide as the longer one."""
    torch.manual_seed(0)
    config = ModelConfig(
        backbone=PAIR, text_tower=PAIR, dimension=8, region_width=6, token_width=12, channels=4, joint_size=4
    )
    model = CrosslookModel(config).eval()
    pictures, sentences, mask = torch.rand(2, 10, 8), torch.rand(3, 5, 12), torch.ones(3, 5, dtype=torch.bool)
    images, texts = model.image(pictures), model.text(sentences, mask, mask)
    torch.testing.assert_close(images.vectors, F.normalize(pictures[:, 0], dim=-1))
    torch.testing.assert_close(texts.vectors, F.normalize(sentences[:, 0, :8], dim=-1))
    torch.testing.assert_close(images.states, model.image.local(pictures[:, 1:, :6]))
    torch.testing.assert_close(texts.states, model.text.local(sentences))
    assert {name.split(".")[0] for name, _ in model.image.named_parameters()} == {"local"}


def test_a_pair_stands_for_both_towers() -> None:
    """One of them alone is refused."""
    with pytest.raises(ValueError, match="a pretrained pair stands for both towers or for none"):
        ModelConfig(backbone=PAIR)
