"""Indexing: walk, decode, encode in batches, commit. A killed run loses at most the batch in flight."""

from __future__ import annotations

import hashlib
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol, TypeVar

import numpy as np
from PIL import Image
from sqlalchemy import Connection, delete, insert, select, update
from sqlalchemy.dialects.sqlite import insert as upsert

from encoders import ImageFeatures, Pixels, TextFeatures
from encoders.datasets import CaptionFile

from . import schema
from .captions import index_captions
from .catalog import Catalog
from .decode import read_picture
from .errors import DecodeError
from .files import file_bytes
from .header import Header
from .records import Kind
from .scan import Found, scan
from .vectors import VectorIndex

DECODE_THREADS = 4

T = TypeVar("T")
R = TypeVar("R")


class ModelPort(Protocol):
    """What indexing needs of a model."""

    name: str
    fingerprint: str
    dimension: int
    input_size: int

    def prepare(self, image: Image.Image) -> Pixels:
        """Upright picture → (S, S, 3) uint8."""
        ...

    def encode_images(self, pixels: Pixels) -> ImageFeatures:
        """(B, S, S, 3) → vectors and regions."""
        ...

    def encode_texts(self, texts: Sequence[str]) -> TextFeatures:
        """B sentences → vectors and token states."""
        ...


class Progress(Protocol):
    """Called with the phase (`images`, `captions`), how much is done, and out of how much."""

    def __call__(self, phase: str, done: int, total: int, /) -> None:
        """Take note."""
        ...


@dataclass(frozen=True)
class Failure:
    """A file that could not be indexed, and why."""

    path: str
    reason: str


@dataclass
class IndexReport:
    """What a run did. Counts are files; `failed` holds this run's and the unchanged earlier failures."""

    seen: int = 0
    added: int = 0
    updated: int = 0
    unchanged: int = 0
    duplicates: int = 0
    failed: list[Failure] = field(default_factory=list)
    missing: int = 0
    removed: int = 0
    captions_added: int = 0
    captions_unmatched: int = 0
    stopped: bool = False
    seconds: float = 0.0


@dataclass(frozen=True)
class _Picture:
    """A file read in a thread: its hash, and, unless the catalog has that content, header and pixels."""

    found: Found
    digest: str
    header: Header | None
    pixels: Pixels | None


def index_paths(
    catalog: Catalog,
    encoder: ModelPort,
    paths: Sequence[Path],
    *,
    captions: CaptionFile | None = None,
    prune: bool = False,
    batch_size: int = 32,
    progress: Progress = lambda *_: None,
    stop: threading.Event | None = None,
) -> IndexReport:
    """Bring the index up to date with the image files below some paths.

    Files whose size and time are as they were are not opened. Content that is known already, under another name, is
    not encoded again. Sidecar captions (`NAME.txt`) are read when they are new or changed.

    Args:
        catalog: an open index; becomes `encoder`'s if it is new.
        encoder: the model.
        paths: folders and files.
        captions: captions from a file, matched by file name or by the end of the path.
        prune: forget files that are gone, instead of hiding them until they come back.
        batch_size: pictures in one forward pass and one transaction.
        progress: called as work goes on.
        stop: set it to end the run after the batch in flight has been committed.

    Raises:
        SourceError: a path does not exist, or there is no image file.
        CatalogError: the index belongs to another model, or cannot be written.
    """
    began = time.perf_counter()
    report = IndexReport()
    files, unreadable = scan(paths)
    report.seen = len(files)
    report.failed += [Failure(_shown(item.path), item.reason) for item in unreadable]
    encoder_id = catalog.use_encoder(encoder.name, encoder.fingerprint, encoder.dimension)
    run = _Run(catalog, encoder, encoder_id, report, stop or threading.Event())
    work = run.choose(files)
    run.index(work, batch_size, lambda done: progress("images", done, len(work)))
    if not report.stopped:
        run.settle_missing(paths, [item.path for item in unreadable], prune=prune)
        outcome = index_captions(
            catalog, encoder, files, captions, run.stop, lambda done, total: progress("captions", done, total)
        )
        report.captions_added, report.captions_unmatched = outcome.added, outcome.unmatched
        report.stopped = outcome.stopped
    for kind in Kind:
        VectorIndex.open(catalog, kind)
    report.seconds = time.perf_counter() - began
    return report


