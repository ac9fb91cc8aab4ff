"""Choosing pairs to compare."""

from __future__ import annotations

import numpy as np
import pytest

from indexer.duplicates.candidates import agreements


def test_agreement_is_the_mean_cosine_by_position() -> None:
    """Compared with the definition, in eight orientations; lengths do not matter."""
    rng = np.random.default_rng(0)
    ones, twos = rng.normal(size=(2, 3, 9, 5)).astype(np.float32)

    def mean_cosine(one: np.ndarray, two: np.ndarray) -> float:
        return float(np.mean([a @ b / (np.linalg.norm(a) * np.linalg.norm(b)) for a, b in zip(one, two, strict=True)]))

    expected = []
    for turns in range(4):
        for mirrored in (False, True):
            grids = [two.reshape(3, 3, 5)[:, ::-1] if mirrored else two.reshape(3, 3, 5) for two in twos]
            turned = [np.rot90(grid, turns).reshape(9, 5) for grid in grids]
            expected.append([mean_cosine(one, two) for one, two in zip(ones, turned, strict=True)])
    np.testing.assert_allclose(agreements(ones, 3 * twos), expected, atol=1e-6)
    np.testing.assert_array_equal(agreements(ones, np.zeros_like(ones)), 0)


def test_a_turned_grid_agrees() -> None:
    """A picture and itself turned by a right angle, or mirrored."""
    regions = np.random.default_rng(0).normal(size=(1, 16, 5)).astype(np.float32)
    grid = regions.reshape(4, 4, 5)
    for turned in (np.rot90(grid), grid[:, ::-1], grid[::-1]):
        assert agreements(regions, turned.reshape(1, 16, 5)).max() == pytest.approx(1)
