"""Tuning the search parameter of a structure for a target recall."""

from __future__ import annotations

import itertools

import faiss
import numpy as np
import pytest

from encoders import Floats
from indexer.vectors.structure import RECALL_AT, IndexStructure, Rows, tune

COUNT = 500
ENOUGH = {"HNSW": 56, "IVF-SQ": 8}


@pytest.fixture(scope="module")
def vectors() -> Floats:
    """500 random vectors (8,) of length 1."""
    rows = np.random.default_rng(0).normal(size=(COUNT, 8)).astype(np.float32)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


@pytest.mark.parametrize("structure", ["HNSW", "IVF-SQ"])
def test_the_smallest_sufficient_breadth_is_chosen(vectors: Floats, structure: str) -> None:
    """A recall equal to the target is sufficient; the reported recall is that of the chosen breadth."""
    tried: list[int] = []

    def search(asked: IndexStructure, queries: Floats) -> Rows:
        """Find five of ten from a certain breadth on, and four below it."""
        tried.append(asked.breadth)
        truth = faiss.knn(queries, vectors, RECALL_AT, faiss.METRIC_INNER_PRODUCT)[1].astype(np.int64)
        truth[:, 5 if asked.breadth >= ENOUGH[structure] else 4 :] = -1
        return truth

    chosen = tune(structure, search, vectors, [vectors[:20]], 0.5)
    assert chosen.recall == 0.5
    assert tried == sorted(set(tried))
    assert tried[-1] == chosen.breadth >= ENOUGH[structure] > tried[-2]
    assert chosen.breadth <= 1.5 * ENOUGH[structure]
    assert tried[0] == (RECALL_AT if structure == "HNSW" else 1)


@pytest.mark.parametrize(("structure", "most"), [("HNSW", 2048), ("IVF-SQ", 64)])
def test_the_largest_breadth_is_chosen_if_none_is_sufficient(vectors: Floats, structure: str, most: int) -> None:
    """With its recall; apart from rounding, each breadth is at most about 1.5 times the one before."""
    tried: list[int] = []

    def search(asked: IndexStructure, queries: Floats) -> Rows:
        tried.append(asked.breadth)
        return np.full((len(queries), RECALL_AT), -1, np.int64)

    assert tune(structure, search, vectors, [vectors[:5]], 0.5) == IndexStructure(structure, most, 0.0)
    assert tried[-1] == most
    assert all(later <= 1.5 * earlier + 1 for earlier, later in itertools.pairwise(tried))


def test_the_lowest_recall_of_the_query_samples_counts(vectors: Floats) -> None:
    """A high recall for one kind of query does not make up for another."""

    def search(asked: IndexStructure, queries: Floats) -> Rows:
        truth = faiss.knn(queries, vectors, RECALL_AT, faiss.METRIC_INNER_PRODUCT)[1].astype(np.int64)
        return np.where((len(queries) == 7) & (asked.breadth < 100), -1, truth)

    easy, hard = vectors[:20], vectors[20:27]
    assert tune("HNSW", search, vectors, [easy], 0.9).breadth == RECALL_AT
    for samples in ([easy, hard], [hard, easy]):
        assert tune("HNSW", search, vectors, samples, 0.9).breadth >= 100