class _Run:
    """One indexing run over one catalog."""

    def __init__(
        self, catalog: Catalog, encoder: ModelPort, encoder_id: int, report: IndexReport, stop: threading.Event
    ) -> None:
        self.catalog, self.encoder, self.encoder_id = catalog, encoder, encoder_id
        self.report, self.stop = report, stop
        self.known = catalog.locations()
        self.hashes = catalog.content_hashes()
        self.present: set[str] = set()
        self.places: dict[int, list[str]] = {}
        for record in self.known.values():
            self.places.setdefault(record.image_id, []).append(record.path)

    def choose(self, files: Sequence[Found]) -> list[Found]:
        """The files to open; the others are counted, and brought back where they were missing."""
        failures = {failure.path: failure for failure in self.catalog.failures()}
        work, returned = [], []
        self.present = {str(found.path) for found in files}
        for found in files:
            path = str(found.path)
            record, failure = self.known.get(path), failures.get(path)
            if record is not None and (record.size, record.mtime_ns) == (found.size, found.mtime_ns):
                self.report.unchanged += 1
                if record.missing:
                    returned.append(path)
            elif failure is not None and (failure.size, failure.mtime_ns) == (found.size, found.mtime_ns):
                self.report.failed.append(Failure(path, failure.reason))
            else:
                work.append(found)
        if returned:
            with self.catalog.transaction() as connection:
                self.catalog.mark_missing(connection, returned, None)
        return work

    def index(self, work: Sequence[Found], batch_size: int, advance: Callable[[int], None]) -> None:
        """Read in threads, encode and commit in batches."""
        done = 0
        advance(0)
        with ThreadPoolExecutor(DECODE_THREADS, thread_name_prefix="decode") as pool:
            for batch in _batches(_ahead(pool, self._read, work, 3 * batch_size), batch_size):
                self._commit(batch)
                done += len(batch)
                advance(done)
                if self.stop.is_set():
                    self.report.stopped = True
                    pool.shutdown(cancel_futures=True)
                    return

    def _read(self, found: Found) -> _Picture | tuple[Found, str]:
        """In a thread: hash, and decode what is new. A failure comes back as its reason."""
        try:
            with file_bytes(found.path) as data:
                digest = hashlib.sha256(data).hexdigest()
                if digest in self.hashes:
                    return _Picture(found, digest, None, None)
                image, header = read_picture(data, at_least=2 * self.encoder.input_size)
            return _Picture(found, digest, header, self.encoder.prepare(image))
        except DecodeError as exc:
            return found, str(exc)

    def _commit(self, batch: Sequence[_Picture | tuple[Found, str]]) -> None:
        """Encode what is new in a batch, and write all of it in one transaction."""
        pictures = [item for item in batch if isinstance(item, _Picture)]
        failures = [item for item in batch if not isinstance(item, _Picture)]
        fresh = {p.digest: p for p in pictures if p.pixels is not None and p.digest not in self.hashes}
        features = self._encode(list(fresh.values()))
        with self.catalog.transaction() as connection:
            for row, (digest, picture) in enumerate(fresh.items()):
                image_id = self._insert_image(connection, picture)
                self.catalog.write_embedding(
                    connection, self.encoder_id, Kind.IMAGE, image_id, features.vectors[row], features.regions[row]
                )
                self.hashes[digest] = image_id
            new = set(fresh)
            for picture in pictures:
                self._place(connection, picture, new)
            for found, reason in failures:
                self._fail(connection, found, reason)

    def _encode(self, pictures: Sequence[_Picture]) -> ImageFeatures:
        if not pictures:
            return ImageFeatures(np.empty((0, 0), np.float32), np.empty((0, 0, 0), np.float32))
        return self.encoder.encode_images(np.stack([p.pixels for p in pictures if p.pixels is not None]))

    def _insert_image(self, connection: Connection, picture: _Picture) -> int:
        header = picture.header
        values = {name: getattr(header, name) for name in Header.__dataclass_fields__}
        row = insert(schema.image).values(content_hash=picture.digest, **values)
        return connection.execute(row.returning(schema.image.c.id)).scalar_one()

    def _place(self, connection: Connection, picture: _Picture, new: set[str]) -> None:
        """Write a file's location, and count what kind of change it was."""
        found, path, image_id = picture.found, str(picture.found.path), self.hashes[picture.digest]
        before = self.known.get(path)
        values = {"image_id": image_id, "size": found.size, "mtime_ns": found.mtime_ns, "missing_since": None}
        statement = upsert(schema.location).values(path=path, **values)
        connection.execute(statement.on_conflict_do_update(index_elements=["path"], set_=values))
        connection.execute(delete(schema.failure).where(schema.failure.c.path == path))
        if before is not None and before.image_id != image_id:
            self._replace(connection, before.image_id, image_id)
        if before is not None or (picture.digest not in new and self._moved(image_id)):
            self.report.updated += 1
        elif picture.digest in new:
            self.report.added += 1
            new.discard(picture.digest)
        else:
            self.report.duplicates += 1

    def _moved(self, image_id: int) -> bool:
        """Whether an image's earlier places are all gone: its file was renamed or moved."""
        places = self.places.get(image_id, [])
        return bool(places) and not any(path in self.present for path in places)

    def _replace(self, connection: Connection, old: int, new: int) -> None:
        """A file has new content: captions follow it, and the old image goes if it lies nowhere else."""
        c = schema.location.c
        if connection.execute(select(c.id).where(c.image_id == old).limit(1)).first() is None:
            captions = update(schema.caption).prefix_with("OR IGNORE").where(schema.caption.c.image_id == old)
            connection.execute(captions.values(image_id=new))
            self.hashes.pop(self.catalog.forget_images(connection, [old])[0], None)

    def _fail(self, connection: Connection, found: Found, reason: str) -> None:
        values = {"reason": reason, "size": found.size, "mtime_ns": found.mtime_ns}
        statement = upsert(schema.failure).values(path=str(found.path), **values)
        connection.execute(statement.on_conflict_do_update(index_elements=["path"], set_=values))
        self.report.failed.append(Failure(str(found.path), reason))

    def settle_missing(self, roots: Sequence[Path], unreadable: Sequence[Path], *, prune: bool) -> None:
        """Hide, or with `prune` forget, the files below the roots that are gone; not what could not be looked at."""
        folders = [Path(os.path.abspath(root)) for root in roots if root.is_dir()]

        def is_gone(path: str) -> bool:
            if path in self.present or any(Path(path).is_relative_to(folder) for folder in unreadable):
                return False
            return any(Path(path).is_relative_to(folder) for folder in folders)

        below = [record for path, record in self.known.items() if is_gone(path)]
        gone = [record.path for record in below]
        self.report.missing = len(gone)
        with self.catalog.transaction() as connection:
            if prune:
                for path in gone:
                    connection.execute(delete(schema.location).where(schema.location.c.path == path))
                self.report.removed = len(self.catalog.forget_images(connection, self.catalog.orphans(connection)))
            else:
                newly = [record.path for record in below if not record.missing]
                self.catalog.mark_missing(connection, newly, datetime.now(UTC).isoformat(timespec="seconds"))
            for failure in self.catalog.failures():
                if is_gone(failure.path):
                    connection.execute(delete(schema.failure).where(schema.failure.c.path == failure.path))


def _shown(path: Path) -> str:
    """A path as text; bytes that are none become question marks."""
    return str(path).encode("utf-8", "replace").decode()


def _ahead(pool: ThreadPoolExecutor, work: Callable[[T], R], items: Iterable[T], window: int) -> Iterator[R]:
    """Results in order, with at most `window` of them in the making: memory stays bounded."""
    pending: deque[Future[R]] = deque()
    for item in items:
        pending.append(pool.submit(work, item))
        if len(pending) >= window:
            yield pending.popleft().result()
    while pending:
        yield pending.popleft().result()


def _batches(items: Iterable[T], size: int) -> Iterator[list[T]]:
    batch: list[T] = []
    for item in items:
        batch.append(item)
        if len(batch) == size:
            yield batch
            batch = []
    if batch:
        yield batch
