"""The text towers and their common interface."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from encoders.network.text_tower import RecurrentTextTower, TextTower, TransformerTextTower


def make(kind: str) -> TextTower:
    """Make a small tower of a kind."""
    torch.manual_seed(0)
    if kind.startswith("transformer"):
        split = 1 if kind == "transformer, split" else None
        return TransformerTextTower(
            50, width=16, layers=2, heads=2, feed_forward=32, max_tokens=12, dropout=0.1, split=split
        ).eval()
    cell = "lstm" if kind == "lstm" else "gru"
    return RecurrentTextTower(50, embedding_size=16, hidden_size=8, cell=cell, dropout=0.1).eval()  # type: ignore[arg-type]


KINDS = ("transformer", "transformer, split", "gru", "lstm")


@pytest.fixture
def sentences() -> tuple[Tensor, Tensor]:
    """Three sentences of 6, 4 and 2 tokens."""
    ids = torch.tensor([[2, 5, 6, 7, 8, 3], [2, 9, 10, 3, 0, 0], [2, 3, 0, 0, 0, 0]])
    return ids, ids != 0


@pytest.mark.parametrize("kind", KINDS)
def test_padding_changes_nothing(kind: str, sentences: tuple[Tensor, Tensor]) -> None:
    """A sentence's states are the same alone and beside longer ones."""
    tower = make(kind)
    ids, attended = sentences
    with torch.no_grad():
        batch = tower(ids, attended)
        assert batch[0].shape == batch[1].shape == (3, 6, tower.channels)
        for row, length in enumerate((6, 4, 2)):
            single = tower(ids[row : row + 1, :length], attended[row : row + 1, :length])
            for expected, states in zip(single, batch, strict=True):
                torch.testing.assert_close(states[row, :length], expected[0], atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("kind", KINDS)
def test_states_depend_on_word_order_in_both_directions(kind: str) -> None:
    """The first word's state depends on the last word, and the last word's on the first."""
    tower = make(kind)
    mask = torch.ones(1, 4, dtype=torch.bool)
    with torch.no_grad():
        plain, last, first, swapped = (
            torch.stack(tower(torch.tensor([words]), mask))[:, 0]
            for words in ([5, 6, 7, 8], [5, 6, 7, 9], [9, 6, 7, 8], [6, 5, 7, 8])
        )
    for output in (0, 1):
        assert not torch.allclose(plain[output, 0], last[output, 0])
        assert not torch.allclose(plain[output, -1], first[output, -1])
        assert not torch.allclose(plain[output, 2], swapped[output, 2])


@pytest.mark.parametrize("kind", KINDS)
def test_frozen_layers_get_no_gradient_and_others_do(kind: str, sentences: tuple[Tensor, Tensor]) -> None:
    """Freezing one layer also freezes the embedding; with 0 everything trains."""
    for frozen in (0, 1):
        tower = make(kind)
        tower.freeze(frozen)
        tower.train()
        sum(states.sum() for states in tower(*sentences)).backward()
        frozen_names = [n for n, p in tower.named_parameters() if not p.requires_grad]
        assert any("embedding" in n for n in frozen_names) == bool(frozen)
        assert any(p.grad is not None and p.grad.abs().sum() > 0 for p in tower.parameters())


def test_the_layers_of_a_split_tower_start_equal_and_train_separately(sentences: tuple[Tensor, Tensor]) -> None:
    """Both outputs are the same after the layers are copied; changing one's last layer leaves the other unchanged."""
    tower = make("transformer, split")
    assert isinstance(tower, TransformerTextTower)
    tower.copy_match_layers()
    with torch.no_grad():
        for_vector, for_match = tower(*sentences)
        torch.testing.assert_close(for_vector, for_match)
        tower.layers[1].norm2.weight += 0.5  # type: ignore[union-attr, operator]
        changed, same = tower(*sentences)
    assert torch.equal(same, for_match)
    assert not torch.allclose(changed, for_vector)
