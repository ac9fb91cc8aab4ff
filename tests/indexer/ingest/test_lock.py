"""Only one process may index at a time."""

from __future__ import annotations

import os
import signal
import time
from multiprocessing.connection import Connection
from multiprocessing.synchronize import Barrier
from pathlib import Path

import numpy as np
import pytest

from encoders import Pixels
from encoders.features import ImageFeatures
from indexer import Catalog, index_paths
from indexer.catalog.contents import catalog_stats
from indexer.catalog.images import images_by_id
from indexer.errors import CatalogError, IndexBusyError
from indexer.ingest.lock import indexing_lock
from tests.conftest import Paint
from tests.fakes import FakeEncoder
from tests.indexer.ingest.killing import FORKS


class Waiting(FakeEncoder):
    """A model that signals when it is called, and never returns."""

    def __init__(self, asked: Connection) -> None:
        super().__init__()
        self.asked = asked

    def encode_images(self, pixels: Pixels) -> ImageFeatures:
        """Wait to be killed."""
        self.asked.send(len(pixels))
        time.sleep(600)
        return super().encode_images(pixels)


def index_for_ever(asked: Connection, index: Path, folder: Path) -> None:
    """In a child process: start indexing, and block in the first batch."""
    with Catalog.open(index, create=True) as catalog:
        index_paths(catalog, Waiting(asked), [folder])


def test_a_second_indexer_is_refused_until_the_first_is_gone(
    indexed: Catalog, encoder: FakeEncoder, folder: Path, paint: Paint
) -> None:
    """The error names the first process; when that is killed, the lock is free."""
    paint("yellow.png", "yellow")
    receiver, sender = FORKS.Pipe()
    first = FORKS.Process(target=index_for_ever, args=(sender, indexed.directory, folder))
    first.start()
    try:
        assert receiver.recv() == 1
        sentence = rf"is being indexed by process {first.pid}; wait for it, or stop it$"
        with pytest.raises(IndexBusyError, match=sentence):
            index_paths(indexed, encoder, [folder])
        with pytest.raises(IndexBusyError, match=sentence), indexing_lock(indexed.directory):
            pass
        assert len(images_by_id(indexed, np.arange(1, 9).tolist())) == 5  # reads are not blocked
    finally:
        os.kill(first.pid or 0, signal.SIGKILL)
        first.join()
    assert index_paths(indexed, encoder, [folder]).added == 1


def test_a_second_thread_is_refused_too(indexed: Catalog, encoder: FakeEncoder, folder: Path) -> None:
    """The lock belongs to its holder, not to the process, and can be taken again once it is released."""
    for _ in range(2):
        with (
            indexing_lock(indexed.directory),
            pytest.raises(IndexBusyError, match=f"by process {os.getpid()};"),
        ):
            index_paths(indexed, encoder, [folder])
    assert index_paths(indexed, encoder, [folder]).unchanged == 5


def test_a_run_that_fails_releases_the_lock(indexed: Catalog, encoder: FakeEncoder, folder: Path) -> None:
    """The error is passed on."""
    with pytest.raises(ValueError, match="inside"), indexing_lock(indexed.directory):
        raise ValueError("inside")
    assert index_paths(indexed, encoder, [folder]).unchanged == 5


def test_two_indexes_have_separate_locks(indexed: Catalog, encoder: FakeEncoder, folder: Path, tmp_path: Path) -> None:
    """One can be indexed while the other is locked."""
    with Catalog.open(tmp_path / "other", create=True) as other, indexing_lock(indexed.directory):
        assert index_paths(other, encoder, [folder]).added == 5


def open_at_once(ready: Barrier, results: Connection, index: Path) -> None:
    """In a child process: create an index at the same moment as others."""
    ready.wait()
    try:
        with Catalog.open(index, create=True) as catalog:
            results.send(catalog_stats(catalog).images)
    except CatalogError as exc:
        results.send(str(exc))


def test_processes_that_create_an_index_at_once_share_it(tmp_path: Path) -> None:
    """One creates the tables; the others wait, and do not take the new file for a foreign database."""
    ready, (receiver, sender) = FORKS.Barrier(4), FORKS.Pipe()
    for attempt in range(8):
        index = tmp_path / str(attempt)
        several = [FORKS.Process(target=open_at_once, args=(ready, sender, index)) for _ in range(4)]
        for process in several:
            process.start()
        assert [receiver.recv() for _ in several] == [0, 0, 0, 0]
        for process in several:
            process.join()


def test_a_missing_folder_cannot_be_locked(tmp_path: Path) -> None:
    """The error is a CatalogError."""
    with pytest.raises(CatalogError, match="cannot be written"), indexing_lock(tmp_path / "none"):
        pass
