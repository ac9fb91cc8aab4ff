"""Full disks, damaged files and locked databases: a clear error, no loss, and the next run completes."""

from __future__ import annotations

import errno
import os
import random
import resource
import shutil
import sqlite3
import sys
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import faiss
import numpy as np
import pytest

from indexer import Catalog, VectorIndex, index_paths
from indexer.catalog import connection as connecting
from indexer.catalog.captions import captions_by_id
from indexer.catalog.contents import catalog_stats
from indexer.catalog.embeddings import read_vectors, stored_features, vector_ids
from indexer.catalog.records import Kind
from indexer.errors import CatalogError
from tests.conftest import Paint
from tests.fakes import FakeEncoder
from tests.indexer.ingest import killing

PAGE = 4096


@pytest.fixture
def pictures(paint: Paint, tmp_path: Path) -> Path:
    """A folder of twelve pictures, most with captions."""
    for i in range(12):
        path = paint(f"{i}.png", ("red", "blue", "green")[i % 3], seed=i)
        if i % 4:
            path.with_suffix(".txt").write_text(f"picture number {i}\nanother line about {i}\n")
    (tmp_path / "captions.csv").write_text("image,caption\n0.png,said in a table\n")
    return tmp_path / "pictures"


@pytest.fixture
def expected(pictures: Path, tmp_path: Path) -> killing.Content:
    """The contents of the index after a run without faults."""
    killing.run(tmp_path / "whole", pictures)
    return killing.content(tmp_path / "whole")


