"""The vector index: a cache that may be lost, stale or damaged at any time."""

from __future__ import annotations

import hashlib
import json
import shutil
import sqlite3
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import faiss
import numpy as np
import pytest
from PIL import Image

from encoders import Floats
from encoders.durable import publish
from indexer import Catalog, VectorIndex, index_paths
from indexer.catalog.embeddings import read_vectors, vector_ids, vectors_of, write_embedding
from indexer.catalog.images import forget_images
from indexer.catalog.records import Kind
from indexer.vectors.files import stored_structure
from indexer.vectors.rebuild import refresh
from indexer.vectors.segment import gpu_count
from indexer.vectors.structure import build, structure_for
from tests.conftest import Paint
from tests.fakes import FakeEncoder


def file_of(catalog: Catalog, suffix: str) -> Path:
    """The only file with a suffix in the index of the images."""
    (path,) = (catalog.directory / "vectors").glob(f"image-*{suffix}")
    return path


def files_of(catalog: Catalog) -> dict[str, bytes]:
    """All files of the index of the images."""
    return {path.name: path.read_bytes() for path in (catalog.directory / "vectors").glob("image-*")}


def test_search_agrees_with_the_full_product(indexed: Catalog, encoder: FakeEncoder) -> None:
    """Exact search equals sorting the inner products with every vector."""
    ids, vectors = read_vectors(indexed, Kind.IMAGE)
    queries = encoder.encode_texts(["red", "a blue thing", "white"]).vectors
    scores, hits = VectorIndex.open(indexed, Kind.IMAGE).search(queries, 3)
    full = queries @ vectors.T
    np.testing.assert_allclose(scores, -np.sort(-full, axis=1)[:, :3], atol=1e-6)
    np.testing.assert_allclose(scores, np.take_along_axis(full, np.searchsorted(ids, hits), 1), atol=1e-6)


def test_fewer_hits_are_returned_if_there_are_fewer_images(indexed: Catalog, encoder: FakeEncoder) -> None:
    """Without padding."""
    scores, ids = VectorIndex.open(indexed, Kind.IMAGE).search(encoder.encode_texts(["red"]).vectors, 99)
    assert scores.shape == ids.shape == (1, 5)
    assert (ids > 0).all()


def test_only_allowed_ids_are_searched(indexed: Catalog, encoder: FakeEncoder) -> None:
    """There are k hits even if nearer images are not allowed."""
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


