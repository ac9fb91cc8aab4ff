"""Pictures become the input of a pair."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from encoders.pairs.description import ImageInput
from encoders.pairs.preprocess import to_input

SETTINGS = ImageInput(32, "shortest", "bicubic", (0.5, 0.5, 0.5), (0.5, 0.5, 0.5))


@pytest.mark.parametrize("axis", [0, 1])
def test_a_very_long_picture_is_not_enlarged_whole(axis: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only its middle is, from which the square is cut; the square is that of the whole picture."""
    shape, box = [(400, 2), (2, 400)][axis], [(3184, 0, 3216, 32), (0, 3184, 32, 3216)][axis]
    picture = Image.fromarray(np.random.default_rng(0).integers(0, 256, (*shape[::-1], 3), np.uint8))
    expected = picture.resize((shape[0] * 16, shape[1] * 16), Image.Resampling.BICUBIC).crop(box)
    sizes = []
    resize = Image.Image.resize

    def recorded(image: Image.Image, size: tuple[int, int], resampling: Image.Resampling) -> Image.Image:
        sizes.append(size)
        return resize(image, size, resampling)

    monkeypatch.setattr(Image.Image, "resize", recorded)
    np.testing.assert_array_equal(to_input(picture, SETTINGS), np.asarray(expected))
    assert max(sizes[0]) <= 16 * 32
