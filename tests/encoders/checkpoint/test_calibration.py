"""From scores to probabilities."""

from __future__ import annotations

import numpy as np
import pytest

from encoders.checkpoint.calibration import Calibration, fit_probability
from encoders.features import Floats


def test_a_known_curve_is_recovered() -> None:
    """Outcomes drawn from a logistic curve give back its slope and intercept."""
    rng = np.random.default_rng(0)
    scores = rng.normal(3, 2, 200_000)
    probability = 1 / (1 + np.exp(-(1.7 * scores - 4)))
    slope, intercept = fit_probability(scores, rng.random(len(scores)) < probability)
    assert slope == pytest.approx(1.7, rel=0.03)
    assert intercept == pytest.approx(-4, rel=0.03)


@pytest.mark.parametrize("correct", [[True, True, True], [False, False, False], [True, False, True]])
def test_degenerate_outcomes_give_finite_numbers(correct: list[bool]) -> None:
    """All right, all wrong, or perfectly separated: Platt's smoothed targets keep the fit finite."""
    slope, intercept = fit_probability(np.array([3.0, 1.0, 3.0]), np.array(correct))
    assert np.isfinite([slope, intercept]).all()


def array(*values: float) -> Floats:
    """Make an array of scores."""
    return np.array(values, np.float32)


def test_scores_join_all_parts_and_probabilities_follow_their_order() -> None:
    """Score = a · cosine + b · logit + d · global match - c · hubness; probabilities rise with it, without overflow."""
    calibration = Calibration(10, 0.5, slope=2, intercept=-1, hubness_weight=3, whole_weight=2)
    scores = calibration.scores(array(0.5, -0.5), array(2, -2), array(1, 2), array(1, 0))
    assert scores.tolist() == [5.0, -2.0]
    assert scores.dtype == np.float32
    probabilities = calibration.probabilities(array(-1e9, 0, 0.5, 1e9))
    assert (np.diff(probabilities) > 0).all()
    assert probabilities[2] == pytest.approx(0.5)


def test_the_learned_part_counts_as_far_as_the_query_is_familiar() -> None:
    """For unfamiliar words only the cosine ranks; the learned part's mean keeps probabilities comparable."""
    calibration = Calibration(10, 0.5, 2, -1, 3, learned_mean=-2)
    parts = array(0.5, 0.4), array(-8, 8), array(5, -5), array(1, 0)
    assert calibration.scores(*parts, familiarity=0.0).tolist() == [3.0, 2.0]
    assert calibration.scores(*parts, familiarity=0.5 ** (1 / 6)).tolist() == pytest.approx([0.5, 5.0])


def test_unfamiliar_words_have_their_own_curve() -> None:
    """In between, the curves are mixed by familiarity; without a second curve, the first applies."""
    calibration = Calibration(10, 0, slope=2, intercept=-1, unfamiliar=(1, -4))
    scores = array(3)
    assert calibration.probabilities(scores)[0] == pytest.approx(1 / (1 + np.exp(-5)))
    assert calibration.probabilities(scores, familiarity=0.0)[0] == pytest.approx(1 / (1 + np.exp(1)))
    assert calibration.probabilities(scores, familiarity=0.25)[0] == pytest.approx(1 / (1 + np.exp(-0.5)))
    single = Calibration(10, 0, slope=2, intercept=-1)
    assert single.probabilities(scores, familiarity=0.0)[0] == single.probabilities(scores)[0]