@pytest.mark.parametrize("damage", ["deleted", "truncated", "garbage", "empty", "a file of another index"])
@pytest.mark.parametrize("suffix", [".faiss", ".npy", ".json"])
def test_a_damaged_file_is_rebuilt(indexed: Catalog, encoder: FakeEncoder, damage: str, suffix: str) -> None:
    """Whichever file it is, searches give the same hits, and the files are replaced."""
    expected = VectorIndex.open(indexed, Kind.IMAGE).search(encoder.encode_texts(["red"]).vectors, 5)
    path = file_of(indexed, suffix)
    content = path.read_bytes()
    if damage == "deleted":
        path.unlink()
    elif damage == "a file of another index":
        path.unlink()
        other = faiss.IndexFlatIP(3)
        other.add(np.ones((5, 3), np.float32))
        faiss.write_index(other, str(path))
    else:
        path.write_bytes({"truncated": content[: len(content) // 2], "garbage": b"x" * 500, "empty": b""}[damage])
    scores, ids = VectorIndex.open(indexed, Kind.IMAGE).search(encoder.encode_texts(["red"]).vectors, 5)
    np.testing.assert_array_equal(ids, expected[1])
    np.testing.assert_array_equal(scores, expected[0])
    assert path.read_bytes() == content


@pytest.mark.parametrize("size", ["small", "large"])
@pytest.mark.parametrize("damage", ["reversed ids", "zeroed vectors", "shuffled vectors"])
def test_files_of_the_right_length_with_wrong_content_are_rebuilt(
    many: tuple[Catalog, Floats],
    built_once: Callable[[str, Floats], Any],
    monkeypatch: pytest.MonkeyPatch,
    damage: str,
    size: str,
) -> None:
    """Digests detect it, of the whole file or of a sample of blocks; the next run rebuilds the files."""
    catalog, vectors = many
    if size == "large":
        monkeypatch.setattr("indexer.vectors.files.WHOLE", 1000)
        monkeypatch.setattr("indexer.vectors.files.BLOCKS", 8)
    small(monkeypatch)
    monkeypatch.setattr("indexer.vectors.segment.build", built_once)
    refresh(catalog, threading.Event())
    sound = file_of(catalog, ".faiss").stat().st_size
    if damage == "reversed ids":
        np.save(file_of(catalog, ".npy"), np.load(file_of(catalog, ".npy"))[::-1].copy())
    else:
        wrong = np.zeros_like(vectors) if damage == "zeroed vectors" else vectors[::-1]
        faiss.write_index(built_once("HNSW", wrong), str(file_of(catalog, ".faiss")))
        with file_of(catalog, ".faiss").open("rb+") as file:
            file.truncate(sound)
    assert VectorIndex.open(catalog, Kind.IMAGE).search(vectors[:9], 1)[1][:, 0].tolist() == [*range(1, 10)]
    assert not VectorIndex.is_current(catalog, Kind.IMAGE)
    refresh(catalog, threading.Event())
    assert VectorIndex.is_current(catalog, Kind.IMAGE)
    assert VectorIndex.open(catalog, Kind.IMAGE).structure.structure == "HNSW"


def test_files_without_digests_are_searched_until_the_next_run(
    many: tuple[Catalog, Floats], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Earlier versions wrote such files; the next indexing run rebuilds them."""
    catalog, vectors = many
    small(monkeypatch)
    refresh(catalog, threading.Event())
    path = file_of(catalog, ".json")
    description = json.loads(path.read_text())
    assert len(description.pop("digests")) == 2
    path.write_text(json.dumps(description))
    index = VectorIndex.open(catalog, Kind.IMAGE)
    assert index.structure.structure == "HNSW"
    assert index.search(vectors[:1], 1)[1].tolist() == [[1]]
    refresh(catalog, threading.Event())
    assert len(json.loads(path.read_text())["digests"]) == 2


def test_every_file_is_flushed_before_it_is_renamed(indexed: Catalog, monkeypatch: pytest.MonkeyPatch) -> None:
    """After a power cut there are the earlier files or the new ones; the description is written last."""
    published: list[str] = []

    def note(temporary: Path, target: Path) -> None:
        published.append(target.suffix)
        publish(temporary, target)

    monkeypatch.setattr("indexer.vectors.files.publish", note)
    VectorIndex.rebuild(indexed, Kind.IMAGE)
    assert published == [".faiss", ".npy", ".json"]


def test_changes_since_the_build_are_searched(
    indexed: Catalog, encoder: FakeEncoder, folder: Path, paint: Paint, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A few changes do not rebuild the files; both an index in use and a newly opened one see them."""
    monkeypatch.setattr("indexer.vectors.index.TAIL", 0.9)
    files = files_of(indexed)
    held = VectorIndex.open(indexed, Kind.IMAGE)
    yellow = encoder.encode_images(encoder.prepare(Image.open(paint("yellow.png", "yellow")))[None]).vectors
    (folder / "red.png").unlink()
    index_paths(indexed, encoder, [folder], prune=True)
    ids, vectors = read_vectors(indexed, Kind.IMAGE)
    assert (len(ids), ids.min(), ids.max()) == (5, 1, 6)
    assert files_of(indexed) == files
    assert held.search(yellow, 9)[1].shape == (1, 5), "what is searched does not change under a search"
    for index in (held.refreshed(), VectorIndex.open(indexed, Kind.IMAGE)):
        assert len(index) == 5
        scores, found = index.search(yellow, 9)
        np.testing.assert_array_equal(np.sort(found[0]), ids)
        np.testing.assert_allclose(scores[0], np.sort(vectors @ yellow[0])[::-1], atol=1e-6)
        assert index.refreshed() is index
    assert len(held) == 5
    again = held.refreshed()
    (folder / "green.png").unlink()
    index_paths(indexed, encoder, [folder], prune=True)
    assert len(again.refreshed()) == 4


def test_current_files_are_not_rebuilt(indexed: Catalog, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run without changes only checks them, and rebuilds a truncated file."""
    built: list[Kind] = []
    rebuild = VectorIndex.rebuild

    def note(catalog: Catalog, kind: Kind) -> VectorIndex:
        built.append(kind)
        return rebuild(catalog, kind)

    monkeypatch.setattr(VectorIndex, "rebuild", note)
    refresh(indexed, threading.Event())
    assert not built
    path = file_of(indexed, ".faiss")
    path.write_bytes(path.read_bytes()[:-1])
    refresh(indexed, threading.Event())
    assert built == [Kind.IMAGE]


def test_many_changes_rebuild_the_files(indexed: Catalog, encoder: FakeEncoder, folder: Path, paint: Paint) -> None:
    """An index in use then opens the new files."""
    index, files = VectorIndex.open(indexed, Kind.IMAGE), files_of(indexed)
    paint("yellow.png", "yellow")
    index_paths(indexed, encoder, [folder])
    assert files_of(indexed) != files
    assert len(files_of(indexed)) == len(files), "the old files are gone"
    refreshed = index.refreshed()
    assert (len(refreshed), refreshed.changed) == (6, 0.0)


def backup(catalog: Catalog) -> Path:
    """Copy the catalog's database."""
    file = catalog.directory / "catalog.db"
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return Path(shutil.copy(file, catalog.directory / "backup.db"))


def restore(catalog: Catalog, copy: Path) -> Catalog:
    """Restore the catalog from a copy."""
    catalog.close()
    for name in ("catalog.db-wal", "catalog.db-shm"):
        (catalog.directory / name).unlink(missing_ok=True)
    shutil.copy(copy, catalog.directory / "catalog.db")
    return Catalog.open(catalog.directory)


def test_a_restored_catalog_is_not_mixed_with_newer_files(
    indexed: Catalog, encoder: FakeEncoder, folder: Path, paint: Paint
) -> None:
    """The description contains the number of changes."""
    copy = backup(indexed)
    paint("yellow.png", "yellow")
    index_paths(indexed, encoder, [folder])
    with restore(indexed, copy) as restored:
        assert len(VectorIndex.open(restored, Kind.IMAGE)) == 5


@pytest.mark.parametrize("updated", [True, False])
@pytest.mark.parametrize("removed", [(), (120,), tuple(range(101, 120))])
def test_a_restored_catalog_that_has_grown_is_not_mixed_with_newer_files(
    catalog: Catalog, removed: tuple[int, ...], *, updated: bool
) -> None:
    """Ids are reused, and count, changes and highest id are equal, but the newest vectors differ."""
    vectors = unit(np.random.default_rng(0).normal(size=(140, 16)))
    catalog.use_encoder("random", "a" * 64, 16)
    add(catalog, 1, vectors[:100])
    copy = backup(catalog)
    add(catalog, 101, vectors[100:120])
    refresh(catalog, threading.Event())
    with restore(catalog, copy) as restored:
        add(restored, 101, vectors[120:])
        remove(restored, removed)
        if updated:
            refresh(restored, threading.Event())
        ids = np.setdiff1d(np.arange(101, 121), removed)
        hits = VectorIndex.open(restored, Kind.IMAGE).search(vectors[ids + 19], 1)[1]
        np.testing.assert_array_equal(hits[:, 0], ids)


def test_files_of_an_earlier_version_are_rebuilt(indexed: Catalog) -> None:
    """Their description has no digests of the newest vectors."""
    path = file_of(indexed, ".json")
    text = path.read_text()
    for newest in (None, [1, 2], "x", {"one": "ab"}):
        description = json.loads(text) | {"newest": newest}
        path.write_text(json.dumps({key: value for key, value in description.items() if value is not None}))
        assert stored_structure(indexed, Kind.IMAGE) is None
        refresh(indexed, threading.Event())
        assert path.read_text() == text


@pytest.mark.parametrize("damage", ["another model", "too deep"])
def test_a_damaged_description_is_rebuilt(indexed: Catalog, encoder: FakeEncoder, damage: str) -> None:
    """A fingerprint that differs from the model's at its end only, and JSON that Python cannot parse."""
    path = file_of(indexed, ".json")
    text = path.read_text()
    other = text.replace(encoder.fingerprint, encoder.fingerprint[:-1] + "0")
    path.write_text(other if damage == "another model" else "[" * 100_000)
    assert not VectorIndex.is_current(indexed, Kind.IMAGE)
    assert len(VectorIndex.open(indexed, Kind.IMAGE)) == 5
    assert path.read_text() == text


def test_removing_the_newest_images_does_not_rebuild_the_files(many: tuple[Catalog, Floats]) -> None:
    """The digests of the remaining ones still identify the catalog."""
    catalog, _ = many
    refresh(catalog, threading.Event())
    files = files_of(catalog)
    remove(catalog, range(2950, 3001))
    refresh(catalog, threading.Event())
    assert files_of(catalog) == files
    assert len(VectorIndex.open(catalog, Kind.IMAGE)) == 2949


def test_no_temporary_file_remains(indexed: Catalog) -> None:
    """Files are written under another name and renamed; leftovers of a killed run are deleted."""
    (indexed.directory / "vectors" / f"{file_of(indexed, '.json').stem}.123.tmp").write_text("cut short")
    VectorIndex.rebuild(indexed, Kind.IMAGE)
    assert sorted(p.suffix for p in (indexed.directory / "vectors").iterdir()) == sorted(
        [".faiss", ".json", ".npy"] * 2
    )


def test_searches_work_if_the_files_cannot_be_written(
    indexed: Catalog, encoder: FakeEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a read-only disk, only the cache is missing."""

    def refuse(*_: object) -> None:
        raise RuntimeError("could not open for writing: read-only file system")

    monkeypatch.setattr(faiss, "write_index", refuse)
    index = VectorIndex.rebuild(indexed, Kind.IMAGE)
    assert len(index.search(encoder.encode_texts(["red"]).vectors, 5)[1][0]) == 5


# --- the structures ---


@pytest.fixture(scope="module")
def many_stored(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Floats]:
    """A closed catalog with 3,000 random vectors (16,) of images, and 100 of captions."""
    directory = tmp_path_factory.mktemp("many") / "index"
    vectors = unit(np.random.default_rng(0).normal(size=(3100, 16)))
    with Catalog.open(directory, create=True) as catalog:
        catalog.use_encoder("random", "a" * 64, 16)
        with catalog.transaction() as connection:
            for i, vector in enumerate(vectors):
                kind, item = (Kind.IMAGE, i + 1) if i < 3000 else (Kind.CAPTION, i - 2999)
                write_embedding(connection, 1, kind, item, vector, vector[None])
        return directory, read_vectors(catalog, Kind.IMAGE)[1]


@pytest.fixture
def many(many_stored: tuple[Path, Floats], tmp_path: Path) -> Iterator[tuple[Catalog, Floats]]:
    """A copy of that catalog, which the test may change, and the vectors of its images."""
    directory, vectors = many_stored
    shutil.copytree(directory, tmp_path / "many")
    with Catalog.open(tmp_path / "many") as opened:
        yield opened, vectors.copy()


@pytest.fixture(scope="module")
def built_once() -> Callable[[str, Floats], Any]:
    """Cache `build`, so that each structure is trained on the same vectors only once."""
    built: dict[tuple[str, bytes], Any] = {}

    def copy(name: str, vectors: Floats) -> Any:
        key = name, hashlib.sha256(vectors.tobytes()).digest()
        if key not in built:
            built[key] = build(name, vectors)
        return faiss.clone_index(built[key])

    return copy


def add(catalog: Catalog, first: int, vectors: Floats) -> None:
    """Store vectors of images with consecutive ids in one transaction."""
    with catalog.transaction() as connection:
        for i, vector in enumerate(vectors, first):
            write_embedding(connection, 1, Kind.IMAGE, i, vector, vector[None])


def remove(catalog: Catalog, ids: Iterable[int]) -> None:
    """Remove vectors of images."""
    with catalog.transaction() as connection:
        forget_images(connection, list(ids))


def unit(rows: Any) -> Floats:
    """Random rows of length 1."""
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


@pytest.mark.parametrize("structure", ["HNSW", "IVF-SQ", "IVF-PQ"])
def test_every_structure_reaches_the_target_recall(
    many: tuple[Catalog, Floats],
    built_once: Callable[[str, Floats], Any],
    structure: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Among few allowed ids it is exact; hidden and removed ones are never found."""
    catalog, vectors = many
    monkeypatch.setattr("indexer.vectors.index.structure_for", lambda *_, **__: structure)
    monkeypatch.setattr("indexer.vectors.segment.build", built_once)
    monkeypatch.setattr("indexer.vectors.index.EXACT_UNTIL", 500)
    monkeypatch.setattr("indexer.vectors.segment.EXACT_UNTIL", 500)
    built = VectorIndex.rebuild(catalog, Kind.IMAGE, target=0.95)
    queries = unit(np.random.default_rng(1).normal(size=(20, 16)))
    for index in (built, VectorIndex.open(catalog, Kind.IMAGE)):
        assert index.structure.structure == structure
        assert index.structure.recall is not None
        assert index.structure.recall >= 0.95
        assert index.structure.breadth > 0
        assert measured_recall(index, queries, vectors, np.arange(1, 3001)) >= 0.9
        for step in (10, 2):  # a tenth is few, a half is many
            allowed = np.arange(step, 3001, step)
            recall = measured_recall(index, queries, vectors, allowed, allowed=allowed)
            assert recall == 1.0 if step == 10 and structure != "IVF-PQ" else recall >= 0.9
        hidden = np.arange(1, 2901)
        assert measured_recall(index, queries, vectors, np.arange(2901, 3001), hidden=hidden) >= 0.9
        assert not np.isin(index.search(queries, 200, hidden=hidden)[1], hidden).any()
    assert stored_structure(catalog, Kind.IMAGE) == built.structure


def measured_recall(index: VectorIndex, queries: Floats, vectors: Floats, among: Any, **options: Any) -> float:
    """Recall at 10 among some ids; scores must equal the cosines to half precision."""
    scores, ids = index.search(queries, 10, **options)
    assert scores.shape == ids.shape == (len(queries), 10)
    np.testing.assert_allclose(scores, np.einsum("bd,bkd->bk", queries, vectors[ids - 1]), atol=2e-3)
    assert (np.diff(scores, axis=1) <= 0).all()
    truth = among[np.argsort(-(queries @ vectors[among - 1].T), axis=1)[:, :10]]
    return float(np.mean([len(np.intersect1d(a, b)) / 10 for a, b in zip(ids, truth, strict=True)]))


def test_a_search_never_waits_for_a_graph(many: tuple[Catalog, Floats], monkeypatch: pytest.MonkeyPatch) -> None:
    """Without files, every vector is compared, and none are written; `refresh` builds the structure for the size."""
    catalog, vectors = many
    monkeypatch.setattr("indexer.vectors.index.EXACT_UNTIL", 500)
    monkeypatch.setattr("indexer.vectors.structure.EXACT_UNTIL", 500)
    opened = VectorIndex.open(catalog, Kind.IMAGE)
    assert (opened.structure.structure, len(opened)) == ("exact", 3000)
    assert measured_recall(opened, vectors[:5], vectors, np.arange(1, 3001)) == 1.0
    assert stored_structure(catalog, Kind.IMAGE) is None
    refresh(catalog, threading.Event())
    assert opened.refreshed() is opened
    assert VectorIndex.open(catalog, Kind.IMAGE).structure.structure == "HNSW"


def test_the_structure_follows_from_the_size_and_the_device() -> None:
    """Exact search for few vectors, then HNSW on the CPU or IVF-SQ on a GPU, then IVF-PQ."""
    assert [structure_for(n, gpu=False) for n in (0, 50_000, 50_001, 4_000_000, 4_000_001)] == [
        *["exact"] * 2,
        *["HNSW"] * 2,
        "IVF-PQ",
    ]
    assert [structure_for(n, gpu=True) for n in (50_000, 50_001, 4_000_001)] == ["exact", "IVF-SQ", "IVF-PQ"]


@pytest.mark.parametrize("structure", ["exact", "IVF-SQ", "IVF-PQ", "HNSW"])
def test_gpus_search_under_a_lock(
    many: tuple[Catalog, Floats],
    built_once: Callable[[str, Floats], Any],
    structure: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A stand-in replaces the GPUs, over which the vectors are sharded."""
    catalog, vectors = many
    asked: list[int] = []

    class OnGpu:
        def __init__(self, index: Any) -> None:
            self.index = index

        def search(self, x: Any, k: int, params: Any) -> Any:
            asked.append(k)
            return self.index.search(x, k, params=params)

    def to_gpus(index: Any, co: Any) -> OnGpu:
        assert co.shard
        return OnGpu(index)

    monkeypatch.setattr(faiss, "get_num_gpus", lambda: 2)
    monkeypatch.setattr(faiss, "StandardGpuResources", object, raising=False)
    monkeypatch.setattr(faiss, "GpuMultipleClonerOptions", SimpleNamespace, raising=False)
    monkeypatch.setattr(faiss, "index_cpu_to_all_gpus", to_gpus, raising=False)
    monkeypatch.setattr("indexer.vectors.index.structure_for", lambda *_, **__: structure)
    monkeypatch.setattr("indexer.vectors.segment.build", built_once)
    assert gpu_count() == 2
    index = VectorIndex.rebuild(catalog, Kind.IMAGE)
    asked.clear()
    index.search(vectors[:1], 10)
    assert bool(asked) == (structure != "HNSW")
    asked.clear()
    index.search(vectors[:1], 10, allowed=np.arange(1, 50))
    assert not asked, "a filtered search stays on the CPU"


def test_without_a_gpu_the_cpu_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """Both with FAISS's GPU package and with its CPU package, which has no GPU functions."""
    monkeypatch.setattr(faiss, "get_num_gpus", lambda: 0)
    assert gpu_count() == 0
    monkeypatch.delattr(faiss, "StandardGpuResources", raising=False)
    assert gpu_count() == 0


# --- while the catalog grows ---


def commit_before_vectors_are_read(monkeypatch: pytest.MonkeyPatch, catalog: Catalog, vectors: Floats) -> None:
    """Make another connection commit once, between the reading of the stamp and of the vectors."""
    read, left = read_vectors, [True]

    def grows(snapshot: Catalog, kind: Kind) -> Any:
        if left:
            left.clear()
            add(catalog, 3001, vectors)
        return read(snapshot, kind)

    monkeypatch.setattr("indexer.vectors.index.read_vectors", grows)


def test_a_batch_committed_while_vectors_are_read_is_found_once(
    many: tuple[Catalog, Floats], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stamp and vectors are of one snapshot: later items are in the tail only."""
    catalog, vectors = many
    commit_before_vectors_are_read(monkeypatch, catalog, -vectors[:32])
    index = VectorIndex.open(catalog, Kind.IMAGE)
    assert len(index) == index.stamp.count == 3000
    add(catalog, 3033, -vectors[32:40])
    for _ in range(2):
        index = index.refreshed()
        assert len(index) == index.stamp.count == 3040
        assert len(set(index.search(-vectors[:1], 3040)[1][0].tolist())) == 3040


def test_a_file_built_while_a_batch_is_committed_can_be_read(
    many: tuple[Catalog, Floats], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It has as many vectors as its stamp says."""
    catalog, vectors = many
    small(monkeypatch)
    commit_before_vectors_are_read(monkeypatch, catalog, -vectors[:10])
    VectorIndex.rebuild(catalog, Kind.IMAGE)
    opened = VectorIndex.open(catalog, Kind.IMAGE)
    assert (opened.structure.structure, len(opened)) == ("HNSW", 3010)


def test_inconsistent_files_are_rebuilt(many: tuple[Catalog, Floats], monkeypatch: pytest.MonkeyPatch) -> None:
    """Earlier versions could write a file with more vectors than its stamp says."""
    catalog, _ = many
    small(monkeypatch)
    refresh(catalog, threading.Event())
    path = file_of(catalog, ".json")
    description = json.loads(path.read_text())
    description["stamp"]["count"] -= 10
    path.write_text(json.dumps(description))
    assert VectorIndex.open(catalog, Kind.IMAGE).structure.structure == "exact"
    refresh(catalog, threading.Event())
    assert VectorIndex.open(catalog, Kind.IMAGE).structure.structure == "HNSW"


def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Build a graph from 500 vectors on."""
    for module in ("index", "structure", "segment"):
        monkeypatch.setattr(f"indexer.vectors.{module}.EXACT_UNTIL", 500)


def test_an_open_index_reads_only_new_vectors(catalog: Catalog, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many were added; an index that is being searched does not change."""
    monkeypatch.setattr("indexer.vectors.segment.BLOCK", 256)
    vectors = unit(np.random.default_rng(0).normal(size=(1600, 16)))
    catalog.use_encoder("random", "a" * 64, 16)
    read: list[int] = []

    def note(found: Any) -> Any:
        read.append(len(found))
        return found

    index = VectorIndex.open(catalog, Kind.IMAGE)
    monkeypatch.setattr("indexer.vectors.index.vector_ids", lambda *a, **o: note(vector_ids(*a, **o)))
    monkeypatch.setattr("indexer.vectors.index.vectors_of", lambda *a, **o: note(vectors_of(*a, **o)))
    monkeypatch.setattr("indexer.vectors.index.read_vectors", None)
    built: list[int] = []

    def count_rows(structure: str, rows: Floats) -> Any:
        built.append(len(rows))
        return build(structure, rows)

    monkeypatch.setattr("indexer.vectors.segment.build", count_rows)
    held: list[tuple[VectorIndex, Any]] = []
    for start in range(0, 1600, 16):
        add(catalog, start + 1, vectors[start : start + 16])
        index = index.refreshed()
        held.append((index, index.search(vectors[:3], 9)))
    assert set(read) == {16}
    assert max(built) <= 256
    assert sum(built) <= 1600 * 6, "a vector is copied each time that its block doubles"
    for count, (then, (scores, ids)) in enumerate(held, 1):
        again = then.search(vectors[:3], 9)
        np.testing.assert_array_equal(again[1], ids)
        assert len(then) == 16 * count
        np.testing.assert_allclose(scores, -np.sort(-vectors[:3] @ vectors[: 16 * count].T)[:, :9], atol=2e-3)


def test_added_items_can_be_removed_again(catalog: Catalog, monkeypatch: pytest.MonkeyPatch) -> None:
    """From the main segment and the tail, while others are added; one that returns is found once."""
    monkeypatch.setattr("indexer.vectors.index.TAIL", 9.0)
    vectors = unit(np.random.default_rng(0).normal(size=(200, 16)))
    catalog.use_encoder("random", "a" * 64, 16)
    add(catalog, 1, vectors[:50])
    index = VectorIndex.open(catalog, Kind.IMAGE)
    for start, gone in ((50, [3]), (100, [60, 100]), (150, [200, 199, 7])):
        add(catalog, start + 1, vectors[start : start + 50])
        remove(catalog, gone)
        index = index.refreshed()
        assert len(index) == index.stamp.count
        np.testing.assert_array_equal(
            np.sort(index.search(vectors[:1], 999)[1][0]), read_vectors(catalog, Kind.IMAGE)[0]
        )
    add(catalog, 199, vectors[198:])
    index = index.refreshed()
    np.testing.assert_array_equal(np.sort(index.search(vectors[:1], 999)[1][0]), read_vectors(catalog, Kind.IMAGE)[0])
    hidden, allowed = np.array([50, 120, 198]), np.array([1, 3, 50, 51, 60, 120, 121, 198, 200])
    hits = index.search(vectors[:1], 99, allowed=allowed, hidden=hidden)[1]
    np.testing.assert_array_equal(np.sort(hits[0]), [1, 51, 121, 200])
