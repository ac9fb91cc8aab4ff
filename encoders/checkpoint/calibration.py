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
TRUST = 6
"""Exponent of familiarity with a class channel: a single unfamiliar word is enough to mislead such a reranker."""


@dataclass(frozen=True)
class Calibration:
    """Weights and curves fitted on validation lists; stored in `model.json`.

    learned = match_weight · match logit + whole_weight · global match - hubness_weight · hubness of the candidate;
    score = similarity_weight · cosine + trust · learned + (1 - trust) · learned_mean;
    probability = sigmoid((slope + length_slope · log length) · score + intercept + length_intercept · log length),
    where length is the number of the sentence's tokens, at most 6: single words have lower cosines than sentences.

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

    def scores(
        self, similarities: Floats, logits: Floats, global_matches: Floats, hubness: Floats, familiarity: float = 1.0
    ) -> Floats:
        """Combine cosines, match logits, global matches and hubness, all (K,), into scores (K,)."""
        learned = self.match_weight * logits + self.whole_weight * global_matches - self.hubness_weight * hubness
        trust = familiarity**self.trust_exponent
        trusted = trust * learned + (1 - trust) * self.learned_mean
        return (self.similarity_weight * similarities + trusted).astype(np.float32)

    def probabilities(self, scores: Floats, lengths: Lengths = 1, familiarity: float = 1.0) -> Floats:
        """Convert scores (K,) of one sentence or K sentences, with their lengths in tokens, into probabilities (K,)."""
        slope, intercept = self.curve(lengths, familiarity)
        return (1 / (1 + np.exp(-np.clip(slope * scores + intercept, -60, 60)))).astype(np.float32)

    def curve(self, lengths: Lengths = 1, familiarity: float = 1.0) -> tuple[AnyFloats, AnyFloats]:
        """Return slope and intercept for sentences of some lengths in tokens, and words of the given familiarity."""
        log_lengths = _log_lengths(lengths)
        slope = self.slope + self.length_slope * log_lengths
        intercept = self.intercept + self.length_intercept * log_lengths
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


def fit_curve(
    scores: AnyFloats, lengths: npt.NDArray[np.int64], correct: npt.NDArray[np.bool_], weights: AnyFloats
) -> Curve:
    """Fit a curve whose slope and intercept change with the length of the sentence.

    If that would make the slope negative for some length, only the intercept changes.

    Shape:
        - scores, lengths in tokens, correct, weights: (N,).
    """
    mean, spread = float(scores.mean()), float(scores.std()) or 1.0
    log_lengths = _log_lengths(lengths)
    middle = float(log_lengths.mean())
    score, length = (scores - mean) / spread, log_lengths - middle
    features = np.stack([score, np.ones(len(score)), length, score * length], axis=1).astype(np.float64)
    beta = _newton(features, correct, weights)
    if min((0 - middle) * beta[3], (math.log(LONG) - middle) * beta[3]) + beta[0] <= 0:
        beta = np.append(_newton(features[:, :3], correct, weights), 0.0)
    slope, length_slope = (beta[0] - beta[3] * middle) / spread, beta[3] / spread
    intercept, length_intercept = beta[1] - beta[2] * middle - mean * slope, beta[2] - mean * length_slope
    return Curve(*map(float, (slope, intercept, length_slope, length_intercept)))


def fit_probability(scores: npt.NDArray[np.floating], correct: npt.NDArray[np.bool_]) -> tuple[float, float]:
    """Fit slope and intercept of a logistic curve by Newton's method.

    Shape:
        - scores, correct: (N,).

    Source: Platt, "Probabilistic Outputs for Support Vector Machines", 1999, with his smoothed targets.
    """
    mean, spread = float(scores.mean()), float(scores.std()) or 1.0
    features = np.stack([(scores - mean) / spread, np.ones(len(scores))], axis=1).astype(np.float64)
    beta = _newton(features, correct, np.ones(len(scores)))
    slope = beta[0] / spread
    return float(slope), float(beta[1] - slope * mean)


def _log_lengths(lengths: Lengths) -> AnyFloats:
    return np.log(np.clip(lengths, 1, LONG))


def _newton(
    features: npt.NDArray[np.float64], correct: npt.NDArray[np.bool_], weights: AnyFloats
) -> npt.NDArray[np.float64]:
    """Fit the coefficients (F,) of a logistic regression over features (N, F)."""
    positives = float((weights * correct).sum())
    high = (positives + 1) / (positives + 2)
    low = 1 / (float(weights.sum()) - positives + 2)
    target = np.where(correct, high, low)
    beta = np.zeros(features.shape[1])
    for _ in range(50):
        p = 1 / (1 + np.exp(-np.clip(features @ beta, -60, 60)))
        hessian = (features * (weights * p * (1 - p))[:, None]).T @ features + 1e-6 * np.eye(len(beta))
        step = np.linalg.solve(hessian, features.T @ (weights * (target - p)))
        beta += step
        if np.abs(step).max() < 1e-8:
            break
    return beta
