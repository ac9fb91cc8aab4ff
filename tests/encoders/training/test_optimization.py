"""The learning-rate schedule and the moving average."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from encoders.training.optimization import moving_average, one_cycle


def test_the_learning_rate_rises_to_its_peak_and_falls_to_zero() -> None:
    """A linear warm-up over a tenth of the steps, then a cosine."""
    rates = [one_cycle(step, 100, 0.1) for step in range(101)]
    assert rates[:10] == pytest.approx([0.1 * step for step in range(1, 11)])
    assert rates[10] == 1
    assert rates[55] == pytest.approx(0.5)
    assert rates[100] == pytest.approx(0)
    assert rates[10:] == sorted(rates[10:], reverse=True)


def averages_of(values: list[float], decay: float) -> list[float]:
    """Average models of one parameter that takes some values one after the other."""
    model = nn.Linear(1, 1, bias=False)
    average = moving_average(model, decay)
    found: list[float] = []
    for value in values:
        with torch.no_grad():
            model.weight.fill_(value)
        average.update_parameters(model)
        found.append(next(average.parameters()).item())
    return found


def test_the_moving_average_leaves_the_start_behind_quickly() -> None:
    """After 30 models, less than a hundredth of the first one is left; with a constant decay of 0.99 it is 75 %."""
    assert 0.99 < averages_of([0.0] + [1.0] * 29, 0.99)[-1] < 1


def test_the_moving_average_ends_with_its_highest_decay() -> None:
    """After a thousand models, one more moves it by a hundredth of the way."""
    assert averages_of([0.0] * 1000 + [1.0], 0.99)[-1] == pytest.approx(0.01)
