"""Reranking: the top candidates of a retrieval put in the order of the cross-attention model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, TypeVar

import numpy as np

from encoders import Floats, MatchScores
from indexer.catalog.records import Ids

Key = TypeVar("Key")

COSINE_LOGITS = 10
"""What a cosine of 1 counts in log-odds where nothing is reranked; the base model's calibration says 10 to 16."""


@dataclass(frozen=True)
class Candidate(Generic[Key]):
    """A candidate with its scores; `score` orders it.

    `evidence` is what keywords say, in log-odds; `nearest`, whether its vector is among the nearest.
    """

    key: Key
    retrieval_score: float
    rerank_score: float | None = None
    match_probability: float | None = None
    evidence: float = 0.0
    nearest: bool = True

    @property
    def score(self) -> float:
        """The rerank score, or where there is none the retrieval score with the evidence."""
        return self.retrieval_score + self.evidence / COSINE_LOGITS if self.rerank_score is None else self.rerank_score


def retrieved(ids: Ids, scores: Floats) -> list[Candidate[int]]:
    """The outcome of one query's retrieval: ids (K,) and cosines (K,), best first."""
    return [Candidate(int(i), float(s)) for i, s in zip(ids, scores, strict=True)]


def reorder(candidates: list[Candidate[Key]], matches: MatchScores) -> list[Candidate[Key]]:
    """Put the first candidates in the order of their matches; those beyond keep their places.

    Shape:
        - matches: scores and probabilities (M,) of the first M candidates.
    """
    scores, probabilities = matches.scores.tolist(), matches.probabilities.tolist()
    first = []
    for i in np.argsort(-matches.scores, kind="stable").tolist():
        c = candidates[i]
        first.append(Candidate(c.key, c.retrieval_score, scores[i], probabilities[i], c.evidence, c.nearest))
    return first + candidates[len(scores) :]
