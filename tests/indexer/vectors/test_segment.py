"""Segments: which items a search may return, and with which parameters FAISS is called."""

from __future__ import annotations

from typing import Any

import faiss
import numpy as np
import pytest

from encoders import Floats
from indexer.catalog.records import Ids, Stamp
from indexer.vectors.segment import Segment, append_block
from indexer.vectors.structure import IndexStructure, build

COUNT, NOTHING = 400, np.empty(0, np.int64)
STRUCTURES = ["exact", "HNSW", "IVF-SQ", "IVF-PQ"]


@pytest.fixture(scope="module")
def vectors() -> Floats:
    """400 random vectors (16,) of length 1."""
    rows = np.random.default_rng(0).normal(size=(COUNT, 16)).astype(np.float32)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


@pytest.fixture(scope="module")
def segments(vectors: Floats) -> dict[str, Segment]:
    """A segment of each structure over the items with even ids."""
    ids = 2 * np.arange(1, COUNT + 1)
    return {name: Segment(build(name, vectors), ids, IndexStructure(name, 8), Stamp()) for name in STRUCTURES}


class Recording:
    """A stand-in for a FAISS index that records its searches."""

    def __init__(self, index: Any) -> None:
        self.index, self.asked = index, list[tuple[int, Any]]()

    def __getattr__(self, name: str) -> Any:
        return getattr(self.index, name)

    def search(self, x: Floats, k: int, params: Any) -> Any:
        """Record the search, then run it."""
        self.asked.append((k, params))
        return self.index.search(x, k, params=params)


@pytest.mark.parametrize("few", [True, False])
@pytest.mark.parametrize("structure", STRUCTURES)
def test_excluded_items_are_not_found(
    segments: dict[str, Segment], vectors: Floats, monkeypatch: pytest.MonkeyPatch, structure: str, *, few: bool
) -> None:
    """With and without a filter, in every branch; unknown ids have no effect."""
    monkeypatch.setattr("indexer.vectors.segment.EXACT_UNTIL", 1000 if few else 1)
    segment, ids = segments[structure], segments[structure].ids

    def found(allowed: Ids | None, left_out: Ids) -> set[int]:
        rows = segment.search(
            vectors[:1], COUNT, lambda items: vectors[items // 2 - 1], allowed=allowed, excluded=left_out
        )[1]
        return set(rows[0].tolist()) - {-1}

    best = ids[:3]
    allowed = np.array([2, 3, 4, 6, 8, 9, 400, 800, 900])
    for left_out in (best, np.array([1, 2, 3, 4, 6, 7, 999])):
        assert not found(None, left_out) & set(best.tolist())
        assert found(allowed, left_out) <= {8, 400, 800}
        if few or structure == "exact":
            assert found(None, left_out) == set(ids[3:].tolist())
            assert found(allowed, left_out) == {8, 400, 800}
    assert 2 in found(allowed, NOTHING)
    assert found(best, best) == set()


@pytest.mark.parametrize(
    ("structure", "left_out", "few", "expected"),
    [
        ("HNSW", 0, False, 50),  # without a filter as wide as it was tuned
        ("HNSW", 0, True, 50),
        ("HNSW", 200, False, 100),  # half are left out: twice as wide
        ("HNSW", 300, False, 200),
        ("IVF-SQ", 0, False, 50),
        ("IVF-SQ", 100, False, 67),
        ("IVF-SQ", 300, False, 64),  # there are no more lists
        ("IVF-SQ", 0, True, 64),
        ("IVF-SQ", 300, True, 64),
        ("IVF-PQ", 100, False, 67),
    ],
)
def test_breadth_grows_as_fewer_items_are_allowed(
    *,
    segments: dict[str, Segment],
    vectors: Floats,
    monkeypatch: pytest.MonkeyPatch,
    structure: str,
    left_out: int,
    few: bool,
    expected: int,
) -> None:
    """Among few items, every list is searched."""
    monkeypatch.setattr("indexer.vectors.segment.EXACT_UNTIL", COUNT - left_out - (not few))
    ids = np.arange(COUNT)
    segment = Segment(segments[structure].index, ids, IndexStructure(structure, 50), Stamp())
    segment.index = index = Recording(segment.index)
    segment.search(vectors[:1], 5, lambda items: vectors[items], allowed=None, excluded=ids[:left_out])
    ((k, parameters),) = index.asked
    most = segment.index.nlist if structure != "HNSW" else COUNT
    assert (parameters.efSearch if structure == "HNSW" else parameters.nprobe) == min(expected, most)
    assert k == (50 if structure == "IVF-PQ" else 5)


def test_few_allowed_items_are_compared_one_by_one(
    segments: dict[str, Segment], vectors: Floats, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Up to `EXACT_UNTIL` of them; beyond, the graph is searched."""
    ids = np.arange(COUNT)
    for limit, walked in ((99, 1), (100, 0)):
        monkeypatch.setattr("indexer.vectors.segment.EXACT_UNTIL", limit)
        segment = Segment(segments["HNSW"].index, ids, IndexStructure("HNSW", 50), Stamp())
        segment.index = index = Recording(segment.index)
        hits = segment.search(vectors[:1], 100, lambda items: vectors[items], allowed=ids[:100], excluded=NOTHING)[1]
        assert len(index.asked) == walked
        if not walked:
            assert sorted(hits[0].tolist()) == list(range(100))


def test_efsearch_is_at_least_k(segments: dict[str, Segment], vectors: Floats) -> None:
    """HNSW finds no more than efSearch."""
    segment = Segment(segments["HNSW"].index, np.arange(COUNT), IndexStructure("HNSW", 5), Stamp())
    segment.index = index = Recording(segment.index)
    segment.search(vectors[:1], 30, lambda items: vectors[items], allowed=None, excluded=NOTHING)
    assert index.asked[0][1].efSearch == 30


def test_compressed_hits_are_ranked_by_their_stored_vectors(segments: dict[str, Segment], vectors: Floats) -> None:
    """Of ten times k candidates; the scores are cosines, and an item itself comes first."""
    scores, ids = segments["IVF-PQ"].search(
        vectors[:5], 3, lambda items: vectors[items // 2 - 1], allowed=None, excluded=NOTHING
    )
    assert ids[:, 0].tolist() == [2, 4, 6, 8, 10]
    np.testing.assert_allclose(scores, np.einsum("bd,bkd->bk", vectors[:5], vectors[ids // 2 - 1]), atol=1e-6)
    assert (np.diff(scores, axis=1) <= 0).all()


def test_a_block_is_merged_until_the_previous_one_is_twice_its_size(
    vectors: Floats, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A merged block has at most `BLOCK` vectors."""
    monkeypatch.setattr("indexer.vectors.segment.BLOCK", 64)

    def block(first: int, count: int) -> Segment:
        return Segment.block(np.arange(first, first + count), vectors[first : first + count], Stamp())

    sizes = {
        (20, 10): [20, 10],
        (19, 10): [29],
        (32, 32): [64],
        (33, 32): [33, 32],
    }
    for (last, more), expected in sizes.items():
        blocks = append_block((block(0, last),), block(last, more))
        assert [len(each.ids) for each in blocks] == expected
        held = np.concatenate([each.index.reconstruct_n(0, len(each.ids)) for each in blocks])
        np.testing.assert_array_equal(held, vectors[: last + more])


def test_the_installed_faiss_has_the_parameters_we_set() -> None:
    """Setting an unknown one would have no effect."""
    assert faiss.SearchParametersHNSW(efSearch=7).efSearch == 7
    assert faiss.SearchParametersIVF(nprobe=7).nprobe == 7
