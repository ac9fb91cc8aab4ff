"""Candidates from both sides: the nearest vectors, and images that carry a keyword of the query."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from encoders import Floats
from indexer import VectorIndex
from indexer.catalog.records import Ids

from .keywords import Keywords
from .rerank import Candidate


@dataclass(frozen=True)
class Choose:
    """Ids to choose among, ascending: `allowed`, or None for all, without `hidden`."""

    allowed: Ids | None
    hidden: Ids


def retrieve(
    index: VectorIndex, vector: Floats, keywords: Keywords, choose: Choose, *, depth: int, count: int
) -> tuple[list[Candidate[int]], int]:
    """The nearest images, and those that carry the query's keywords.

    Args:
        index: the images' vectors.
        vector: the query's.
        keywords: what the words of names and captions say.
        choose: which images may be found.
        depth: how many of each side should be looked at more closely.
        count: how many nearest images there should be. Beyond `depth` they are looked up apart, for how many are asked
            of an approximate index changes which ones it finds, and the first must not depend on those behind them.

    Shape:
        - vector: (1, D).

    Returns:
        Candidates, best first, and how many of the first come from one side's best `depth`.
    """
    nearest = _search(index, vector, depth, choose)
    beyond = _search(index, vector, count, choose) if count > depth else {}
    carrying = _carrying(index, vector, keywords, depth, choose)
    merged = nearest | beyond | carrying
    evidence = keywords.evidence(np.fromiter(merged, np.int64)).tolist()
    candidates = [
        Candidate(i, cosine, evidence=weight, nearest=i in nearest or i not in carrying)
        for (i, cosine), weight in zip(merged.items(), evidence, strict=True)
    ]
    close = nearest.keys() | carrying.keys()
    first = sorted((c for c in candidates if c.key in close), key=lambda c: -c.score)
    return first + [c for c in candidates if c.key not in close], len(first)


def _carrying(index: VectorIndex, vector: Floats, keywords: Keywords, count: int, choose: Choose) -> dict[int, float]:
    """The images with the most evidence, and of those with equal evidence the nearest."""
    ids = keywords.images()
    if choose.allowed is not None:
        ids = np.intersect1d(ids, choose.allowed)
    ids = np.setdiff1d(ids, choose.hidden)
    if not len(ids):
        return {}
    evidence = keywords.evidence(ids)
    least = np.sort(evidence)[::-1][min(count, len(ids)) - 1]
    surely, perhaps = ids[evidence > least], ids[evidence == least]
    found = _search(index, vector, len(surely), Choose(surely, choose.hidden)) if len(surely) else {}
    return found | _search(index, vector, count - len(surely), Choose(perhaps, choose.hidden))


def _search(index: VectorIndex, vector: Floats, count: int, choose: Choose) -> dict[int, float]:
    """Cosines by id, the nearest first."""
    scores, ids = index.search(vector, count, allowed=choose.allowed, hidden=choose.hidden)
    return dict(zip(ids[0].tolist(), scores[0].tolist(), strict=True))
