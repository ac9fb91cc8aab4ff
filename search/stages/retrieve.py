"""Retrieval: the images with the nearest vectors, and those whose names, captions or annotations contain a keyword."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from encoders import Floats
from indexer import VectorIndex
from indexer.catalog.records import Ids

from .keywords import Keywords
from .rerank import Candidate


@dataclass(frozen=True)
class Selection:
    """The ids to search among, ascending: `allowed` (None for all) without `hidden`."""

    allowed: Ids | None
    hidden: Ids


def retrieve(
    index: VectorIndex, vector: Floats, keywords: Keywords, selection: Selection, *, depth: int, count: int
) -> tuple[list[Candidate[int]], int]:
    """Retrieve the nearest images, and those that match the query's keywords.

    Args:
        index: vectors of the images.
        vector: vector of the query.
        keywords: keywords of the query.
        selection: the images to search among.
        depth: number of images of each kind to rerank.
        count: number of nearest images. Those beyond `depth` are searched separately, because an approximate index
            finds other images for another number, and the first must not depend on how many follow.

    Shape:
        - vector: (1, D).

    Returns:
        Candidates, and the number of them to rerank; these come first, sorted by score.
    """
    nearest = _search(index, vector, depth, selection)
    beyond = _search(index, vector, count, selection) if count > depth else {}
    matching = _matching(index, vector, keywords, depth, selection)
    merged = nearest | beyond | matching
    evidence = keywords.evidence(np.fromiter(merged, np.int64)).tolist()
    candidates = [
        Candidate(i, cosine, evidence=weight, nearest=i in nearest or i not in matching)
        for (i, cosine), weight in zip(merged.items(), evidence, strict=True)
    ]
    close = nearest.keys() | matching.keys()
    first = sorted((c for c in candidates if c.key in close), key=lambda c: -c.score)
    return first + [c for c in candidates if c.key not in close], len(first)


def _matching(
    index: VectorIndex, vector: Floats, keywords: Keywords, count: int, selection: Selection
) -> dict[int, float]:
    """The `count` images with the most keyword evidence; among equals, the nearest."""
    ids = keywords.images()
    if selection.allowed is not None:
        ids = np.intersect1d(ids, selection.allowed)
    ids = np.setdiff1d(ids, selection.hidden)
    if not len(ids):
        return {}
    evidence = keywords.evidence(ids)
    lowest = np.sort(evidence)[::-1][min(count, len(ids)) - 1]
    above, tied = ids[evidence > lowest], ids[evidence == lowest]
    cosines = _search(index, vector, len(above), Selection(above, selection.hidden)) if len(above) else {}
    return cosines | _search(index, vector, count - len(above), Selection(tied, selection.hidden))


def _search(index: VectorIndex, vector: Floats, count: int, selection: Selection) -> dict[int, float]:
    """Cosines by id, the nearest first."""
    scores, ids = index.search(vector, count, allowed=selection.allowed, hidden=selection.hidden)
    return dict(zip(ids[0].tolist(), scores[0].tolist(), strict=True))
