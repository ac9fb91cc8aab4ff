"""Searches during indexing never fail, and every answer is consistent."""

from __future__ import annotations

import shutil
import sqlite3
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from indexer import Catalog, VectorIndex, index_paths
from indexer.catalog.captions import bank_ids
from indexer.catalog.embeddings import read_vectors
from indexer.catalog.images import hidden_image_ids, images_by_id
from indexer.catalog.records import Kind
from indexer.errors import CatalogError, CatalogWriteError
from search import SearchEngine
from search.errors import ImageNotFoundError
from tests.conftest import Paint
from tests.fakes import FakeEncoder


@pytest.fixture
def engine(indexed: Catalog, encoder: FakeEncoder) -> Iterator[SearchEngine]:
    """An engine over the five pictures."""
    with SearchEngine.open(indexed.directory, encoder=encoder) as opened:
        yield opened


def after_retrieval(monkeypatch: pytest.MonkeyPatch, change: Callable[[], object]) -> None:
    """Call a function once, after the vectors have been searched and before anything else is read."""
    search, left = VectorIndex.search, [change]

    def then(*args: Any, **options: Any) -> Any:
        result = search(*args, **options)
        if left:
            left.pop()()
        return result

    monkeypatch.setattr(VectorIndex, "search", then)


@pytest.mark.parametrize("rerank", [True, False])
def test_images_removed_after_retrieval_are_left_out(
    engine: SearchEngine, indexed: Catalog, folder: Path, monkeypatch: pytest.MonkeyPatch, *, rerank: bool
) -> None:
    """The next candidates take their places."""
    (folder / "red.png").unlink()
    after_retrieval(monkeypatch, lambda: index_paths(indexed, FakeEncoder(), [folder], prune=True))
    hits = engine.search_images("red", k=3, rerank=rerank).hits
    assert [hit.rank for hit in hits] == [1, 2, 3]
    assert folder / "red.png" not in [hit.path for hit in hits]


