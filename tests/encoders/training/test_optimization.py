"""The learning-rate schedule."""

from __future__ import annotations

import pytest

from encoders.training.optimization import one_cycle


def test_the_learning_rate_rises_to_its_peak_and_falls_to_zero() -> None:
    """A linear warm-up over a tenth of the steps, then a cosine."""
    rates = [one_cycle(step, 100, 0.1) for step in range(101)]
    assert rates[:10] == pytest.approx([0.1 * step for step in range(1, 11)])
    assert rates[10] == 1
    assert rates[55] == pytest.approx(0.5)
    assert rates[100] == pytest.approx(0)
    assert rates[10:] == sorted(rates[10:], reverse=True)
