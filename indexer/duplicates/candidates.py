"""Find pairs of pictures that may be versions of one, from what the index stores: no file is opened.

Vectors find pictures with the same content, region grids those with the same composition,
turned and mirrored ones included.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np

from encoders import Floats
from encoders.progress import Progress

from ..catalog.catalog import Catalog
from ..catalog.embeddings import read_vectors, stored_features
from ..catalog.records import Kind
from ..vectors.index import VectorIndex

COSINE = 0.3
"""Minimum cosine of the vectors of candidates."""

AGREEMENT = 0.75
"""Minimum agreement of the regions of candidates, in any orientation.

Like `COSINE` measured for the base model, see docs/LOG.md: a lower one finds more and opens more files.
"""

NEIGHBOURS = 16
"""Nearest images compared with each image; larger groups are joined through their members."""

QUERIES, PAIRS = 1024, 256  # processed at a time, so that memory stays bounded


def candidate_pairs(catalog: Catalog, among: Collection[int], progress: Progress) -> list[tuple[int, int]]:
    """Return the pairs of images that may be versions of one picture, each once, sorted.

    Args:
        catalog: an open index.
        among: ids of the images to compare.
        progress: called with the phase `images`.
    """
    return _with_agreeing_regions(catalog, _neighbours(catalog, among, progress))


def agreements(ones: Floats, twos: Floats) -> Floats:
    """The mean cosine of the regions at the same positions of two pictures, with the second in eight orientations.

    Shape:
        - ones, twos: (K, P, C); P positions of a square grid.

    Returns:
        The agreements of K pairs, in [-1, 1]: upright, mirrored, and in the six orientations left (8, K).
    """
    side = round(ones.shape[1] ** 0.5)
    grid = np.arange(side**2).reshape(side, side)
    orders = [np.rot90(sided, turns).ravel() for turns in range(4) for sided in (grid, grid[:, ::-1])]
    ones, twos = _unit(ones), _unit(twos)
    rows = [np.einsum("kpc,kpc->k", ones, twos[:, order]) / side**2 for order in orders]
    return np.stack(rows).astype(np.float32)


def _unit(regions: Floats) -> Floats:
    return regions / np.maximum(np.linalg.norm(regions, axis=2, keepdims=True), np.float32(1e-8))


def _neighbours(catalog: Catalog, among: Collection[int], progress: Progress) -> list[tuple[int, int]]:
    """Return each pair of images whose vectors are near each other once."""
    ids, vectors = read_vectors(catalog, Kind.IMAGE)
    index = VectorIndex.open(catalog, Kind.IMAGE)
    pairs: set[tuple[int, int]] = set()
    for start in range(0, len(ids), QUERIES):
        cosines, neighbours = index.search(vectors[start : start + QUERIES], NEIGHBOURS + 1)
        for row, column in np.argwhere(cosines >= COSINE):
            one, two = int(ids[start + row]), int(neighbours[row, column])
            if one != two and one in among and two in among:
                pairs.add((min(one, two), max(one, two)))
        progress("images", min(start + QUERIES, len(ids)), len(ids))
    return sorted(pairs)


def _with_agreeing_regions(catalog: Catalog, pairs: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """Return the pairs whose stored regions agree."""
    agreeing: list[tuple[int, int]] = []
    for start in range(0, len(pairs), PAIRS):
        batch = pairs[start : start + PAIRS]
        ids, _, regions = stored_features(catalog, Kind.IMAGE, sorted({image for pair in batch for image in pair}))
        stored, grids = set(ids), np.asarray(regions, np.float32)
        batch = [pair for pair in batch if stored.issuperset(pair)]  # images may have been deleted meanwhile
        if not batch:
            continue
        if not grids.shape[1]:  # a model without regions: the pictures themselves will decide
            agreeing += batch
            continue
        ones, twos = (np.searchsorted(ids, side) for side in zip(*batch, strict=True))
        agree = np.any(agreements(grids[ones], grids[twos]) >= AGREEMENT, axis=0)
        agreeing += [pair for pair, agrees in zip(batch, agree, strict=True) if agrees]
    return agreeing