def test_images_hidden_after_retrieval_are_left_out(
    engine: SearchEngine, indexed: Catalog, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An image without a file has no path to show."""
    (folder / "blue.png").unlink()
    after_retrieval(monkeypatch, lambda: index_paths(indexed, FakeEncoder(), [folder]))
    hits = engine.similar_images(folder / "red.png", k=4).hits
    assert [(hit.rank, hit.path is None) for hit in hits] == [(1, False), (2, False), (3, False)]


def test_a_displaced_picture_is_not_shown(engine: SearchEngine, indexed: Catalog, folder: Path, paint: Paint) -> None:
    """After a stopped run over renamed files, it is hidden until it is found under its new name."""
    (folder / "red.txt").write_text("a crimson square")
    index_paths(indexed, FakeEncoder(), [folder])
    (folder / "red.png").rename(folder / "white.png")
    paint("red.png", "yellow")
    stop = threading.Event()

    def stop_after_red(phase: str, done: int, _total: int) -> None:
        if phase == "images" and done:
            stop.set()

    index_paths(indexed, FakeEncoder(), [folder], batch_size=1, progress=stop_after_red, stop=stop)
    assert len(hidden_image_ids(indexed)) == 1
    hits = engine.search_images("crimson", k=9).hits + engine.similar_images(folder / "white.png", k=9).hits
    assert len(hits) == 10
    assert not {hit.image_id for hit in hits} & set(hidden_image_ids(indexed).tolist())
    assert all(hit.path for hit in hits)


def test_all_candidates_may_be_removed(
    engine: SearchEngine, indexed: Catalog, folder: Path, paint: Paint, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The answer is empty."""
    for path in folder.iterdir():
        path.unlink()
    paint("other/yellow.png", "yellow")
    after_retrieval(monkeypatch, lambda: index_paths(indexed, FakeEncoder(), [folder], prune=True))
    assert engine.search_images("red").hits == ()


@pytest.mark.parametrize("rerank", [True, False])
def test_captions_removed_after_retrieval_are_left_out(
    indexed: Catalog, encoder: FakeEncoder, folder: Path, monkeypatch: pytest.MonkeyPatch, *, rerank: bool
) -> None:
    """Captions that came with the query remain."""
    monkeypatch.setattr("search.caption_search.FEW", 1)  # the bank stays out of it
    for colour in ("red", "blue"):
        (folder / f"{colour}.txt").write_text(f"{colour} thing\n")
    index_paths(indexed, encoder, [folder])
    (folder / "red.txt").unlink()
    with SearchEngine.open(indexed.directory, encoder=encoder) as engine:
        after_retrieval(monkeypatch, lambda: index_paths(indexed, FakeEncoder(), [folder]))
        hits = engine.find_captions(folder / "red.png", bank=["white"], rerank=rerank).hits
    assert sorted(hit.text for hit in hits) == ["blue thing", "white"]
    assert [hit.rank for hit in hits] == [1, 2]


def test_a_bank_that_cannot_be_stored_is_used_from_memory(
    engine: SearchEngine, encoder: FakeEncoder, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a locked or full catalog the answer is the same, and the next query embeds nothing."""
    lines = ("a red thing", "a blue thing")
    monkeypatch.setattr("search.caption_search.caption_bank", lambda: lines)

    def refuse(*_: object) -> None:
        raise CatalogWriteError("locked")

    with monkeypatch.context() as patch:
        patch.setattr("search.caption_search.add_bank", refuse)
        hits = engine.find_captions(folder / "red.png").hits
        assert [hit.text for hit in hits] == ["a red thing"]
        encoded = encoder.texts_encoded
        assert engine.find_captions(folder / "red.png").hits == hits
        assert encoder.texts_encoded == encoded
    assert len(bank_ids(engine.catalog)) == 0
    again = engine.find_captions(folder / "red.png").hits
    assert [hit.text for hit in again] == [hit.text for hit in hits]
    assert None not in [hit.caption_id for hit in again]


def test_a_damaged_catalog_is_not_mistaken_for_a_read_only_one(
    engine: SearchEngine, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Damage is reported when features are read, and when the bank is stored."""
    monkeypatch.setattr("search.caption_search.caption_bank", lambda: ("a red thing",))

    def refuse(*_: object) -> None:
        raise CatalogError("catalog.db is damaged")

    for function in ("add_bank", "stored_features"):
        with monkeypatch.context() as patch:
            patch.setattr(f"search.caption_search.{function}", refuse)
            with pytest.raises(CatalogError, match="damaged"):
                engine.find_captions(folder / "red.png")
    with monkeypatch.context() as patch:
        patch.setattr("search.image_query.stored_features", refuse)
        with pytest.raises(CatalogError, match="damaged"):
            engine.similar_images(folder / "red.png")


def test_a_damaged_page_of_the_catalog_is_reported(
    engine: SearchEngine, indexed: Catalog, encoder: FakeEncoder, folder: Path
) -> None:
    """The picture is not read from its file instead."""
    engine.similar_images(folder / "red.png")
    encoder.images_encoded = 0
    with sqlite3.connect(indexed.directory / "catalog.db") as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        (page,) = connection.execute("SELECT rootpage FROM sqlite_master WHERE name = 'embedding'").fetchone()
        (size,) = connection.execute("PRAGMA page_size").fetchone()
    connection.close()
    with (indexed.directory / "catalog.db").open("r+b") as file:
        file.seek((page - 1) * size)
        file.write(b"\xff" * size)
    with SearchEngine.open(indexed.directory, encoder=encoder) as opened, pytest.raises(CatalogError, match="damaged"):
        opened.similar_images(folder / "red.png")
    assert encoder.images_encoded == 0


class Searcher(threading.Thread):
    """Runs every kind of search in a loop, and records errors."""

    def __init__(self, directory: Path, picture: Path, stop: threading.Event) -> None:
        super().__init__()
        self.directory, self.picture, self.stop = directory, picture, stop
        self.answers, self.faults = 0, list[object]()
        self.seen: set[str] = set()

    def run(self) -> None:
        """Search until stopped, with one engine that stays open and one that is opened each time."""
        with SearchEngine.open(self.directory, encoder=FakeEncoder()) as engine:
            while not self.stop.is_set():
                try:
                    self.ask(engine)
                    with SearchEngine.open(self.directory, encoder=FakeEncoder()) as new:
                        self.ask(new)
                except Exception as exc:  # noqa: BLE001  whatever it is, it is a fault
                    self.faults.append(exc)

    def ask(self, engine: SearchEngine) -> None:
        """Run one search of each kind; every hit must be complete."""
        answer = engine.search_images("red", k=6, depth=4)
        for hits in (answer.hits, engine.similar_images(self.picture, k=6).hits):
            if [hit.rank for hit in hits] != list(range(1, len(hits) + 1)):
                self.faults.append(hits)
            if len({hit.image_id for hit in hits}) != len(hits):
                self.faults.append(hits)
            for hit in hits:
                record = images_by_id(engine.catalog, [hit.image_id]).get(hit.image_id)
                if hit.path is None or (record is not None and not record.width):
                    self.faults.append(hit)
                elif record is not None:
                    try:  # an image that the catalog knows has its states, from its first moment to its last
                        engine.similar_images(hit.image_id, k=1)
                    except ImageNotFoundError:
                        if images_by_id(engine.catalog, [hit.image_id]):
                            self.faults.append(hit)
                self.seen.add(hit.path.name if hit.path else "")
        captions = engine.find_captions(self.picture, k=6, depth=4)
        if not all(hit.text for hit in captions.hits):
            self.faults.append(captions)
        self.answers += 1


def test_searches_continue_while_pictures_change(
    catalog: Catalog, encoder: FakeEncoder, paint: Paint, folder: Path
) -> None:
    """Two processes search meanwhile, and every answer is consistent."""
    for name in ("red", "blue"):
        (folder / f"{name}.txt").write_text(f"a {name} thing\n")
    index_paths(catalog, encoder, [folder])
    stop = threading.Event()
    searchers = [Searcher(catalog.directory, folder / "red.png", stop) for _ in range(2)]
    for searcher in searchers:
        searcher.start()
    try:
        for turn in range(1, 100):
            for i in range(4):
                paint(f"come-{i}.png", ("red", "green")[turn % 2], seed=turn * 4 + i)
            (folder / "come-0.txt").write_text(f"red number {turn}\n")
            index_paths(catalog, encoder, [folder], batch_size=2)
            for i in range(1, 4):
                (folder / f"come-{i}.png").unlink()
            index_paths(catalog, encoder, [folder], prune=bool(turn % 3))
            if turn >= 6 and all(searcher.answers >= 6 for searcher in searchers):
                break
    finally:
        stop.set()
        for searcher in searchers:
            searcher.join()
    assert [searcher.faults for searcher in searchers] == [[], []]
    assert all(searcher.answers >= 6 for searcher in searchers)
    assert {"red.png", "come-0.png"} <= searchers[0].seen | searchers[1].seen


def test_images_committed_while_vectors_are_opened_are_found_once(
    indexed: Catalog, encoder: FakeEncoder, paint: Paint, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are in the vectors that were read, or in the tail, but not in both."""
    read, left = read_vectors, [True]

    def grows(catalog: Catalog, kind: Kind) -> Any:
        if left:
            left.clear()
            for i in range(3):
                paint(f"come-{i}.png", "red", seed=i + 1)
            index_paths(indexed, encoder, [folder])
        return read(catalog, kind)

    shutil.rmtree(indexed.directory / "vectors")
    with SearchEngine.open(indexed.directory, encoder=encoder) as engine:
        monkeypatch.setattr("indexer.vectors.index.read_vectors", grows)
        engine.similar_images(folder / "red.png")
        shutil.rmtree(indexed.directory / "vectors")
        hits = engine.similar_images(folder / "red.png", k=20).hits
    assert len({hit.image_id for hit in hits}) == len(hits) == 7
