"""The image tower: a CNN, cut into stages, that outputs maps of regions."""

from __future__ import annotations

import pytest
import torch

from encoders.errors import BackboneError
from encoders.network.image_tower import ImageTower
from tests.encoders.conftest import TINY


@pytest.mark.parametrize("cut", [0, 1, 2, 3])
def test_bottom_and_top_stages_add_up_to_the_tower(cut: int) -> None:
    """For any cut, the two parts give the output of a single pass."""
    tower = ImageTower(TINY, 32).eval()
    pixels = torch.rand(2, 3, 32, 32)
    with torch.no_grad():
        torch.testing.assert_close(tower.top_stages(tower.bottom_stages(pixels, cut), cut), tower(pixels))
    assert tower(pixels)[0].shape == (2, 16, 24)
    assert tower.grid == (4, 4)


def test_the_stages_of_a_split_tower_start_equal_and_train_separately() -> None:
    """Both maps are the same after the layers are copied; changing one map's stages leaves the other unchanged."""
    tower = ImageTower(TINY, 32, split=2)
    with torch.no_grad():
        tower.stages[2][0].weight += 0.1  # type: ignore[index]  # torch types what a Sequential holds as Tensor or Module
        tower.copy_match_layers()
        pixels = torch.rand(2, 3, 32, 32)
        for_vector, for_match = tower.eval()(pixels)
        torch.testing.assert_close(for_vector, for_match)
        tower.stages[2][0].weight += 0.1  # type: ignore[index]  # torch types what a Sequential holds as Tensor or Module
        changed, same = tower(pixels)
    assert torch.equal(same, for_match)
    assert not torch.allclose(changed, for_vector)


def test_regions_are_in_reading_order() -> None:
    """The top left is region 0, the top right the last region of the first row."""
    tower = ImageTower(TINY, 32).eval()
    plain = torch.zeros(1, 3, 32, 32)
    marked = plain.clone()
    marked[..., 0:4, 28:32] = 1.0
    with torch.no_grad():
        change = (tower(marked)[0] - tower(plain)[0]).abs().sum(-1)[0]
    assert int(change.argmax()) == 3


def test_batch_statistics_stay_as_pretrained() -> None:
    """Training mode does not update them: small batches would spoil them."""
    tower = ImageTower(TINY, 32).train()
    statistics = {k: v.clone() for k, v in tower.state_dict().items() if "running" in k}
    tower(torch.rand(4, 3, 32, 32))
    assert all(torch.equal(v, tower.state_dict()[k]) for k, v in statistics.items())


def test_a_network_without_a_map_is_refused() -> None:
    """A network of tokens, or one for pictures of another size, is refused when it is built."""
    with pytest.raises(BackboneError, match="'levit_128s' outputs no map for pictures of 64 pixels"):
        ImageTower("levit_128s", 64)
