"""How cosine, match logit, global match and hubness are combined into a score, and the score into a probability."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ..features import Floats

TRUST = 6
"""Exponent of familiarity: a single unfamiliar word is enough to mislead the reranker."""


@dataclass(frozen=True)
class Calibration:
    """Weights and curves fitted on validation lists; stored in `model.json`.

    learned = match_weight · match logit + whole_weight · global match - hubness_weight · hubness of the candidate;
    score = similarity_weight · cosine + trust · learned + (1 - trust) · learned_mean;
    probability = sigmoid(slope · score + intercept).

    The learned part is trusted as far as captions covered the query's words: trust = familiarity⁶, in [0, 1]. For
    words that no caption used, the order of retrieval stays, and slope and intercept are the `unfamiliar` ones; in
    between, both pairs are averaged, weighted by familiarity.
    """

    similarity_weight: float
    match_weight: float
    slope: float
    intercept: float
    hubness_weight: float = 0.0
    whole_weight: float = 0.0
    learned_mean: float = 0.0
    unfamiliar: tuple[float, float] | None = None

    def scores(
        self, similarities: Floats, logits: Floats, global_matches: Floats, hubness: Floats, familiarity: float = 1.0
    ) -> Floats:
        """Combine cosines, match logits, global matches and hubness, all (K,), into scores (K,)."""
        learned = self.match_weight * logits + self.whole_weight * global_matches - self.hubness_weight * hubness
        trust = familiarity**TRUST
        trusted = trust * learned + (1 - trust) * self.learned_mean
        return (self.similarity_weight * similarities + trusted).astype(np.float32)

    def probabilities(self, scores: Floats, familiarity: float = 1.0) -> Floats:
        """Convert scores (K,) into probabilities (K,) in [0, 1]."""
        slope, intercept = self.curve(familiarity)
        return (1 / (1 + np.exp(-np.clip(slope * scores + intercept, -60, 60)))).astype(np.float32)

    def curve(self, familiarity: float = 1.0) -> tuple[float, float]:
        """Return slope and intercept for words of the given familiarity."""
        familiar, unfamiliar = (self.slope, self.intercept), self.unfamiliar or (self.slope, self.intercept)
        slope, intercept = (familiarity * f + (1 - familiarity) * u for f, u in zip(familiar, unfamiliar, strict=True))
        return slope, intercept


def fit_probability(scores: npt.NDArray[np.floating], correct: npt.NDArray[np.bool_]) -> tuple[float, float]:
    """Fit slope and intercept of a logistic curve by Newton's method.

    Shape:
        - scores, correct: (N,).

    Source: Platt, "Probabilistic Outputs for Support Vector Machines", 1999, with his smoothed targets.
    """
    positives = int(correct.sum())
    high = (positives + 1) / (positives + 2)
    low = 1 / (len(correct) - positives + 2)
    target = np.where(correct, high, low)
    mean, spread = float(scores.mean()), float(scores.std()) or 1.0
    x = np.stack([(scores - mean) / spread, np.ones(len(scores))], axis=1).astype(np.float64)
    beta = np.zeros(2)
    for _ in range(50):
        p = 1 / (1 + np.exp(-np.clip(x @ beta, -60, 60)))
        hessian = (x * (p * (1 - p))[:, None]).T @ x + 1e-6 * np.eye(2)
        step = np.linalg.solve(hessian, x.T @ (target - p))
        beta += step
        if np.abs(step).max() < 1e-8:
            break
    slope = beta[0] / spread
    return float(slope), float(beta[1] - slope * mean)
