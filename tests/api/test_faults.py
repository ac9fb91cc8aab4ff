"""Errors for an index that is damaged or in use."""

from __future__ import annotations

from pathlib import Path

from indexer import Catalog
from indexer.ingest.lock import indexing_lock
from tests.api.conftest import Run


def test_a_damaged_catalog_is_one_sentence(run: Run, indexed: Catalog, folder: Path) -> None:
    """Every command ends with status 1 and says what to do."""
    directory = indexed.directory
    indexed.close()
    file = directory / "catalog.db"
    data = file.read_bytes()
    file.write_bytes(data[:4096] + b"\xa5" * (len(data) - 4096))
    for command in (("index", folder), ("search", "red"), ("similar", folder / "red.png"), ("stats",), ("rebuild",)):
        done = run(*command, "--index", directory)
        assert (done.status, done.out) == (1, "")
        message = " ".join(done.err.split())
        assert "is damaged (" in message
        assert message.endswith("restore it from a backup, or index into another directory")
    assert run("doctor", "--index", directory).status == 1


def test_an_index_in_use_is_one_sentence(run: Run, indexed: Catalog, folder: Path) -> None:
    """Commands that change an index in use are refused; commands that read it work."""
    with indexing_lock(indexed.directory):
        for command in (("index", folder), ("rebuild",)):
            done = run(*command, "--index", indexed.directory)
            assert (done.status, done.out) == (1, "")
            assert "is being indexed by process" in " ".join(done.err.split())
        assert run("search", "red", "--json", "--index", indexed.directory).status == 0
        assert run("stats", "--index", indexed.directory).status == 0
    assert run("rebuild", "--index", indexed.directory).status == 0
