"""Indexing: walk, decode, encode in batches, commit. A killed run loses at most the batch in flight."""

from __future__ import annotations

import hashlib
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol, TypeVar

import numpy as np
from PIL import Image
from sqlalchemy import Connection, Table, delete, insert, select, update
from sqlalchemy.dialects.sqlite import insert as upsert

from encoders import ImageFeatures, Pixels, TextFeatures
from encoders.datasets import CaptionFile
from encoders.progress import Progress, no_progress

from ..catalog import schema
from ..catalog.catalog import Catalog
from ..catalog.records import Kind, LocationRecord
from ..errors import DecodeError, ReadError
from ..pictures.decode import read_picture, reading_size
from ..pictures.metadata import PictureMetadata
from ..pictures.safe_read import read_file
from ..vectors.rebuild import refresh
from .backfill import complete
from .captions import index_captions
from .displaced import note_displaced, note_new, settle
from .lock import locked
from .roots import Survey, add_roots, check, known_roots, outermost
from .scan import Found, Scan, scan

DECODE_THREADS = 4
NEVER = -1  # the time of no file, so what was read at it is read again

T = TypeVar("T")
R = TypeVar("R")


class ModelPort(Protocol):
    """What indexing needs of a model."""

    name: str
    fingerprint: str

    @property
    def dimension(self) -> int:
        """D."""
        ...

    @property
    def input_size(self) -> int:
        """S, in pixels."""
        ...

    @property
    def directory(self) -> Path | None:
        """Where it lies; None for the base model."""
        ...

    def prepare(self, image: Image.Image) -> Pixels:
        """Upright picture → (S, S, 3) uint8."""
        ...

    def encode_images(self, pixels: Pixels) -> ImageFeatures:
        """(B, S, S, 3) → vectors and regions."""
        ...

    def encode_texts(self, texts: Sequence[str]) -> TextFeatures:
        """B sentences → vectors and token states."""
        ...


@dataclass(frozen=True)
class Failure:
    """A file that could not be indexed, and why."""

    path: str
    reason: str


@dataclass
class IndexReport:
    """What a run did. Counts are files; `failed` holds this run's and the unchanged earlier failures.

    `missing` files are hidden, or with `prune` `removed` counts the images that went with them; `away` are the roots
    below which nothing is found any more: see `roots.py`.
    `completed` counts images and captions known before, which the model had not embedded yet.
    """

    seen: int = 0
    added: int = 0
    updated: int = 0
    unchanged: int = 0
    duplicates: int = 0
    failed: list[Failure] = field(default_factory=list)
    missing: int = 0
    removed: int = 0
    away: list[str] = field(default_factory=list)
    captions_added: int = 0
    captions_unmatched: int = 0
    completed: int = 0
    stopped: bool = False
    seconds: float = 0.0


@dataclass(frozen=True)
class _Picture:
    """A file read in a thread: its hash, and, unless the catalog has that content, header and pixels."""

    found: Found
    digest: str
    header: PictureMetadata | None
    pixels: Pixels | None


@locked
def index_paths(
    catalog: Catalog,
    encoder: ModelPort,
    paths: Sequence[Path],
    *,
    captions: CaptionFile | None = None,
    prune: bool = False,
    batch_size: int = 32,
    progress: Progress = no_progress,
    stop: threading.Event | None = None,
) -> IndexReport:
    """Bring the index up to date with the image files below some paths.

    Files whose size and time are as they were are not opened. Content that is known already, under another name, is
    not encoded again. Sidecar captions (`NAME.txt`) are read when they are new or changed. What was there and is not
    is hidden until it comes back.

    Args:
        catalog: an open index; becomes `encoder`'s if it is new.
        encoder: the model.
        paths: folders and files, which the index remembers as its roots; none: all roots that it knows.
        captions: captions from a file, matched by file name or by the end of the path.
        prune: forget files that are gone for good, instead of hiding them; `roots.py` says which those are.
        batch_size: pictures in one forward pass and one transaction.
        progress: called as work goes on.
        stop: set it to end the run after the batch in flight has been committed.

    Raises:
        SourceError: a path does not exist, there is no image file, or no path and no known root.
        IndexBusyError: another process is indexing there.
        CatalogError: the index belongs to another model, or cannot be written.
    """
    began = time.perf_counter()
    bases = [os.path.abspath(path) for path in paths] or known_roots(catalog)
    catalog.check_encoder(encoder.name, encoder.fingerprint)
    catalog = catalog.for_model(encoder.name, encoder.fingerprint)  # another may become active before this run ends
    found = scan(outermost(bases))
    if paths:
        check(catalog, bases, found)
    add_roots(catalog, bases, found)
    run = _Run(catalog, encoder, bases, found, stop or threading.Event())
    run.take(captions, batch_size, progress, prune=prune)
    if not run.report.stopped and catalog.active_encoder() is not None:
        caught_up = complete(catalog, encoder, batch_size=batch_size, progress=progress, stop=run.stop)
        run.report.completed, run.report.stopped = caught_up.images + caught_up.captions, caught_up.stopped
    # Also where nothing is new: an earlier run may have been killed before it came to this.
    run.report.stopped |= not refresh(catalog, run.stop, progress)
    run.report.seconds = time.perf_counter() - began
    return run.report


