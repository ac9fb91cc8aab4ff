"""Run the indexer until it is killed at a chosen point, and read the contents of a catalog for comparison."""

from __future__ import annotations

import itertools
import multiprocessing
import os
import shutil
import signal
import sqlite3
import sys
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import faiss
import sqlalchemy

from encoders.datasets import read_captions
from indexer import Catalog, VectorIndex, index_paths
from indexer.catalog import schema
from indexer.catalog.captions import captions_of_image
from indexer.catalog.embeddings import read_vectors
from indexer.catalog.images import content_hashes
from indexer.catalog.records import Kind
from indexer.ingest import captions, displaced, missing, pipeline, writing
from indexer.vectors import index as vector_index
from tests.fakes import FakeEncoder

VERSION_1 = Path(__file__).parent.parent / "catalog" / "data" / "catalog-v1.sql"
FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload(["tests.conftest", __name__])

Content = dict[str, list[str]]


@dataclass(frozen=True)
class Point:
    """The `nth` call of a function in a scenario, and whether the run is killed before, after or halfway through it."""

    scenario: str
    owner: Any
    name: str
    nth: int = 1
    when: str = "before"


POINTS = {
    "the database file created": Point("new", sqlite3, "connect", when="after"),
    "tables created": Point("new", sqlalchemy.MetaData, "create_all", when="after"),
    "half of the full-text tables created": Point("new", sqlalchemy.Connection, "exec_driver_sql", nth=9),
    "before the commit of a new catalog": Point("new", sqlalchemy.Connection, "commit"),
    "an upgrade halfway": Point("old", sqlalchemy.Connection, "exec_driver_sql", nth=7, when="after"),
    "before the commit of an upgrade": Point("old", sqlalchemy.Connection, "commit"),
    "scanned": Point("changed", pipeline, "scan", when="after"),
    "decoding, in a thread": Point("new", pipeline, "read_picture", nth=5),
    "encoding": Point("new", FakeEncoder, "encode_images", nth=2),
    "one image of a batch written": Point("new", writing, "write_embedding", nth=5, when="after"),
    "before the commit of a batch": Point("new", sqlalchemy.Connection, "commit", nth=4),
    "a batch committed": Point("new", sqlalchemy.Connection, "commit", nth=4, when="after"),
    "a replaced image deleted": Point("changed", displaced, "forget_images", when="after"),
    "displaced images deleted, not yet resolved": Point("changed", displaced, "delete"),
    "lost files deleted": Point("pruned", missing, "forget_images", when="after"),
    "captions encoded": Point("new", FakeEncoder, "encode_texts", when="after"),
    "captions written": Point("new", captions, "write_captions", when="after"),
    "captions written, sidecar times not yet": Point("changed", captions, "update"),
    "everything committed, no FAISS file yet": Point("new", vector_index, "read_vectors"),
    "a FAISS file half written": Point("new", faiss, "write_index", when="halfway"),
    "a FAISS file not yet renamed": Point("changed", Path, "replace"),
    "one FAISS file of two": Point("changed", Path, "replace", when="after"),
}
"""Points by name. `begin` creates the initial state of their scenarios."""


def run(index: Path, folder: Path, *, prune: bool = False) -> None:
    """Index a folder and the caption file beside it."""
    with Catalog.open(index, create=True) as catalog:
        table = read_captions(folder.parent / "captions.csv")
        index_paths(catalog, FakeEncoder(), [folder], captions=table, prune=prune, batch_size=3)


def die_at_point(name: str, index: Path, folder: Path) -> None:
    """In a child process: run until the point of that name, and die."""
    _die_at(POINTS[name], index, folder)


def die_at_commit(nth: int, when: str, index: Path, folder: Path) -> None:
    """In a child process: run until just before or after a commit, and die."""
    _die_at(Point("changed", sqlalchemy.Connection, "commit", nth, when), index, folder)


def _die_at(point: Point, index: Path, folder: Path) -> None:
    setattr(point.owner, point.name, _fatal(getattr(point.owner, point.name), point.nth, point.when))
    run(index, folder, prune=point.scenario == "pruned")


def die_at_step(step: int, index: Path, folder: Path, *, prune: bool) -> None:
    """In a child process: run until a number of calls and returns of functions, in Python or C, and die."""
    steps = itertools.count(1)

    def profile(*_: object) -> None:
        if next(steps) == step:
            os.kill(os.getpid(), signal.SIGKILL)

    sys.setprofile(profile)
    run(index, folder, prune=prune)


def die_at_time(seconds: float, index: Path, folder: Path, *, prune: bool) -> None:
    """In a child process: run until it has used an amount of CPU time, and die, perhaps within a system call.

    The kernel ends the process then, so no Python code runs any more, as with SIGKILL.
    """
    signal.signal(signal.SIGPROF, signal.SIG_DFL)
    signal.setitimer(signal.ITIMER_PROF, seconds)
    run(index, folder, prune=prune)


