"""Candidates from both sides: the nearest vectors, and images that carry a keyword of the query."""

from __future__ import annotations

import numpy as np

from encoders import Floats
from indexer import Ids, VectorIndex

from .keywords import Keywords
from .rerank import Candidate


def retrieve(
    index: VectorIndex, vector: Floats, keywords: Keywords, *, depth: int, count: int, allowed: Ids | None
) -> tuple[list[Candidate[int]], int]:
    """The nearest images, and those that carry the query's keywords.

    Args:
        index: the images' vectors.
        vector: the query's.
        keywords: what the words of names and captions say.
        depth: how many of each side should be looked at more closely.
        count: how many nearest images there should be, at least `depth`.
        allowed: ids to choose among; None for all.

    Shape:
        - vector: (1, D); allowed: (M,), ascending.

    Returns:
        Candidates, best first, and how many of the first come from one side's best `depth`.
    """
    nearest = _search(index, vector, count, allowed)
    carrying = _carrying(index, vector, keywords, depth, allowed)
    merged = nearest | carrying
    evidence = keywords.evidence(np.fromiter(merged, np.int64)).tolist()
    candidates = [
        Candidate(i, cosine, evidence=weight, nearest=i in nearest)
        for (i, cosine), weight in zip(merged.items(), evidence, strict=True)
    ]
    close = set(list(nearest)[:depth]) | carrying.keys()
    first = sorted((c for c in candidates if c.key in close), key=lambda c: -c.score)
    return first + [c for c in candidates if c.key not in close], len(first)


def _carrying(
    index: VectorIndex, vector: Floats, keywords: Keywords, count: int, allowed: Ids | None
) -> dict[int, float]:
    """The images with the most evidence, and of those with equal evidence the nearest."""
    ids = keywords.images()
    if allowed is not None:
        ids = np.intersect1d(ids, allowed)
    if not len(ids):
        return {}
    evidence = keywords.evidence(ids)
    least = np.sort(evidence)[::-1][min(count, len(ids)) - 1]
    surely, perhaps = ids[evidence > least], ids[evidence == least]
    found = _search(index, vector, len(surely), surely) if len(surely) else {}
    return found | _search(index, vector, count - len(surely), perhaps)


def _search(index: VectorIndex, vector: Floats, count: int, allowed: Ids | None) -> dict[int, float]:
    """Cosines by id, the nearest first."""
    scores, ids = index.search(vector, count, allowed=allowed)
    return dict(zip(ids[0].tolist(), scores[0].tolist(), strict=True))
