"""How cosine, match logit, global match and hubness are combined into a score, and the score into a probability."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from ..features import Floats

Lengths = int | npt.NDArray[np.int64]
AnyFloats = npt.NDArray[np.floating]

LONG = 6
"""Tokens from which on all sentences have one curve."""
RIDGE = 10.0
"""Penalty of what changes with length and with hubness: as much evidence as about ten positives would give."""
FLATTEST = 1e-3
"""Smallest slope of a curve, in log-odds per standard deviation of scores: a falling one would turn lists around."""
TRUST = 6
"""Exponent of familiarity with a class channel: a single unfamiliar word is enough to mislead such a reranker."""


@dataclass(frozen=True)
class Calibration:
    """Weights and curves fitted on validation lists; stored in `model.json`.

    learned = match_weight · match logit + whole_weight · global match - hubness_weight · hubness of the candidate;
    score = similarity_weight · cosine + trust · learned + (1 - trust) · learned_mean;
    probability = sigmoid(slope · score + intercept - excess_slope · excess),
    where each of the three is linear in the log of the length (`slope` + `length_slope` · log length, …). Length is
    the number of the sentence's tokens, at most 6: single words have lower cosines than sentences. The excess is how
    far the sentence's own hubness is above `usual_hubness`: what is near many pictures proves less by being near. A
    sentence below it gains nothing, since `the` is near none. For the captions of a picture, `of_pictures` has slope
    and intercept.

    With a class channel the learned part is trusted as far as captions covered the query's words: trust =
    familiarity^`trust_exponent`, in [0, 1]. For words that no caption used, the order of retrieval stays, and slope and
    intercept are the `unfamiliar` ones; in between, both pairs are averaged, weighted by familiarity.
    """

    similarity_weight: float
    match_weight: float
    slope: float
    intercept: float
    hubness_weight: float = 0.0
    whole_weight: float = 0.0
    learned_mean: float = 0.0
    unfamiliar: tuple[float, float] | None = None
    length_slope: float = 0.0
    length_intercept: float = 0.0
    trust_exponent: float = TRUST
    usual_hubness: float = 0.0
    excess_slope: float = 0.0
    length_excess: float = 0.0
    of_pictures: tuple[float, float] | None = None

    def scores(
        self, similarities: Floats, logits: Floats, global_matches: Floats, hubness: Floats, familiarity: float = 1.0
    ) -> Floats:
        """Combine cosines, match logits, global matches and hubness, all (K,), into scores (K,)."""
        learned = self.match_weight * logits + self.whole_weight * global_matches - self.hubness_weight * hubness
        trust = familiarity**self.trust_exponent
        trusted = trust * learned + (1 - trust) * self.learned_mean
        return (self.similarity_weight * similarities + trusted).astype(np.float32)

    @property
    def needs_query_hubness(self) -> bool:
        """Whether the curve depends on the hubness of the query."""
        return abs(self.excess_slope) + abs(self.length_excess) > 0

    def probabilities(
        self, scores: Floats, lengths: Lengths, familiarity: float = 1.0, query_hubness: AnyFloats | float = -math.inf
    ) -> Floats:
        """Convert scores (…) of sentences, with their lengths in tokens, into probabilities (…) in [0, 1]."""
        return sigmoid(scores, self.curve(lengths, familiarity, query_hubness))

    def caption_curve(self) -> tuple[AnyFloats | float, AnyFloats | float]:
        """Return slope and intercept for the captions of a picture, which all have the same, and so their order."""
        return self.curve(LONG) if self.of_pictures is None else self.of_pictures

    def excess(self, query_hubness: AnyFloats | float) -> AnyFloats | float:
        """How far the hubness of queries is above the usual one; never less than 0."""
        return np.maximum(np.subtract(query_hubness, self.usual_hubness), 0.0)

    @property
    def describes(self) -> bool:
        """Whether the curve was fitted to judgements whether words describe a picture, single words included.

        Those that earlier versions fitted, to pictures and their own captions, do not depend on the length.
        """
        return abs(self.length_slope) + abs(self.length_intercept) > 1e-9

    def curve(
        self, lengths: Lengths, familiarity: float = 1.0, query_hubness: AnyFloats | float = -math.inf
    ) -> tuple[AnyFloats, AnyFloats]:
        """Return slope and intercept for sentences of some lengths in tokens, and words of the given familiarity.

        The intercept includes what is subtracted for the excess of the sentence's hubness.
        """
        log_lengths = _log_lengths(lengths)
        slope = self.slope + self.length_slope * log_lengths
        intercept = self.intercept + self.length_intercept * log_lengths
        intercept = intercept - (self.excess_slope + self.length_excess * log_lengths) * self.excess(query_hubness)
        if self.unfamiliar is None:
            return slope, intercept
        slope, intercept = (
            familiarity * familiar + (1 - familiarity) * unfamiliar
            for familiar, unfamiliar in zip((slope, intercept), self.unfamiliar, strict=True)
        )
        return slope, intercept


class Curve(NamedTuple):
    """The parameters of a probability curve by their names in `Calibration`."""

    slope: float
    intercept: float
    length_slope: float
    length_intercept: float
    excess_slope: float
    length_excess: float


def sigmoid(scores: Floats, curve: tuple[AnyFloats | float, AnyFloats | float]) -> Floats:
    """Convert scores (…) into probabilities (…) by slope and intercept, without overflow."""
    slope, intercept = curve
    return (1 / (1 + np.exp(-np.clip(slope * scores + intercept, -60, 60)))).astype(np.float32)


def fit_curve(
    scores: AnyFloats,
    lengths: npt.NDArray[np.int64],
    excesses: AnyFloats,
    correct: npt.NDArray[np.bool_],
    weights: AnyFloats,
) -> Curve:
    """Fit a curve that rises with the score, and whose coefficients change with the length of the sentence.

    A ridge keeps the weight of the excess and the changes small where few positives speak for them.

    Shape:
        - scores, lengths in tokens, excesses of the queries' hubness, correct, weights: (N,).
    """
    (score, mean, spread), (excess, mean_excess, excess_spread) = _standardised(scores), _standardised(excesses)
    logs = _log_lengths(lengths)
    middle, span = float(logs.mean()), math.log(LONG)
    length = (logs - middle) / span
    columns = [score, np.ones(len(score)), length, excess, length * excess, length * score]
    features = np.stack(columns, axis=1).astype(np.float64)
    ridge = np.array([0, 0, *[RIDGE] * 4])
    beta = _newton(features, correct, weights, ridge)
    shortest, longest = -middle / span, (math.log(LONG) - middle) / span
    if beta[0] + min(shortest * beta[5], longest * beta[5]) < FLATTEST:
        beta = np.append(_newton(features[:, :5], correct, weights, ridge[:5]), 0.0)
        beta[0] = max(beta[0], FLATTEST)
    slope, length_slope = _unstandardised(beta[0], beta[5], middle, span, spread)
    of_excess, length_excess = _unstandardised(beta[3], beta[4], middle, span, excess_spread)
    intercept = beta[1] - beta[2] * middle / span - mean * slope - mean_excess * of_excess
    length_intercept = beta[2] / span - mean * length_slope - mean_excess * length_excess
    return Curve(*map(float, (slope, intercept, length_slope, length_intercept, -of_excess, -length_excess)))


def _standardised(values: AnyFloats) -> tuple[AnyFloats, float, float]:
    """Subtract the mean and divide by the spread; return both as well."""
    mean, spread = float(values.mean()), float(values.std()) or 1.0
    return (values - mean) / spread, mean, spread


def _unstandardised(
    coefficient: float, by_length: float, middle: float, span: float, spread: float
) -> tuple[float, float]:
    """Convert a coefficient, and its change with the length, from standardised values to plain ones."""
    return (coefficient - by_length * middle / span) / spread, by_length / span / spread


def fit_probability(scores: npt.NDArray[np.floating], correct: npt.NDArray[np.bool_]) -> tuple[float, float]:
    """Fit slope and intercept of a logistic curve by Newton's method.

    Shape:
        - scores, correct: (N,).

    Source: Platt, "Probabilistic Outputs for Support Vector Machines", 1999, with his smoothed targets.
    """
    score, mean, spread = _standardised(scores)
    features = np.stack([score, np.ones(len(scores))], axis=1).astype(np.float64)
    beta = _newton(features, correct, np.ones(len(scores)))
    slope = beta[0] / spread
    return float(slope), float(beta[1] - slope * mean)


def _log_lengths(lengths: Lengths) -> AnyFloats:
    return np.log(np.clip(lengths, 1, LONG))


def _newton(
    features: npt.NDArray[np.float64],
    correct: npt.NDArray[np.bool_],
    weights: AnyFloats,
    ridge: npt.NDArray[np.floating] | None = None,
) -> npt.NDArray[np.float64]:
    """Fit the coefficients (F,) of a logistic regression over features (N, F), each with its ridge penalty (F,)."""
    positives = float((weights * correct).sum())
    high = (positives + 1) / (positives + 2)
    low = 1 / (float(weights.sum()) - positives + 2)
    target = np.where(correct, high, low)
    beta = np.zeros(features.shape[1])
    penalty = np.full(len(beta), 1e-6) + (0.0 if ridge is None else ridge)
    for _ in range(50):
        p = 1 / (1 + np.exp(-np.clip(features @ beta, -60, 60)))
        hessian = (features * (weights * p * (1 - p))[:, None]).T @ features + np.diag(penalty)
        step = np.linalg.solve(hessian, features.T @ (weights * (target - p)) - penalty * beta)
        beta += step
        if np.abs(step).max() < 1e-8:
            break
    return beta
