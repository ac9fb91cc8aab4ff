"""Ranks and recall@K.

Ties count against the model: a correct item ranks behind every wrong one of the same score, so a model that scores
everything alike gets a recall of almost zero.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from .features import Floats

Ranks = npt.NDArray[np.int64]


class Recalls(NamedTuple):
    """Recall at 1, 5 and 10 in percent."""

    r1: float
    r5: float
    r10: float

    @classmethod
    def of(cls, ranks: Ranks) -> Recalls:
        """Compute the recalls of ranks (M,), counted from 0."""
        return cls(*(recall_at(ranks, k) for k in (1, 5, 10)))

    def rounded(self) -> Recalls:
        """Round each recall to two decimals."""
        return Recalls(*(round(value, 2) for value in self))


def recall_at(ranks: Ranks, k: int) -> float:
    """Return recall@k: the share of ranks below k, in percent."""
    return 100 * float((ranks < k).mean())


def text_to_image_ranks(similarities: Floats, image_of: Ranks) -> Ranks:
    """Rank each caption's image among all images.

    Shape:
        - similarities: (M, N), captions by images; image_of: (M,).

    Returns:
        Ranks (M,), 0 is best.
    """
    correct = similarities[np.arange(len(image_of)), image_of][:, None]
    return (similarities >= correct).sum(axis=1) - 1


def image_to_text_ranks(similarities: Floats, image_of: Ranks) -> Ranks:
    """Rank the best of each image's captions among all captions.

    Shape:
        - similarities: (M, N), captions by images; image_of: (M,), every image in it at least once.

    Returns:
        Ranks (N,), 0 is best: the number of other images' captions that score as high as the best correct one.
    """
    images = np.arange(similarities.shape[1])
    correct = image_of[:, None] == images[None]
    best = np.where(correct, similarities, -np.inf).max(axis=0)
    return ((similarities >= best[None]) & ~correct).sum(axis=0)


def first_correct(correct: npt.NDArray[np.bool_]) -> Ranks:
    """Rank the first correct item of each list; beyond any K if a list has none.

    Shape:
        - correct: (L, K), lists of candidates, best first.
    """
    return np.where(correct.any(axis=1), correct.argmax(axis=1), np.iinfo(np.int64).max)
