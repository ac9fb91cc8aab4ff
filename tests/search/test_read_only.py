"""Searching an index that cannot be written, and leaving it exactly as it is."""

from __future__ import annotations

import os
import shutil
import sqlite3
import stat
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing
from multiprocessing.connection import Connection
from pathlib import Path

import pytest
from PIL import Image

from indexer import Catalog, VectorIndex, index_paths
from indexer.catalog.captions import add_bank
from indexer.catalog.contents import catalog_stats
from indexer.catalog.records import Kind
from indexer.errors import CatalogError
from indexer.ingest.lock import indexing_lock
from search import SearchEngine, caption_search
from tests.fakes import COLOURS, FakeEncoder
from tests.indexer.ingest.killing import FORKS, VERSION_1

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="there are no such permissions")
NOBODY = 65534
BANK = ("a red thing", "a blue thing")


@pytest.fixture
def shared() -> Iterator[Path]:
    """A folder that every user may enter, with two pictures."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    for colour in ("red", "blue"):
        Image.new("RGB", (40, 40), COLOURS[colour]).save(folder / f"{colour}.png")
    yield folder
    for path in folder.rglob("*"):
        path.chmod(path.stat().st_mode | stat.S_IRWXU)
    shutil.rmtree(folder)


def protect(index: Path) -> None:
    """Remove all write permissions."""
    for path in sorted(index.rglob("*"), reverse=True):
        path.chmod(0o555 if path.is_dir() else 0o444)
    index.chmod(0o555)


def snapshot(index: Path) -> dict[str, bytes]:
    """The contents of every file of an index."""
    return {str(path.relative_to(index)): path.read_bytes() for path in sorted(index.rglob("*")) if path.is_file()}


def guest(work: Callable[[Connection, Path], None], pipe: Connection, index: Path) -> None:
    """In a child process: call a function as a user without write permission."""
    # the guest may not be able to read the real bank
    pytest.MonkeyPatch().setattr(caption_search, "caption_bank", lambda: BANK)
    if os.getuid() == 0:
        with tempfile.TemporaryDirectory() as scratch:  # loads all modules; they may lie there too
            Catalog.open(Path(scratch), create=True).close()
            names("red", Path(scratch))
        os.setgid(NOBODY)
        os.setuid(NOBODY)
    try:
        work(pipe, index)
    except Exception as exc:
        pipe.send(exc)
        raise


def ask_guest(work: Callable[[Connection, Path], None], index: Path) -> Connection:
    """Start a guest; its results come through the pipe."""
    receiver, sender = FORKS.Pipe()
    FORKS.Process(target=guest, args=(work, sender, index), daemon=True).start()
    sender.close()
    return receiver


def opened(index: Path) -> SearchEngine:
    """An engine with the fake model."""
    return SearchEngine.open(index, encoder=FakeEncoder())


def names(text: str, index: Path) -> list[str]:
    """The file names of the hits, in a newly opened catalog."""
    with opened(index) as searched:
        return [hit.path.name for hit in searched.search_images(text).hits if hit.path]


def use(pipe: Connection, index: Path) -> None:
    """Run every kind of search, then try to write."""
    results: list[object] = [names("a blue thing", index)]
    with opened(index) as searched:
        results.append(len(searched.similar_images(index.parent / "red.png").hits))
        results.append([hit.text for hit in searched.find_captions(Image.new("RGB", (9, 9), "red")).hits])
        VectorIndex.rebuild(searched.catalog, Kind.IMAGE)
        searched.catalog.check()
        results.append(catalog_stats(searched.catalog).images)
        results.append(refused(lambda: index_paths(searched.catalog, FakeEncoder(), [index.parent])))
        results.append(refused(lambda: add_bank(searched.catalog, BANK, FakeEncoder().encode_texts(BANK))))
    results.append(refused(lambda: take(index)))
    pipe.send(results)


def take(index: Path) -> None:
    """Hold the lock for a moment."""
    with indexing_lock(index):
        pass


def refused(work: Callable[[], object]) -> str:
    """The message of the error that a call raises."""
    try:
        work()
    except CatalogError as exc:
        return str(exc)
    return "not refused"


@pytest.mark.parametrize("left", ["closed", "killed", "killed and copied"])
def test_an_index_that_cannot_be_written_is_searched(shared: Path, left: str) -> None:
    """After a complete run, and after a killed one that left SQLite's log, with or without its index."""
    index = shared / "index"
    with Catalog.open(shared / "live", create=True) as catalog:
        index_paths(catalog, FakeEncoder(), [shared])
        if left != "closed":
            shutil.copytree(shared / "live", index)
            assert (index / "catalog.db-wal").stat().st_size > 0
    if left == "closed":
        shutil.move(shared / "live", index)
    elif left == "killed and copied":
        (index / "catalog.db-shm").unlink()
    protect(index)
    contents = snapshot(index)
    results = ask_guest(use, index).recv()
    assert results[:4] == [["blue.png", "red.png"], 1, [BANK[0]], 2]
    for sentence in results[4:6]:
        assert "is read-only: it can be searched, but not changed" in sentence
    assert "cannot be written" in results[6]
    assert snapshot(index) == contents


def follow(pipe: Connection, index: Path) -> None:
    """Search each time the owner asks for it."""
    with opened(index) as searched:
        while True:
            pipe.send([hit.path.name for hit in searched.search_images("a green thing").hits if hit.path])
            if pipe.recv() == "done":
                return


def test_a_guest_sees_what_the_owner_adds(shared: Path) -> None:
    """While the owner has the catalog open, and afterwards: the file is not opened as immutable."""
    index = shared / "index"
    with Catalog.open(index, create=True) as catalog:
        index_paths(catalog, FakeEncoder(), [shared])
    protect(index)
    pipe = ask_guest(follow, index)
    assert sorted(pipe.recv()) == ["blue.png", "red.png"]
    for path in (index, *index.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)  # root needs none of this
    with Catalog.open(index) as catalog:
        Image.new("RGB", (40, 40), COLOURS["green"]).save(shared / "green.png")
        index_paths(catalog, FakeEncoder(), [shared])
        pipe.send("again")
        assert pipe.recv()[0] == "green.png"
    pipe.send("again")
    assert pipe.recv()[0] == "green.png"
    pipe.send("done")


def open_alone(pipe: Connection, index: Path) -> None:
    """Open the index; send the error message, if any."""
    pipe.send(refused(lambda: Catalog.open(index, create=True)))


def test_a_read_only_catalog_is_neither_upgraded_nor_created(shared: Path) -> None:
    """Both are errors that say so."""
    index = shared / "index"
    index.mkdir()
    with closing(sqlite3.connect(index / "catalog.db")) as connection:
        connection.executescript(VERSION_1.read_text(encoding="utf-8"))
        connection.execute("PRAGMA user_version = 1")
    protect(index)
    assert "has an older version and must be upgraded" in ask_guest(open_alone, index).recv()
    index.chmod(0o755)
    (index / "catalog.db").unlink()
    index.chmod(0o555)
    assert f"cannot make an index in {index}: nothing can be written there" in ask_guest(open_alone, index).recv()


def test_a_read_only_file_in_a_writable_folder_is_searched(shared: Path) -> None:
    """SQLite creates its files beside it, and deletes them again."""
    index = shared / "index"
    with Catalog.open(index, create=True) as catalog:
        index_paths(catalog, FakeEncoder(), [shared])
    (index / "catalog.db").chmod(0o444)
    index.chmod(0o777)
    results = ask_guest(use, index).recv()
    assert results[:4] == [["blue.png", "red.png"], 1, [BANK[0]], 2]
    assert "is read-only" in results[4]
