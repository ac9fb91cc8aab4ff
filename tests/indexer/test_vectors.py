"""The FAISS index: a cache that may be lost, stale or damaged at any time."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import faiss
import numpy as np
import pytest

from indexer import Catalog, Kind, VectorIndex, gpu_count, index_paths
from tests.conftest import Paint
from tests.fakes import FakeEncoder


def file_of(catalog: Catalog) -> Path:
    """The one FAISS file of the images."""
    (path,) = (catalog.directory / "vectors").glob("image-*.faiss")
    return path


def test_search_agrees_with_the_full_product(indexed: Catalog, encoder: FakeEncoder) -> None:
    """Exact search is the inner product with every vector, best first."""
    ids, vectors = indexed.vectors(Kind.IMAGE)
    queries = encoder.encode_texts(["red", "a blue thing", "white"]).vectors
    scores, found = VectorIndex.open(indexed, Kind.IMAGE).search(queries, 3)
    full = queries @ vectors.T
    np.testing.assert_allclose(scores, -np.sort(-full, axis=1)[:, :3], atol=1e-6)
    np.testing.assert_allclose(scores, np.take_along_axis(full, np.searchsorted(ids, found), 1), atol=1e-6)


def test_fewer_hits_come_back_where_there_are_fewer(indexed: Catalog, encoder: FakeEncoder) -> None:
    """Asking for more than the number of images gives them all, and no filler."""
    scores, ids = VectorIndex.open(indexed, Kind.IMAGE).search(encoder.encode_texts(["red"]).vectors, 99)
    assert scores.shape == ids.shape == (1, 5)
    assert (ids > 0).all()


def test_allowed_ids_alone_are_searched(indexed: Catalog, encoder: FakeEncoder) -> None:
    """A filter narrows the search itself, so k hits come back although the best are not allowed."""
    index = VectorIndex.open(indexed, Kind.IMAGE)
    query = encoder.encode_texts(["red"]).vectors
    _, all_ids = index.search(query, 5)
    allowed = np.sort(all_ids[0, 3:])
    scores, ids = index.search(query, 2, allowed=allowed)
    np.testing.assert_array_equal(np.sort(ids[0]), allowed)
    assert scores[0, 0] >= scores[0, 1]
    for nothing in (np.array([], np.int64), np.array([12345], np.int64)):
        scores, ids = index.search(query, 2, allowed=nothing)
        assert ids.shape == (1, 0)


@pytest.mark.parametrize("damage", ["deleted", "truncated", "garbage", "empty", "a folder of another index"])
def test_a_damaged_file_is_made_anew(indexed: Catalog, encoder: FakeEncoder, damage: str) -> None:
    """Whatever happens to the file, the catalog gives the same index again, and a sound file."""
    expected = VectorIndex.open(indexed, Kind.IMAGE).search(encoder.encode_texts(["red"]).vectors, 5)
    path = file_of(indexed)
    whole = path.read_bytes()
    if damage == "deleted":
        path.unlink()
    elif damage == "a folder of another index":
        other = faiss.IndexIDMap(faiss.IndexFlatIP(3))
        other.add_with_ids(np.ones((5, 3), np.float32), np.arange(1, 6))
        faiss.write_index(other, str(path))
    else:
        path.write_bytes({"truncated": whole[:100], "garbage": b"x" * 500, "empty": b""}[damage])
    scores, ids = VectorIndex.open(indexed, Kind.IMAGE).search(encoder.encode_texts(["red"]).vectors, 5)
    np.testing.assert_array_equal(ids, expected[1])
    np.testing.assert_array_equal(scores, expected[0])
    assert path.read_bytes() == whole


def test_a_stale_file_is_caught_up(indexed: Catalog, encoder: FakeEncoder, folder: Path, paint: Paint) -> None:
    """A file from before the last run is recognised, and no image is missing from the answers."""
    old = file_of(indexed).read_bytes()
    paint("yellow.png", "yellow")
    index_paths(indexed, encoder, [folder])
    file_of(indexed).write_bytes(old)
    index = VectorIndex.open(indexed, Kind.IMAGE)
    assert len(index) == 6
    assert file_of(indexed).read_bytes() != old


def test_no_temporary_file_remains(indexed: Catalog) -> None:
    """Files are written under another name and renamed."""
    VectorIndex.rebuild(indexed, Kind.IMAGE)
    assert [p.suffix for p in (indexed.directory / "vectors").iterdir()] == [".faiss"] * 2


def test_an_index_that_cannot_be_written_still_serves(
    indexed: Catalog, encoder: FakeEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A read-only disk costs the cache, not the answer."""

    def refuse(*_: object) -> None:
        raise RuntimeError("could not open for writing: read-only file system")

    monkeypatch.setattr(faiss, "write_index", refuse)
    index = VectorIndex.rebuild(indexed, Kind.IMAGE)
    assert len(index.search(encoder.encode_texts(["red"]).vectors, 5)[1][0]) == 5


def test_where_there_is_a_gpu_it_searches_under_a_lock(
    indexed: Catalog, encoder: FakeEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The GPU is chosen when FAISS counts one; a stand-in takes its place here, as no GPU is at hand."""
    moved: list[Any] = []

    def to_gpu(_resources: object, device: int, flat: Any) -> Any:
        moved.append(device)
        return SimpleNamespace(search=flat.search)

    monkeypatch.setattr(faiss, "get_num_gpus", lambda: 1)
    monkeypatch.setattr(faiss, "StandardGpuResources", object, raising=False)
    monkeypatch.setattr(faiss, "index_cpu_to_gpu", to_gpu, raising=False)
    assert gpu_count() == 1
    index = VectorIndex.open(indexed, Kind.IMAGE)
    assert moved == [0]
    assert index.search(encoder.encode_texts(["red"]).vectors, 2)[1].shape == (1, 2)


def test_without_a_gpu_the_cpu_serves(monkeypatch: pytest.MonkeyPatch) -> None:
    """The GPU package counts none here; the CPU package has no GPU functions at all."""
    monkeypatch.setattr(faiss, "get_num_gpus", lambda: 0)
    assert gpu_count() == 0
    monkeypatch.delattr(faiss, "StandardGpuResources", raising=False)
    assert gpu_count() == 0