def test_a_full_disk_is_reported_and_the_next_run_completes(
    pictures: Path, expected: killing.Content, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SQLite runs out of pages while it creates tables, adds images, or adds captions."""
    writer = connecting._writer
    with closing(sqlite3.connect(tmp_path / "whole" / "catalog.db")) as connection:
        (page_count,) = connection.execute("PRAGMA page_count").fetchone()
    for pages in (1, page_count // 2, page_count - 6, page_count - 2):
        index = tmp_path / f"full-{pages}"

        def limited(file: Path, pages: int = pages) -> sqlite3.Connection:
            connection = writer(file)
            connection.execute(f"PRAGMA max_page_count = {pages}")
            return connection

        with monkeypatch.context() as patch:
            patch.setattr(connecting, "_writer", limited)
            with pytest.raises(CatalogError, match=r"cannot write .*catalog\.db: the disk is full; free some space"):
                killing.run(index, pictures)
        killing.run(index, pictures)
        assert killing.content(index) == expected


def run_with_little_room(room: int, index: Path, folder: Path) -> None:
    """In a child process: index with a limit on the size of files; exit with 3 if the error mentions the disk."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (room, room))
    try:
        killing.run(index, folder)
    except CatalogError as exc:
        sys.exit(3 if "the disk" in str(exc) else 4)


@pytest.mark.parametrize("room", [0, 20_000, 70_000, 150_000])
def test_a_file_size_limit_is_reported_and_the_next_run_completes(
    pictures: Path, expected: killing.Content, tmp_path: Path, room: int
) -> None:
    """The operating system refuses to write, whichever file it is."""
    assert killing.in_child(run_with_little_room, room, tmp_path / "index", pictures) == 3
    killing.run(tmp_path / "index", pictures)
    assert killing.content(tmp_path / "index") == expected


@pytest.mark.parametrize("error", [RuntimeError("write error: No space left on device"), OSError(errno.ENOSPC, "full")])
def test_a_run_completes_without_space_for_the_faiss_file(
    catalog: Catalog,
    encoder: FakeEncoder,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    error: Exception,
) -> None:
    """Searches then work from memory, no partial file is left, and the file is written later."""
    write = faiss.write_index

    def half(index: Any, path: str) -> None:
        write(index, path)
        os.truncate(path, 50)
        raise error

    with monkeypatch.context() as patch:
        patch.setattr(faiss, "write_index", half)
        assert index_paths(catalog, encoder, [folder]).added == 5
        assert len(VectorIndex.open(catalog, Kind.IMAGE).search(encoder.encode_texts(["red"]).vectors, 9)[1][0]) == 5
    assert list((catalog.directory / "vectors").iterdir()) == []
    VectorIndex.open(catalog, Kind.IMAGE)
    assert {path.suffix for path in (catalog.directory / "vectors").iterdir()} == {".faiss", ".npy", ".json"}


def test_a_faiss_file_truncated_anywhere_is_rebuilt(indexed: Catalog, encoder: FakeEncoder) -> None:
    """The answer is the catalog's for every length, and for random content."""
    (path,) = (indexed.directory / "vectors").glob("image-*.faiss")
    content, rng = path.read_bytes(), random.Random(3)
    query = encoder.encode_texts(["red"]).vectors
    scores, ids = VectorIndex.open(indexed, Kind.IMAGE).search(query, 5)
    cut = [content[:length] for length in {*range(64), *range(64, len(content), 7), len(content) - 1}]
    for data in [*cut, *(rng.randbytes(len(content)) for _ in range(10)), content + b"more", content[::-1]]:
        path.write_bytes(data)
        hits = VectorIndex.open(indexed, Kind.IMAGE).search(query, 5)
        np.testing.assert_array_equal(hits[1], ids)
        np.testing.assert_array_equal(hits[0], scores)


def test_an_index_in_use_does_not_need_its_files(indexed: Catalog, encoder: FakeEncoder) -> None:
    """Deleting or overwriting them does not change the answers of a running program."""
    query = encoder.encode_texts(["red"]).vectors
    index = VectorIndex.open(indexed, Kind.IMAGE)
    expected = index.search(query, 5)
    (path,) = (indexed.directory / "vectors").glob("image-*.faiss")
    path.unlink()
    np.testing.assert_array_equal(index.search(query, 5)[1], expected[1])
    shutil.rmtree(indexed.directory / "vectors")
    np.testing.assert_array_equal(VectorIndex.open(indexed, Kind.IMAGE).search(query, 5)[1], expected[1])


def test_a_database_that_stays_locked_is_reported(
    indexed: Catalog, encoder: FakeEncoder, paint: Paint, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While another program holds a transaction, writers give up after a while, and readers are not affected."""
    monkeypatch.setattr(connecting, "BUSY_SECONDS", 0.05)
    paint("yellow.png", "yellow")
    with (
        closing(sqlite3.connect(indexed.directory / "catalog.db", isolation_level=None)) as other,
        Catalog.open(indexed.directory) as catalog,
    ):
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(
            CatalogError, match=r"is still locked by another program after 0\.05 s; wait for it, or stop it"
        ):
            index_paths(catalog, encoder, [folder])
        assert catalog_stats(catalog).images == 5
        other.execute("ROLLBACK")
        assert index_paths(catalog, encoder, [folder]).added == 1


def test_damage_of_any_page_is_reported(pictures: Path, tmp_path: Path) -> None:
    """If any page is overwritten, searches succeed or raise a CatalogError, and `check` detects it."""
    killing.run(tmp_path / "index", pictures)
    file, rng = tmp_path / "index" / "catalog.db", random.Random(4)
    content = file.read_bytes()
    query = FakeEncoder().encode_texts(["red"]).vectors

    def damage(start: int) -> None:
        for ending in ("-wal", "-shm"):
            file.with_name(file.name + ending).unlink(missing_ok=True)
        file.write_bytes(content[:start] + rng.randbytes(PAGE) + content[start + PAGE :])

    for start in range(0, len(content), PAGE):
        damage(start)
        with suppress(CatalogError), Catalog.open(tmp_path / "index") as catalog:
            VectorIndex.rebuild(catalog, Kind.IMAGE).search(query, 3)
            stored_features(catalog, Kind.IMAGE, read_vectors(catalog, Kind.IMAGE)[0].tolist())
            captions_by_id(catalog, vector_ids(catalog, Kind.CAPTION).tolist())
            catalog_stats(catalog)
            index_paths(catalog, FakeEncoder(), [pictures])
        damage(start)
        with (
            pytest.raises(CatalogError, match=r"restore it from a backup, or index into another directory"),
            Catalog.open(tmp_path / "index") as catalog,
        ):
            catalog.check()


def test_errors_of_sqlite_are_translated(tmp_path: Path) -> None:
    """For example, where a folder is in place of the database."""
    (tmp_path / "index" / "catalog.db").mkdir(parents=True)
    with pytest.raises(CatalogError, match=r"cannot open .*catalog\.db; check the permissions"):
        Catalog.open(tmp_path / "index", create=True)


@pytest.mark.parametrize("name", ["what?", "50%25", "a#b", "file:x", "ümlaut", "mode=ro&immutable=1"])
def test_an_index_may_have_any_name(tmp_path: Path, encoder: FakeEncoder, folder: Path, name: str) -> None:
    """No part of the name is read as an option of the database."""
    with Catalog.open(tmp_path / name, create=True) as catalog:
        index_paths(catalog, encoder, [folder])
    assert (tmp_path / name / "catalog.db").is_file()
    engine = connecting.open_engine(tmp_path / name / "catalog.db", read_only=True)
    with engine.connect() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM image").scalar_one() == 5
    engine.dispose()
