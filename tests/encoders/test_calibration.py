"""From scores to probabilities."""

from __future__ import annotations

import numpy as np
import pytest

from encoders.calibration import Calibration, fit_probability


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


def test_scores_join_all_parts_and_probabilities_follow_their_order() -> None:
    """Score = a · cosine + b · logit - c · hubness; a higher score is a higher probability, with no overflow."""
    calibration = Calibration(similarity_weight=10, match_weight=0.5, slope=2, intercept=-1, hubness_weight=3)
    scores = calibration.scores(
        np.array([0.5, -0.5], np.float32), np.array([2, -2], np.float32), np.array([1, 0], np.float32)
    )
    assert scores.tolist() == [3.0, -6.0]
    assert scores.dtype == np.float32
    probabilities = calibration.probabilities(np.array([-1e9, 0, 0.5, 1e9], np.float32))
    assert (np.diff(probabilities) > 0).all()
    assert probabilities[2] == pytest.approx(0.5)


def test_what_captions_taught_counts_as_far_as_the_query_is_familiar() -> None:
    """For strange words only the cosine orders, with the learned part's mean to keep probabilities comparable."""
    calibration = Calibration(10, 0.5, 2, -1, 3, learned_mean=-2)
    similarities, logits, hubness = (np.array(x, np.float32) for x in ([0.5, 0.4], [-8, 8], [1, 0]))
    assert calibration.scores(similarities, logits, hubness, 0.0).tolist() == [3.0, 2.0]
    assert calibration.scores(similarities, logits, hubness, 0.5).tolist() == [0.5, 5.0]