@locked
def index_changes(
    catalog: Catalog,
    encoder: ModelPort,
    paths: Collection[str],
    *,
    batch_size: int = 32,
    progress: Progress = no_progress,
    stop: threading.Event | None = None,
) -> IndexReport:
    """Bring the index up to date with some files and folders below its roots; those that are gone are hidden.

    Args:
        catalog: an open index.
        encoder: the model.
        paths: absolute; what has changed, come or gone.
        batch_size: as for `index_paths`, and so below.
        progress: called as work goes on.
        stop: set it to end the run.
    """
    began = time.perf_counter()
    catalog.check_encoder(encoder.name, encoder.fingerprint)
    catalog = catalog.for_model(encoder.name, encoder.fingerprint)
    run = _Run(catalog, encoder, paths, scan(outermost(paths)), stop or threading.Event())
    run.take(None, batch_size, progress, prune=False)
    if run.report.added or run.report.updated or run.report.captions_added:
        run.report.stopped |= not refresh(catalog, run.stop, progress)
    run.report.seconds = time.perf_counter() - began
    return run.report


class _Run:
    """One indexing run over one catalog."""

    def __init__(
        self, catalog: Catalog, encoder: ModelPort, bases: Collection[str], found: Scan, stop: threading.Event
    ) -> None:
        self.catalog, self.encoder, self.stop = catalog, encoder, stop
        self.bases, self.files = bases, found.files
        self.roots = set(catalog.roots())
        self.survey = Survey(found, bases, self.roots)
        self.known = catalog.locations(bases)
        self.hashes: dict[str, int] = {}
        self.displaced: set[int] = set()
        self.encoder_id = 0
        self.report = IndexReport(seen=len(found.files))
        self.report.failed += [Failure(_shown(item.path), item.reason) for item in found.unreadable]

    def take(self, captions: CaptionFile | None, batch_size: int, progress: Progress, *, prune: bool) -> None:
        """All of it: pictures, what is displaced or missing, captions."""
        work = self.choose()
        self.index(work, batch_size, lambda done: progress("images", done, len(work)))
        if not self.report.stopped:
            self.settle_displaced()
            self.settle_missing(prune=prune)
            sidecars = self.sidecars(self.catalog.locations(self.bases) if work else self.known)
            outcome = index_captions(
                self.catalog, self.encoder, sidecars, captions, self.stop, lambda *done: progress("captions", *done)
            )
            self.report.captions_added, self.report.captions_unmatched = outcome.added, outcome.unmatched
            self.report.stopped = outcome.stopped

    def choose(self) -> list[Found]:
        """The files to open; the others are counted, and brought back where they were missing."""
        failures = {failure.path: failure for failure in self.catalog.failures()}
        work, returned = [], []
        for found in self.files:
            record = self.known.get(found.path)
            if record is not None and record.size == found.size and record.mtime_ns == found.mtime_ns:
                self.report.unchanged += 1
                if record.missing:
                    returned.append(found.path)
                continue
            failure = failures.get(found.path)
            if failure is not None and (failure.size, failure.mtime_ns) == (found.size, found.mtime_ns):
                self.report.failed.append(Failure(found.path, failure.reason))
            else:
                work.append(found)
        if returned:
            with self.catalog.transaction() as connection:
                self.catalog.mark_missing(connection, returned, None)
        return work

    def sidecars(self, known: dict[str, LocationRecord]) -> list[Found]:
        """The files whose sidecar has come, changed or gone, or lies beside another picture than before."""
        both = ((found, known.get(found.path)) for found in self.files)
        return [f for f, record in both if record is not None and record.sidecar_mtime_ns != f.sidecar_mtime_ns]

    def index(self, work: Sequence[Found], batch_size: int, advance: Callable[[int], None]) -> None:
        """Read in threads, encode and commit in batches."""
        done = 0
        advance(0)
        if not work:
            return
        active = self.catalog.active_encoder()
        if active is None:
            one = self.encoder
            self.encoder_id = self.catalog.use_encoder(one.name, one.fingerprint, one.dimension, one.directory)
        else:
            self.encoder_id = active.id
        self.hashes = self.catalog.content_hashes()
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
            with read_file(Path(found.path)) as data:
                digest = hashlib.sha256(data).hexdigest()
                if digest in self.hashes:
                    return _Picture(found, digest, None, None)
                image, header = read_picture(data, at_least=reading_size(self.encoder.input_size))
            return _Picture(found, digest, header, self.encoder.prepare(image))
        except ReadError as exc:  # not the file's fault: tried again each time, for a drive may be back
            return found._replace(mtime_ns=NEVER), str(exc)
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
        values = {name: getattr(header, name) for name in PictureMetadata.__dataclass_fields__}
        row = insert(schema.image).values(content_hash=picture.digest, **values)
        image_id = connection.execute(row.returning(schema.image.c.id)).scalar_one()
        note_new(connection, image_id)
        return image_id

    def _place(self, connection: Connection, picture: _Picture, new: set[str]) -> None:
        """Write a file's location, and count what kind of change it was."""
        found, path, image_id = picture.found, picture.found.path, self.hashes[picture.digest]
        before = self.known.get(path)
        values = {"image_id": image_id, "size": found.size, "mtime_ns": found.mtime_ns, "missing_since": None}
        if before is not None and before.image_id != image_id:
            self._displace(connection, before)
        statement = upsert(schema.location).values(path=path, **values)
        connection.execute(statement.on_conflict_do_update(index_elements=["path"], set_=values))
        connection.execute(delete(schema.failure).where(schema.failure.c.path == path))
        if before is not None or (picture.digest not in new and self._moved(connection, image_id, path)):
            self.report.updated += 1
        elif picture.digest in new:
            self.report.added += 1
            new.discard(picture.digest)
        else:
            self.report.duplicates += 1

    def _moved(self, connection: Connection, image_id: int, path: str) -> bool:
        """Whether an image's other places are all gone or taken: its file was renamed or moved."""
        c = schema.location.c
        others = connection.execute(select(c.path).where((c.image_id == image_id) & (c.path != path))).all()
        return not any(os.path.lexists(row.path) for row in others)

    def _displace(self, connection: Connection, before: LocationRecord) -> None:
        """A file is about to hold another image: its sidecar speaks of that one now, and not of the one before."""
        note_displaced(connection, before.image_id, before.path)
        self.displaced.add(before.image_id)
        # read again: the sidecar beside this file, and those where the image lies besides
        places = update(schema.location).where(schema.location.c.image_id == before.image_id)
        connection.execute(places.values(sidecar_mtime_ns=NEVER))

    def _fail(self, connection: Connection, found: Found, reason: str) -> None:
        values = {"reason": reason, "size": found.size, "mtime_ns": found.mtime_ns}
        statement = upsert(schema.failure).values(path=found.path, **values)
        connection.execute(statement.on_conflict_do_update(index_elements=["path"], set_=values))
        self.report.failed.append(Failure(found.path, reason))

    def settle_displaced(self) -> None:
        """Forget the images whose place others took and that were found nowhere else, now that all has been seen."""
        if self.catalog.is_settled():
            return
        with self.catalog.transaction() as connection:
            settle(
                self.catalog,
                connection,
                lambda image_id, was_at: image_id in self.displaced or self.survey.saw_all_around(was_at),
            )

    def settle_missing(self, *, prune: bool) -> None:
        """Hide the files that are missing; with `prune`, forget those that are gone for good."""
        missing = [record for path, record in self.known.items() if self.survey.is_missing(path)]
        lost = {record.path for record in missing if self.survey.is_lost(record.path)}
        hidden = [record for record in missing if record.path not in lost]
        failures = [f.path for f in self.catalog.failures() if self.survey.is_missing(f.path)]
        failures = [path for path in failures if self.survey.is_lost(path)]
        self.report.missing = len(missing)
        self.report.away = sorted({self.survey.owner(record.path) or "" for record in hidden} & self.roots)
        if not (missing or failures):
            return
        with self.catalog.transaction() as connection:
            if prune:
                self._forget(connection, schema.location, sorted(lost))
                self._forget(connection, schema.root, sorted(lost & self.roots))
                self.report.removed = len(self.catalog.forget_images(connection, self.catalog.orphans(connection)))
            newly = [record.path for record in (hidden if prune else missing) if not record.missing]
            self.catalog.mark_missing(connection, newly, datetime.now(UTC).isoformat(timespec="seconds"))
            self._forget(connection, schema.failure, failures)

    def _forget(self, connection: Connection, table: Table, paths: Sequence[str]) -> None:
        """Remove a table's rows of some paths."""
        for start in range(0, len(paths), 500):
            connection.execute(delete(table).where(table.c.path.in_(paths[start : start + 500])))


def _shown(path: str) -> str:
    """A path as text; bytes that are none become question marks."""
    return path.encode("utf-8", "replace").decode()


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
