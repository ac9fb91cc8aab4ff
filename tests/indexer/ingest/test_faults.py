"""Full disks, damaged files, other programs: a sentence, nothing lost, and the next run completes."""

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
    """What an index of them holds when nothing goes wrong."""
    killing.run(tmp_path / "whole", pictures)
    return killing.content(tmp_path / "whole")


def test_a_full_disk_is_told_and_made_good(
    pictures: Path, expected: killing.Content, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SQLite finds no room, ever later: for the tables, for images, for captions. What was committed is not lost."""
    writer = connecting._writer
    with closing(sqlite3.connect(tmp_path / "whole" / "catalog.db")) as connection:
        (whole,) = connection.execute("PRAGMA page_count").fetchone()
    for pages in (1, whole // 2, whole - 6, whole - 2):
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
    """In a process of its own: index where no file can grow beyond some bytes; 3 for a sentence about it."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (room, room))
    try:
        killing.run(index, folder)
    except CatalogError as exc:
        sys.exit(3 if "the disk" in str(exc) else 4)


@pytest.mark.parametrize("room", [0, 20_000, 70_000, 150_000])
def test_files_that_cannot_grow_are_told_and_made_good(
    pictures: Path, expected: killing.Content, tmp_path: Path, room: int
) -> None:
    """The operating system itself refuses to write, in whatever file it comes to."""
    assert killing.in_child(run_with_little_room, room, tmp_path / "index", pictures) == 3
    killing.run(tmp_path / "index", pictures)
    assert killing.content(tmp_path / "index") == expected


@pytest.mark.parametrize("error", [RuntimeError("write error: No space left on device"), OSError(errno.ENOSPC, "full")])
def test_no_room_for_the_faiss_file_costs_nothing_but_time(
    catalog: Catalog,
    encoder: FakeEncoder,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    error: Exception,
) -> None:
    """It is a cache: the run completes, searches go on from memory, and no half file is left; later it is written."""
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


def test_a_faiss_file_cut_short_anywhere_is_made_anew(indexed: Catalog, encoder: FakeEncoder) -> None:
    """At whatever length, or filled with whatever: the answer is the catalog's."""
    (path,) = (indexed.directory / "vectors").glob("image-*.faiss")
    whole, rng = path.read_bytes(), random.Random(3)
    query = encoder.encode_texts(["red"]).vectors
    scores, ids = VectorIndex.open(indexed, Kind.IMAGE).search(query, 5)
    cut = [whole[:length] for length in {*range(64), *range(64, len(whole), 7), len(whole) - 1}]
    for data in [*cut, *(rng.randbytes(len(whole)) for _ in range(10)), whole + b"more", whole[::-1]]:
        path.write_bytes(data)
        found = VectorIndex.open(indexed, Kind.IMAGE).search(query, 5)
        np.testing.assert_array_equal(found[1], ids)
        np.testing.assert_array_equal(found[0], scores)


def test_an_index_in_use_does_not_need_its_files(indexed: Catalog, encoder: FakeEncoder) -> None:
    """Deleted or overwritten under a running program, they change no answer of it."""
    query = encoder.encode_texts(["red"]).vectors
    index = VectorIndex.open(indexed, Kind.IMAGE)
    expected = index.search(query, 5)
    (path,) = (indexed.directory / "vectors").glob("image-*.faiss")
    path.unlink()
    np.testing.assert_array_equal(index.search(query, 5)[1], expected[1])
    shutil.rmtree(indexed.directory / "vectors")
    np.testing.assert_array_equal(VectorIndex.open(indexed, Kind.IMAGE).search(query, 5)[1], expected[1])


def test_a_database_that_stays_locked_is_told(
    indexed: Catalog, encoder: FakeEncoder, paint: Paint, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another program holds a transaction open: writers wait for some time, then give up; readers do not care."""
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


def test_damage_of_any_page_is_told(pictures: Path, tmp_path: Path) -> None:
    """Whichever page of the catalog is overwritten: what comes is an answer or a sentence, and a check finds it."""
    killing.run(tmp_path / "index", pictures)
    file, rng = tmp_path / "index" / "catalog.db", random.Random(4)
    whole = file.read_bytes()
    query = FakeEncoder().encode_texts(["red"]).vectors

    def damage(start: int) -> None:
        for ending in ("-wal", "-shm"):
            file.with_name(file.name + ending).unlink(missing_ok=True)
        file.write_bytes(whole[:start] + rng.randbytes(PAGE) + whole[start + PAGE :])

    for start in range(0, len(whole), PAGE):
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


def test_a_sentence_tells_what_sqlite_means(tmp_path: Path) -> None:
    """A folder in the place of the database, for one."""
    (tmp_path / "index" / "catalog.db").mkdir(parents=True)
    with pytest.raises(CatalogError, match=r"cannot open .*catalog\.db; check the permissions"):
        Catalog.open(tmp_path / "index", create=True)


@pytest.mark.parametrize("name", ["what?", "50%25", "a#b", "file:x", "ümlaut", "mode=ro&immutable=1"])
def test_an_index_may_have_any_name(tmp_path: Path, encoder: FakeEncoder, folder: Path, name: str) -> None:
    """No part of it is taken for an option of the database."""
    with Catalog.open(tmp_path / name, create=True) as catalog:
        index_paths(catalog, encoder, [folder])
    assert (tmp_path / name / "catalog.db").is_file()
    engine = connecting.open_engine(tmp_path / name / "catalog.db", read_only=True)
    with engine.connect() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM image").scalar_one() == 5
    engine.dispose()
