"""Reranking: sort the first candidates by the scores of the cross-attention model."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Generic, TypeVar

import numpy as np

from encoders import Encoder, Floats, ImageFeatures, MatchScores, TextFeatures

from .negate import evidence_against

Key = TypeVar("Key")

COSINE_LOGITS = 10
"""Log-odds per unit of cosine, to add evidence to retrieval scores; the base model's calibration gives 10 to 16."""


@dataclass(frozen=True)
class Candidate(Generic[Key]):
    """A candidate with its scores.

    `evidence` is that of keywords, in log-odds; `nearest` says whether its vector is among the nearest.
    """

    key: Key
    retrieval_score: float
    rerank_score: float | None = None
    match_probability: float | None = None
    evidence: float = 0.0
    nearest: bool = True

    @property
    def score(self) -> float:
        """The rerank score; without one, the retrieval score plus the evidence."""
        return self.retrieval_score + self.evidence / COSINE_LOGITS if self.rerank_score is None else self.rerank_score


def match(
    encoder: Encoder,
    images: ImageFeatures,
    evidence: Floats,
    sentence: TextFeatures,
    order: TextFeatures,
    excluded: TextFeatures,
) -> MatchScores:
    """Score images for a query.

    The probabilities are those of the sentence alone, because their calibration was fitted to sentences. Keywords raise
    them; each excluded word can only lower them, while it raises the scores of images that lack it.

    Args:
        encoder: the model.
        images: K candidates.
        evidence: log-odds of keywords.
        sentence: the sentence, from `Encoder.query`.
        order: what the scores are computed from: the sentence, or the sum of its vector and a picture's.
        excluded: W excluded words, from `Encoder.query`.

    Shape:
        - evidence: (K,).
    """
    against = evidence_against(encoder, excluded, images)
    matches = encoder.match_images(sentence, images)
    ordered = matches if order is sentence else encoder.match_images(order, images)
    scores = ordered.with_evidence(evidence + against.sum(axis=0)).scores
    return replace(matches.with_evidence(evidence + np.minimum(against, 0).sum(axis=0)), scores=scores)


def reorder(candidates: list[Candidate[Key]], matches: MatchScores) -> list[Candidate[Key]]:
    """Sort the first candidates by their match scores; ties keep their order, and so do the candidates beyond.

    Shape:
        - matches: scores and probabilities (M,) of the first M candidates.
    """
    scores, probabilities = matches.scores.tolist(), matches.probabilities.tolist()
    reranked = [
        replace(candidates[i], rerank_score=scores[i], match_probability=probabilities[i])
        for i in np.argsort(-matches.scores, kind="stable").tolist()
    ]
    return reranked + candidates[len(scores) :]