def count_steps(index: Path, folder: Path, *, prune: bool) -> int:
    """Count the steps of a run that is not interrupted."""
    steps = itertools.count()
    sys.setprofile(lambda *_: next(steps) and None)
    try:
        run(index, folder, prune=prune)
    finally:
        sys.setprofile(None)
    return next(steps)


def in_child(work: Callable[..., None], *args: object, **options: object) -> int:
    """Run a function in a child process; return its exit status, or minus the signal that ended it."""
    process = FORKS.Process(target=work, args=args, kwargs=options)
    process.start()
    process.join()
    assert process.exitcode is not None
    return process.exitcode


def begin(scenario: str, index: Path, finished: Path) -> None:
    """Create the initial state of a scenario: no catalog, one of version 1, or a finished index."""
    if scenario == "old":
        index.mkdir()
        with closing(sqlite3.connect(index / "catalog.db")) as connection:
            connection.executescript(VERSION_1.read_text(encoding="utf-8"))
            connection.execute("PRAGMA user_version = 1")
    elif scenario != "new":
        shutil.copytree(finished, index)


def content(directory: Path) -> Content:
    """Return the contents of a catalog, with names instead of ids, which differ between runs; check its integrity."""
    with Catalog.open(directory) as catalog:
        catalog.check()
        for kind in Kind:
            ids, vectors = read_vectors(catalog, kind)
            index = VectorIndex.open(catalog, kind)
            scores, nearest = index.search(vectors[:1], len(ids))
            assert sorted(nearest[0].tolist()) == ids.tolist(), "FAISS and the catalog are out of step"
            assert scores[0, 0] > 0.99
    with closing(sqlite3.connect(directory / "catalog.db")) as connection:
        connection.row_factory = sqlite3.Row
        assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
        tables = [table.name for table in schema.metadata.sorted_tables]
        rows = {name: connection.execute(f"SELECT * FROM {name}").fetchall() for name in tables}  # noqa: S608  our own
        names = _names(rows)
        contents = {name: sorted(str(_natural(row, names)) for row in rows[name]) for name in tables}
        return contents | {words: _words(connection, words, names[source]) for words, source in schema.KEYWORDS.items()}


def captions_by_content(catalog: Catalog) -> dict[str, list[str]]:
    """Captions by the content hash of their image."""
    hashes = content_hashes(catalog).items()
    return {digest: sorted(c.text for c in captions_of_image(catalog, image_id)) for digest, image_id in hashes}


def _names(rows: dict[str, list[sqlite3.Row]]) -> dict[str, dict[int | None, object]]:
    images: dict[int | None, object] = {None: None} | {row["id"]: row["content_hash"] for row in rows["image"]}
    return {
        "image": images,
        "caption": {row["id"]: (row["source"], images[row["image_id"]], row["text"]) for row in rows["caption"]},
        "encoder": {row["id"]: row["fingerprint"] for row in rows["encoder"]},
        "location": {row["id"]: row["path"] for row in rows["location"]},
        "annotation": {row["id"]: (images[row["image_id"]], row["name"], row["value"]) for row in rows["annotation"]},
        "place": {None: None} | {row["id"]: row["digest"] for row in rows["place"]},
    }


def _natural(row: sqlite3.Row, names: dict[str, dict[int | None, object]]) -> dict[str, object]:
    """A row without values that differ between runs: its id, and the time since when a file is missing."""
    values = dict(row)
    values.pop("id", None)
    owners = {"image_id": "image", "encoder_id": "encoder", "place_id": "place", "item_id": values.get("kind", "")}
    for column, of in owners.items():
        if column in values:
            values[column] = names[of][values[column]]
    if "missing_since" in values:
        values["missing_since"] = values["missing_since"] is not None
    return values


def _words(connection: sqlite3.Connection, table: str, names: dict[int | None, object]) -> list[str]:
    """Every word of a full-text table with its row; check that the table matches the one that it indexes."""
    connection.execute(f"INSERT INTO {table}({table}, rank) VALUES ('integrity-check', 1)")  # noqa: S608  our own
    connection.execute(f"CREATE VIRTUAL TABLE temp.{table}_seen USING fts5vocab('main', '{table}', 'instance')")
    rows = connection.execute(f"SELECT term, doc, offset FROM temp.{table}_seen").fetchall()  # noqa: S608  our own
    return sorted(str((term, names[doc], offset)) for term, doc, offset in rows)


def _fatal(work: Callable[..., Any], nth: int, when: str) -> Callable[..., Any]:
    calls = itertools.count(1)

    def fatal(*args: Any, **options: Any) -> Any:
        last = next(calls) == nth
        if last and when == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        result = work(*args, **options)
        if last and when == "halfway":  # of a function that writes the file that it is given last
            os.truncate(args[-1], Path(args[-1]).stat().st_size // 2)
        if last:
            os.kill(os.getpid(), signal.SIGKILL)
        return result

    return fatal
