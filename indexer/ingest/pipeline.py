"""Indexing: scan, decode, encode in batches, commit. A killed run loses at most the batch in flight."""

from __future__ import annotations

import hashlib
import os
import threading
import time
from collections.abc import Callable, Collection, Sequence
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import Connection, Table, delete

from encoders import Encoder
from encoders.datasets import CaptionFile
from encoders.progress import Progress, no_progress

from ..catalog import schema
from ..catalog.catalog import Catalog
from ..catalog.contents import indexed_roots, recorded_failures
from ..catalog.images import forget_images, is_settled, known_locations, mark_missing, orphaned_images
from ..catalog.records import FailureRecord, LocationRecord
from ..errors import DecodeError, ReadError
from ..pictures.decode import read_picture, reading_size
from ..pictures.safe_read import read_file
from ..vectors.rebuild import refresh
from .backfill import backfill
from .captions import index_captions
from .displaced import resolve_displaced
from .lock import locked
from .reading import batches, read_ahead
from .roots import Survey, add_roots, check_paths, known_roots, outermost
from .scan import ImageFile, Scan, scan
from .writing import NEVER, BatchWriter, Failure, IndexReport, Picture


@locked
def index_paths(
    catalog: Catalog,
    encoder: Encoder,
    paths: Sequence[Path],
    *,
    captions: CaptionFile | None = None,
    prune: bool = False,
    batch_size: int = 32,
    progress: Progress = no_progress,
    stop: threading.Event | None = None,
) -> IndexReport:
    """Bring the index up to date with the image files below some paths.

    Files whose size and modification time are unchanged are not opened, and known content under another name is not
    encoded again. Sidecar captions (`NAME.txt`) are read when they are new or changed. The images of files that are
    missing, or are no longer readable as images, are hidden until the files are back.

    Args:
        catalog: an open index; if it has no model yet, `encoder` becomes its active one.
        encoder: the model.
        paths: folders and files, which become roots of the index; none for all its roots.
        captions: captions from a file, matched by file name or by the end of the path.
        prune: remove such files instead of hiding them, where they are gone for good: see `roots.py`.
        batch_size: pictures in one forward pass and one transaction.
        progress: called as work goes on.
        stop: set it to end the run after the batch in flight has been committed.

    Raises:
        SourceError: a path does not exist, there is no image file, or the index has no roots.
        IndexBusyError: another process is indexing there.
        CatalogError: the index belongs to another model, or cannot be written.
    """
    start = time.perf_counter()
    bases = [os.path.abspath(path) for path in paths] or known_roots(catalog)
    catalog.check_encoder(encoder.name, encoder.fingerprint)
    catalog = catalog.for_model(encoder.name, encoder.fingerprint)  # another may become active during the run
    result = scan(outermost(bases))
    if paths:
        check_paths(catalog, bases, result)
    add_roots(catalog, bases, result)
    run = _Run(catalog, encoder, bases, result, stop or threading.Event())
    run.execute(captions, batch_size, progress, prune=prune)
    if not run.report.stopped and catalog.active_encoder() is not None:
        outcome = backfill(catalog, encoder, batch_size=batch_size, progress=progress, stop=run.stop)
        run.report.completed, run.report.stopped = outcome.images + outcome.captions, outcome.stopped
    # Even if nothing is new: an earlier run may have been killed before this step.
    run.report.stopped |= not refresh(catalog, run.stop, progress)
    run.report.seconds = time.perf_counter() - start
    return run.report


@locked
def index_changes(
    catalog: Catalog,
    encoder: Encoder,
    paths: Collection[str],
    *,
    batch_size: int = 32,
    progress: Progress = no_progress,
    stop: threading.Event | None = None,
) -> IndexReport:
    """Update the index for changed files and folders below its roots; images of missing files are hidden.

    Args:
        catalog: an open index.
        encoder: the model.
        paths: the absolute paths that were added, changed or removed.
        batch_size: pictures in one forward pass and one transaction.
        progress: called as work goes on.
        stop: set it to end the run.
    """
    start = time.perf_counter()
    catalog.check_encoder(encoder.name, encoder.fingerprint)
    catalog = catalog.for_model(encoder.name, encoder.fingerprint)
    run = _Run(catalog, encoder, paths, scan(outermost(paths)), stop or threading.Event())
    run.execute(None, batch_size, progress, prune=False)
    if run.report.added or run.report.updated or run.report.captions_added:
        run.report.stopped |= not refresh(catalog, run.stop, progress)
    run.report.seconds = time.perf_counter() - start
    return run.report


