"""Retrieval metrics: ranks, and recall at K.

Ties count against us: an own item ranks behind every other of the same score, so a model that gives everything one
score gets a recall of almost nothing.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from encoders import Floats

Ranks = npt.NDArray[np.int64]


def text_to_image_ranks(similarities: Floats, image_of: Ranks) -> Ranks:
    """The rank of each caption's own image among all images.

    Shape:
        - similarities: (M, N), captions by images; image_of: (M,).

    Returns:
        Ranks (M,), the best is 0.
    """
    own = similarities[np.arange(len(image_of)), image_of][:, None]
    return (similarities >= own).sum(axis=1) - 1


def image_to_text_ranks(similarities: Floats, image_of: Ranks) -> Ranks:
    """For each image the best rank of one of its own captions among all captions.

    Shape:
        - similarities: (M, N), captions by images; image_of: (M,), every image in it at least once.

    Returns:
        Ranks (N,), the best is 0: the number of foreign captions that score as high as the best own one, or higher.
    """
    images = np.arange(similarities.shape[1])
    own = image_of[:, None] == images[None]
    best = np.where(own, similarities, -np.inf).max(axis=0)
    return ((similarities >= best[None]) & ~own).sum(axis=0)


def recall_at(ranks: Ranks, k: int) -> float:
    """Share of ranks below k, in percent."""
    return 100 * float((ranks < k).mean())
