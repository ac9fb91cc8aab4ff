"""From scores to probabilities."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from encoders.checkpoint.calibration import Calibration, fit_curve, fit_probability
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
    probabilities = calibration.probabilities(array(-1e9, 0, 0.5, 1e9), 6)
    assert (np.diff(probabilities) > 0).all()
    assert probabilities[2] == pytest.approx(0.5)


def test_the_learned_part_counts_as_far_as_the_query_is_familiar() -> None:
    """For unfamiliar words only the cosine ranks; the learned part's mean keeps probabilities comparable."""
    calibration = Calibration(10, 0.5, 2, -1, 3, learned_mean=-2)
    parts = array(0.5, 0.4), array(-8, 8), array(5, -5), array(1, 0)
    assert calibration.scores(*parts, familiarity=0.0).tolist() == [3.0, 2.0]
    assert calibration.scores(*parts, familiarity=0.5 ** (1 / 6)).tolist() == pytest.approx([0.5, 5.0])
    always = replace(calibration, trust_exponent=0.0)
    assert always.scores(*parts, familiarity=0.0).tolist() == calibration.scores(*parts).tolist()


def test_unfamiliar_words_have_their_own_curve() -> None:
    """In between, the curves are mixed by familiarity; without a second curve, the first applies."""
    calibration = Calibration(10, 0, slope=2, intercept=-1, unfamiliar=(1, -4))
    scores = array(3)
    assert calibration.probabilities(scores, 6)[0] == pytest.approx(1 / (1 + np.exp(-5)))
    assert calibration.probabilities(scores, 6, familiarity=0.0)[0] == pytest.approx(1 / (1 + np.exp(1)))
    assert calibration.probabilities(scores, 6, familiarity=0.25)[0] == pytest.approx(1 / (1 + np.exp(-0.5)))
    single = Calibration(10, 0, slope=2, intercept=-1)
    assert single.probabilities(scores, 6, familiarity=0.0)[0] == single.probabilities(scores, 6)[0]


def test_short_queries_have_a_curve_of_their_own() -> None:
    """Slope and intercept change with the log of the length, up to six tokens."""
    calibration = Calibration(10, 0, slope=2, intercept=-1, length_slope=1, length_intercept=-3)
    assert calibration.curve(1) == pytest.approx((2, -1))
    assert calibration.curve(4) == pytest.approx((2 + np.log(4), -1 - 3 * np.log(4)))
    slopes, intercepts = calibration.curve(np.array([1, 6, 7, 60]))
    assert slopes.tolist() == pytest.approx([2, *[2 + np.log(6)] * 3])
    assert intercepts.tolist() == pytest.approx([-1, *[-1 - 3 * np.log(6)] * 3])
    probabilities = calibration.probabilities(array(1.5, 1.5), np.array([1, 60]))
    assert probabilities[0] == calibration.probabilities(array(1.5), 1)[0] > probabilities[1]


def test_a_query_near_many_pictures_needs_a_higher_score() -> None:
    """What is near everything proves less by being near; the more so, here, the shorter the query."""
    calibration = Calibration(10, 0, 2, -1, usual_hubness=4, excess_slope=0.5, length_excess=-0.1)
    assert calibration.needs_query_hubness
    assert calibration.curve(1, query_hubness=7.0) == pytest.approx((2, -1 - 1.5))
    assert calibration.curve(4, query_hubness=7.0) == pytest.approx((2, -1 - 3 * (0.5 - 0.1 * np.log(4))))
    low, usual, high = (calibration.probabilities(array(1.5), 1, query_hubness=h)[0] for h in (-2.0, 4.0, 6.0))
    assert low == usual == calibration.probabilities(array(1.5), 1)[0] > high  # being near nothing proves nothing


def test_captions_of_a_picture_have_a_curve_of_their_own() -> None:
    """Without one, that of long sentences."""
    calibration = Calibration(10, 0, 2, -1, length_intercept=-1)
    assert calibration.caption_curve() == calibration.curve(6)
    assert replace(calibration, of_pictures=(0.5, -7)).caption_curve() == (0.5, -7)


def test_a_known_curve_by_length_and_hubness_is_recovered() -> None:
    """Outcomes drawn from a curve that changes with both give it back, whatever the weights."""
    rng = np.random.default_rng(0)
    lengths = rng.integers(1, 20, 400_000)
    scores = rng.normal(3, 2, len(lengths)) + lengths.clip(1, 6) / 3
    hubness = rng.normal(4, 1.5, len(lengths))
    known = Calibration(1, 0, 0.8, -4, 0, 0, 0, None, 0.5, -1, usual_hubness=3, excess_slope=0.7, length_excess=-0.2)
    probabilities = known.probabilities(scores.astype(np.float32), lengths, query_hubness=hubness)
    excess = np.asarray(known.excess(hubness))
    correct = rng.random(len(lengths)) < probabilities
    curve = fit_curve(scores, lengths, excess, correct, np.where(lengths > 5, 0.5, 2.0))
    assert curve == pytest.approx((0.8, -4, 0.5, -1, 0.7, -0.2), rel=0.1)


@pytest.mark.parametrize("lengths", [[7] * 8, [1, 1, 1, 9, 9, 9, 9, 9]])
def test_few_outcomes_give_a_curve_that_rises_for_every_length(lengths: list[int]) -> None:
    """Also where short queries alone would give a falling one, and where all have one length."""
    scores = np.array([1.0, 2.0, 3.0, 1.0, 2.0, 3.0, 4.0, 5.0])
    correct = np.array([True, False, False, False, False, True, True, True])
    curve = fit_curve(scores, np.array(lengths), np.zeros(8), correct, np.ones(8))
    assert np.isfinite(curve).all()
    calibration = Calibration(1, 0, **curve._asdict())
    assert min(calibration.curve(length)[0] for length in (1, 2, 6, 50)) > 0


def test_without_short_queries_a_word_keeps_the_curve_of_sentences() -> None:
    """A few captions of five tokens say little about one: the curve is not extrapolated wildly."""
    for seed in range(20):
        rng = np.random.default_rng(seed)
        lengths = np.repeat(np.where(np.arange(500) < 20, 5, 10), 100)
        correct = np.tile(np.arange(100) == 0, 500)
        scores = rng.normal(0, 1, len(lengths)) + 4 * correct
        curve = Calibration(
            1, 0, **fit_curve(scores, lengths, np.zeros(len(lengths)), correct, np.ones(len(lengths)))._asdict()
        )
        even = np.array([-curve.curve(9)[1] / curve.curve(9)[0]], np.float32)  # a sentence's probability is 1/2
        assert 0.15 < curve.probabilities(even, 1)[0] < 0.85


@pytest.mark.parametrize("lengths", [[7] * 6, [1, 1, 1, 9, 9, 9]])
def test_scores_that_mislead_give_a_flat_curve(lengths: list[int]) -> None:
    """Never a falling one, which would turn lists around."""
    scores, correct = np.array([6.0, 5.0, 4.0, 3.0, 2.0, 1.0]), np.array([False, False, False, True, True, True])
    curve = Calibration(1, 0, **fit_curve(scores, np.array(lengths), np.zeros(6), correct, np.ones(6))._asdict())
    assert min(curve.curve(length)[0] for length in (1, 3, 6)) > 0
