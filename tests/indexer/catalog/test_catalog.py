"""The catalog, the source of truth of an index."""

from __future__ import annotations

import shutil
import sqlite3
import tracemalloc
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sqlalchemy import Connection, event, insert

from indexer import Catalog, index_paths
from indexer.catalog import schema
from indexer.catalog.captions import add_bank, bank_ids, captions_by_id, forget_captions, has_captions
from indexer.catalog.contents import catalog_state, catalog_stats, count_items
from indexer.catalog.embeddings import features_of, read_vectors, vector_ids, vector_stamp
from indexer.catalog.images import (
    content_hashes,
    forget_images,
    hidden_image_ids,
    image_id_at,
    image_ids_where,
    images_by_id,
)
from indexer.catalog.records import Kind, Stamp
from indexer.catalog.schema import VERSION
from indexer.errors import CatalogError, CatalogVersionError, EncoderMismatchError, IndexNotFoundError
from tests.conftest import Paint
from tests.fakes import FakeEncoder


def test_a_folder_without_an_index_says_how_to_make_one(tmp_path: Path) -> None:
    """The message contains the command."""
    with pytest.raises(IndexNotFoundError, match=r"no index in .*; make one with: crosslook index FOLDER --index"):
        Catalog.open(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_catalog_of_a_newer_version_is_refused_and_left_as_it_is(catalog: Catalog) -> None:
    """An older version must not guess at a newer schema."""
    file = catalog.directory / "catalog.db"
    catalog.close()
    with sqlite3.connect(file) as connection:
        connection.execute("PRAGMA user_version = 99")
    with pytest.raises(CatalogVersionError, match=rf"newer crosslook \(catalog version 99, this one reads {VERSION}\)"):
        Catalog.open(catalog.directory)
    with sqlite3.connect(file) as connection:
        assert connection.execute("PRAGMA user_version").fetchone() == (99,)


def test_a_file_that_is_not_a_database_is_refused(tmp_path: Path) -> None:
    """The message names a stray catalog.db, which is not overwritten."""
    (tmp_path / "catalog.db").write_text("no database at all, but long enough to have a header of its own")
    with pytest.raises(CatalogError, match=r"catalog\.db is not a catalog"):
        Catalog.open(tmp_path, create=True)
    assert (tmp_path / "catalog.db").read_text().startswith("no database")


def test_a_foreign_database_is_refused(tmp_path: Path) -> None:
    """A database of another program is left alone."""
    with sqlite3.connect(tmp_path / "catalog.db") as connection:
        connection.execute("CREATE TABLE theirs (id INTEGER)")
    with pytest.raises(CatalogError, match="not a crosslook catalog"):
        Catalog.open(tmp_path, create=True)


def test_a_path_that_cannot_hold_an_index_is_named(tmp_path: Path) -> None:
    """A file in place of the parent folder is one clear error."""
    (tmp_path / "file").write_text("")
    with pytest.raises(CatalogError, match="cannot make an index in"):
        Catalog.open(tmp_path / "file" / "index", create=True)


def test_damage_is_found(indexed: Catalog) -> None:
    """`check` reads the whole file and detects overwritten pages."""
    indexed.check()
    file = indexed.directory / "catalog.db"
    indexed.close()
    data = bytearray(file.read_bytes())
    for start in range(4096, len(data), 4096):
        data[start : start + 64] = b"\xff" * 64
    file.write_bytes(data)
    with pytest.raises(CatalogError), Catalog.open(indexed.directory) as damaged:
        damaged.check()


def test_a_model_takes_an_empty_index_and_keeps_it(catalog: Catalog) -> None:
    """The first model to index owns the embeddings."""
    assert catalog.active_encoder() is None
    first = catalog.use_encoder("one", "1" * 64, 8)
    assert catalog.use_encoder("one", "1" * 64, 8) == first
    with pytest.raises(EncoderMismatchError, match="made by model one"):
        catalog.use_encoder("two", "2" * 64, 8)


def test_an_empty_index_has_empty_vectors(catalog: Catalog) -> None:
    """Reading them is not an error."""
    ids, vectors = read_vectors(catalog, Kind.IMAGE)
    assert (len(ids), len(vectors)) == (0, 0)
    assert vector_stamp(catalog, Kind.IMAGE) == Stamp()
    assert catalog_stats(catalog).images == 0


def test_image_records_have_size_format_and_paths(indexed: Catalog, folder: Path) -> None:
    """A record has what a search hit shows; unknown ids are skipped."""
    ids = [int(i) for i in read_vectors(indexed, Kind.IMAGE)[0]]
    records = images_by_id(indexed, [*ids, 10_000])
    assert set(records) == set(ids)
    red = next(r for r in records.values() if r.path == folder / "red.png")
    assert (red.width, red.height, red.format) == (48, 40, "PNG")
    assert red.paths == (folder / "red.png",)


def test_a_file_is_known_by_path_size_and_time(indexed: Catalog, folder: Path) -> None:
    """A file changed since indexing is not mistaken for the indexed one."""
    path = folder / "red.png"
    status = path.stat()
    image_id = image_id_at(indexed, path, size=status.st_size, mtime_ns=status.st_mtime_ns)
    assert image_id is not None
    assert images_by_id(indexed, [image_id])[image_id].path == path
    assert image_id_at(indexed, path, size=status.st_size + 1, mtime_ns=status.st_mtime_ns) is None


def test_the_bank_is_stored_once_and_apart_from_images(indexed: Catalog, encoder: FakeEncoder) -> None:
    """Captions without an image form the bank; adding them again changes nothing."""
    texts = ["a red thing", "a blue thing"]
    for _ in range(2):
        add_bank(indexed, texts, encoder.encode_texts(texts))
    bank = bank_ids(indexed)
    assert len(bank) == 2
    assert not has_captions(indexed)
    record = captions_by_id(indexed, [int(bank[0])])[int(bank[0])]
    assert (record.text, record.image_id, record.source) == ("a red thing", None, "bank")
    assert features_of(indexed, Kind.CAPTION, [int(bank[0])])[1][0].shape == (3, 8)


def test_a_failed_transaction_leaves_nothing(indexed: Catalog) -> None:
    """Everything is rolled back."""
    image_count = catalog_stats(indexed).images
    ids = [int(i) for i in read_vectors(indexed, Kind.IMAGE)[0]]
    with pytest.raises(RuntimeError, match="power"), indexed.transaction() as connection:  # noqa: PT012  two steps
        forget_images(connection, ids)
        raise RuntimeError("the power fails")
    assert catalog_stats(indexed).images == image_count


def test_forgetting_an_image_reads_no_other(indexed: Catalog) -> None:
    """Every statement finds its rows by a key, without a table scan."""
    ids = content_hashes(indexed).values()
    plans: list[tuple[str, list[str]]] = []

    def explain(
        connection: Connection, _cursor: object, statement: str, values: tuple[object, ...], *_: object
    ) -> None:
        if statement.startswith(("DELETE", "SELECT")):
            raw = connection.connection.driver_connection
            assert raw is not None
            plans.append((statement, [row[3] for row in raw.execute(f"EXPLAIN QUERY PLAN {statement}", values)]))

    with indexed.transaction() as connection:
        event.listen(connection, "before_cursor_execute", explain)
        forget_images(connection, [min(ids)])
        forget_captions(connection, [1])
    assert sum(statement.startswith("DELETE FROM embedding") for statement, _ in plans) >= 2
    for statement, plan in plans:
        assert any(step.startswith("SEARCH") for step in plan), statement
        assert not any(step.startswith("SCAN") for step in plan), (statement, plan)


def test_ids_are_never_reused(catalog: Catalog, encoder: FakeEncoder, folder: Path) -> None:
    """The highest id therefore reveals a stale FAISS file."""
    index_paths(catalog, encoder, [folder])
    top = int(read_vectors(catalog, Kind.IMAGE)[0].max())
    (folder / "white.png").unlink()
    index_paths(catalog, encoder, [folder], prune=True)
    (folder / "again.png").write_bytes((folder / "red.png").read_bytes() + b"\0")
    index_paths(catalog, encoder, [folder])
    assert int(read_vectors(catalog, Kind.IMAGE)[0].max()) > top


def test_stats_count_the_contents(indexed: Catalog) -> None:
    """Stats cover images, files, model and bytes."""
    stats = catalog_stats(indexed)
    assert (stats.images, stats.locations, stats.missing, stats.failures) == (5, 5, 0, 0)
    assert stats.encoder is not None
    assert stats.encoder.name == "fake"
    assert stats.bytes_on_disk >= (indexed.directory / "catalog.db").stat().st_size
    np.testing.assert_array_equal(image_ids_where(indexed, []), read_vectors(indexed, Kind.IMAGE)[0])


def test_a_snapshot_is_consistent(indexed: Catalog, encoder: FakeEncoder, folder: Path, paint: Paint) -> None:
    """Commits change the catalog, but nothing that is read from an open snapshot or from one nested in it."""
    with indexed.snapshot() as view:
        stamp = vector_stamp(view, Kind.IMAGE)
        paint("yellow.png", "yellow")
        index_paths(indexed, encoder, [folder])
        assert vector_stamp(view, Kind.IMAGE) == stamp
        assert len(read_vectors(view, Kind.IMAGE)[0]) == len(vector_ids(view, Kind.IMAGE)) == stamp.count == 5
        with view.snapshot() as nested:
            assert vector_stamp(nested, Kind.IMAGE) == stamp
        assert vector_stamp(indexed, Kind.IMAGE).count == 6
    assert len(read_vectors(indexed, Kind.IMAGE)[0]) == 6


def test_hidden_images_are_found_by_indexes_alone(
    indexed: Catalog, encoder: FakeEncoder, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Images whose files are all missing, by ascending id; the query reads no table rows and does not sort."""
    shutil.copy(folder / "red.png", folder / "crimson.png")
    index_paths(indexed, encoder, [folder])
    for name in ("white", "red", "blue"):
        (folder / f"{name}.png").unlink()
    index_paths(indexed, encoder, [folder])
    records = images_by_id(indexed, vector_ids(indexed, Kind.IMAGE).tolist())
    queries: list[Any] = []
    ids = Catalog.ids

    def record_query(self: Catalog, query: Any) -> Any:
        queries.append(query)
        return ids(self, query)

    monkeypatch.setattr(Catalog, "ids", record_query)
    hidden = hidden_image_ids(indexed).tolist()
    assert hidden == sorted(i for i, record in records.items() if record.path is None)
    assert len(hidden) == 2
    sql = str(queries[0].compile(compile_kwargs={"literal_binds": True}))
    with closing(sqlite3.connect(indexed.directory / "catalog.db")) as connection:
        plan = [row[3] for row in connection.execute("EXPLAIN QUERY PLAN " + sql)]
    assert any("INDEX location_missing" in step for step in plan)
    assert any("COVERING INDEX ix_location_image_id" in step for step in plan)
    assert not any("TEMP B-TREE" in step for step in plan)


def test_the_state_reflects_changes_that_keep_all_counts(indexed: Catalog, folder: Path, encoder: FakeEncoder) -> None:
    """Renaming, hiding and restoring a file all change the stamp; a run without changes does not."""
    states = [catalog_state(indexed)]
    (folder / "red.png").rename(folder / "sunset.png")
    index_paths(indexed, encoder, [folder], prune=True)
    states.append(catalog_state(indexed))
    index_paths(indexed, encoder, [folder])
    assert catalog_state(indexed) == states[-1], "a run that finds nothing new changes nothing"
    (folder / "sunset.png").rename(folder.parent / "kept.png")
    index_paths(indexed, encoder, [folder])
    states.append(catalog_state(indexed))
    (folder.parent / "kept.png").rename(folder / "sunset.png")
    index_paths(indexed, encoder, [folder])
    states.append(catalog_state(indexed))
    assert len(set(states)) == len(states)


def test_connections_are_not_limited(indexed: Catalog) -> None:
    """A health probe must not queue behind readers, however many there are."""
    with ExitStack() as snapshots:
        for _ in range(40):
            assert count_items(snapshots.enter_context(indexed.snapshot()))["image"] == 5
        assert count_items(indexed)["image"] == 5


def test_vectors_are_read_without_a_second_copy(catalog: Catalog) -> None:
    """The largest index that a machine can build depends on it, see docs/PERFORMANCE.md."""
    count, dimension = 40_000, 128
    catalog.use_encoder("random", "a" * 64, dimension)
    stored = np.random.default_rng(0).normal(size=(count, dimension)).astype("<f2")
    rows = [
        {"encoder_id": 1, "kind": Kind.IMAGE, "item_id": item, "vector": vector.tobytes()}
        for item, vector in enumerate(stored, 1)
    ]
    with catalog.transaction() as connection:
        connection.execute(insert(schema.embedding), rows)
    del rows
    tracemalloc.start()
    ids, vectors = read_vectors(catalog, Kind.IMAGE)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    np.testing.assert_array_equal(ids, np.arange(1, count + 1))
    np.testing.assert_array_equal(vectors, stored.astype(np.float32))
    assert peak < 1.8 * vectors.nbytes