class _Run:
    """One indexing run over one catalog."""

    def __init__(
        self, catalog: Catalog, encoder: Encoder, bases: Collection[str], result: Scan, stop: threading.Event
    ) -> None:
        self.catalog, self.encoder, self.stop = catalog, encoder, stop
        self.bases, self.files = bases, result.files
        self.roots = set(indexed_roots(catalog))
        self.survey = Survey(result, bases, self.roots)
        self.known = known_locations(catalog, bases)
        self.report = IndexReport(seen=len(result.files))
        self.writer: BatchWriter | None = None
        self.report.failed += [Failure(_printable(item.path), item.reason) for item in result.unreadable]

    def execute(self, captions: CaptionFile | None, batch_size: int, progress: Progress, *, prune: bool) -> None:
        """Index the images, handle displaced and missing ones, then index the captions."""
        files = self.select_changed()
        self.index(files, batch_size, lambda done: progress("images", done, len(files)))
        if not self.report.stopped:
            self.resolve_displaced()
            self.hide_missing(prune=prune)
            sidecars = self.sidecars(known_locations(self.catalog, self.bases) if files else self.known)
            outcome = index_captions(
                self.catalog, self.encoder, sidecars, captions, self.stop, lambda *done: progress("captions", *done)
            )
            self.report.captions_added, self.report.captions_unmatched = outcome.added, outcome.unmatched
            self.report.failed += [Failure(str(row.file), f"line {row.line}: {row.reason}") for row in outcome.refused]
            self.report.stopped = outcome.stopped

    def select_changed(self) -> list[ImageFile]:
        """Return the new and changed files; count the others, and unhide those that were missing."""
        failures = {failure.path: failure for failure in recorded_failures(self.catalog)}
        changed, returned, readable = [], [], []
        for file in self.files:
            record = self.known.get(file.path)
            if record is not None and record.size == file.size and record.mtime_ns == file.mtime_ns:
                self.report.unchanged += 1
                if record.missing:
                    returned.append(file.path)
                if file.path in failures:  # its earlier version was restored
                    readable.append(file.path)
                continue
            failure = failures.get(file.path)
            if failure is not None and (failure.size, failure.mtime_ns) == (file.size, file.mtime_ns):
                self.report.failed.append(Failure(file.path, failure.reason))
            else:
                changed.append(file)
        if returned or readable:
            with self.catalog.transaction() as connection:
                mark_missing(connection, returned, None)
                self._delete_rows(connection, schema.failure, readable)
        return changed

    def sidecars(self, known: dict[str, LocationRecord]) -> list[ImageFile]:
        """The files whose sidecar was added, changed or removed, or now belongs to another image."""
        pairs = ((file, known.get(file.path)) for file in self.files)
        return [f for f, record in pairs if record is not None and record.sidecar_mtime_ns != f.sidecar_mtime_ns]

    def index(self, files: Sequence[ImageFile], batch_size: int, advance: Callable[[int], None]) -> None:
        """Read files in threads; encode and commit them in batches."""
        done = 0
        advance(0)
        if not files:
            return
        active, encoder = self.catalog.active_encoder(), self.encoder
        if active is None:
            encoder_id = self.catalog.use_encoder(
                encoder.name, encoder.fingerprint, encoder.dimension, encoder.directory
            )
        else:
            encoder_id = active.id
        self.writer = BatchWriter(self.catalog, encoder, encoder_id, self.known, self.report)
        with closing(read_ahead(self._read, files, 3 * batch_size)) as pictures:
            for batch in batches(pictures, batch_size):
                self.writer.commit(batch)
                done += len(batch)
                advance(done)
                if self.stop.is_set():
                    self.report.stopped = True
                    return

    def _read(self, file: ImageFile) -> Picture | tuple[ImageFile, str]:
        """Hash a file, and decode it if its content is new; return the reason if it fails. Called in a thread."""
        hashes = {} if self.writer is None else self.writer.hashes
        try:
            with read_file(Path(file.path)) as data:
                digest = hashlib.sha256(data).hexdigest()
                if digest in hashes:
                    return Picture(file, digest, None, None)
                image, metadata = read_picture(data, at_least=reading_size(self.encoder.input_size))
            return Picture(file, digest, metadata, self.encoder.prepare(image))
        except ReadError as exc:  # may succeed although the file does not change, so every run tries again
            return file._replace(mtime_ns=NEVER), str(exc)
        except DecodeError as exc:
            return file, str(exc)

    def resolve_displaced(self) -> None:
        """Delete the displaced images that were not found at another path, now that all files have been seen."""
        if is_settled(self.catalog):
            return
        displaced = set() if self.writer is None else self.writer.displaced
        with self.catalog.transaction() as connection:
            resolve_displaced(
                connection,
                lambda image_id, was_at: image_id in displaced or self.survey.covers_root_of(was_at),
            )

    def hide_missing(self, *, prune: bool) -> None:
        """Hide the files that are missing or unreadable; with `prune`, remove those that are gone for good."""
        missing = [record for path, record in self.known.items() if self.survey.is_missing(path)]
        lost = {record.path for record in missing if self.survey.is_lost(record.path)}
        hidden = [record for record in missing if record.path not in lost]
        failures = recorded_failures(self.catalog)
        unreadable = self._unreadable(failures)
        obsolete = [f.path for f in failures if self.survey.is_missing(f.path) and self.survey.is_lost(f.path)]
        self.report.missing = len(missing)
        self.report.away = sorted({self.survey.owner(record.path) or "" for record in hidden} & self.roots)
        if not (missing or unreadable or obsolete):
            return
        with self.catalog.transaction() as connection:
            if prune:
                self._delete_rows(connection, schema.location, sorted(lost | {record.path for record in unreadable}))
                self._delete_rows(connection, schema.root, sorted(lost & self.roots))
                self.report.removed = len(forget_images(connection, orphaned_images(connection)))
            paths = [record.path for record in (hidden if prune else missing + unreadable) if not record.missing]
            mark_missing(connection, paths, datetime.now(UTC).isoformat(timespec="seconds"))
            self._delete_rows(connection, schema.failure, obsolete)

    def _unreadable(self, failures: Sequence[FailureRecord]) -> list[LocationRecord]:
        """The indexed files that were overwritten with something that is not an image.

        This excludes files that the system refused to read: their failures have no modification time.
        """
        present = {file.path: (file.size, file.mtime_ns) for file in self.files}
        return [
            self.known[failure.path]
            for failure in failures
            if failure.path in self.known and present.get(failure.path) == (failure.size, failure.mtime_ns)
        ]

    def _delete_rows(self, connection: Connection, table: Table, paths: Sequence[str]) -> None:
        """Delete the rows of a table for some paths."""
        for start in range(0, len(paths), 500):
            connection.execute(delete(table).where(table.c.path.in_(paths[start : start + 500])))


def _printable(path: str) -> str:
    """Replace the undecodable bytes of a path with question marks."""
    return path.encode("utf-8", "replace").decode()
