"""Indexing: scan, decode, encode in batches, commit. A killed run loses at most the batch in flight."""

from __future__ import annotations

import hashlib
import os
import threading
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import closing
from pathlib import Path

from encoders import Encoder
from encoders.datasets import CaptionFile
from encoders.progress import Progress, no_progress

from ..catalog import schema
from ..catalog.catalog import Catalog
from ..catalog.contents import indexed_roots, recorded_failures
from ..catalog.exclusions import stored_exclusions, write_exclusions
from ..catalog.images import (
    is_settled,
    known_locations,
    mark_missing,
    record_ctimes,
)
from ..catalog.records import FailureRecord, LocationRecord
from ..errors import DecodeError, ReadError
from ..pictures.decode import read_picture, reading_size
from ..pictures.safe_read import read_file
from ..vectors.rebuild import refresh
from .annotations import annotate, read_records
from .backfill import backfill
from .captions import index_captions
from .displaced import resolve_displaced
from .lock import locked
from .missing import delete_rows, hide_missing
from .picture import Picture
from .reach import Reach
from .reading import batches, read_ahead
from .roots import Survey, add_roots, check_paths, known_roots
from .rules import typed_patterns
from .scan import ImageFile, Scan, scan
from .writing import NEVER, BatchWriter, Failure, IndexReport


@locked
def index_paths(
    catalog: Catalog,
    encoder: Encoder,
    paths: Sequence[Path],
    *,
    captions: CaptionFile | None = None,
    prune: bool = False,
    exclude: Sequence[str] | None = None,
    found: Collection[str] = (),
    again: bool = False,
    batch_size: int = 32,
    progress: Progress = no_progress,
    stop: threading.Event | None = None,
) -> IndexReport:
    """Bring the index up to date with the image files below some paths.

    Files whose size and times are unchanged are not opened, and known content is not encoded again. Sidecar captions
    (`NAME.txt`) are read when they are new or changed. The images of files that are missing, left out, or no longer
    readable as images, are hidden until the files are back.

    Args:
        catalog: an open index; if it has no model yet, `encoder` becomes its active one.
        encoder: the model.
        paths: folders and files, which become roots of the index; none for all its roots.
        captions: captions from a file, matched by file name or by the end of the path.
        prune: remove such files instead of hiding them, where they are gone for good: see `roots.py`.
        exclude: patterns of what to leave out of these folders from now on, as in a `.gitignore` file; none to leave
            nothing out, None to keep the patterns of earlier runs.
        found: those of the paths that nobody named, because a walk found them; they have no patterns of their own.
        again: read, decode and embed unchanged files as well; their captions stay.
        batch_size: pictures in one forward pass and one transaction.
        progress: called as work goes on.
        stop: set it to end the run after the batch in flight has been committed.

    Raises:
        SourceError: a path does not exist, there is no image file, or the index has no roots.
        PatternError: a pattern cannot be used.
        IndexBusyError: another process is indexing there.
        CatalogError: the index belongs to another model, or cannot be written.
    """
    start = time.perf_counter()
    bases = [os.path.abspath(path) for path in paths] or known_roots(catalog)
    catalog.check_encoder(encoder.name, encoder.fingerprint)
    catalog = catalog.for_model(encoder.name, encoder.fingerprint)  # another may become active during the run
    given = [path for path in bases if path not in found]
    folders = [] if exclude is None else [path for path in given if Path(path).is_dir()]
    excluded = {folder: tuple(typed_patterns(exclude or (), folder)) for folder in folders}
    reach = Reach.of(catalog, given, stored_exclusions(catalog) | excluded)
    known = known_locations(catalog, bases)
    result = scan(reach.outermost(bases), reach, known)
    if paths:
        check_paths(catalog, bases, result)
    if excluded:
        with catalog.transaction() as connection:
            for folder, patterns in excluded.items():
                write_exclusions(connection, folder, patterns)
    add_roots(catalog, given, result, reach)
    run = _Run(catalog, encoder, bases, result, reach, known, stop or threading.Event(), again=again)
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
    reach, known = Reach.of(catalog), known_locations(catalog, paths)
    result = scan(reach.outermost(paths), reach, known)
    add_roots(catalog, (), result, reach)
    run = _Run(catalog, encoder, paths, result, reach, known, stop or threading.Event())
    run.execute(None, batch_size, progress, prune=False)
    if run.report.added or run.report.updated or run.report.captions_added:
        run.report.stopped |= not refresh(catalog, run.stop, progress)
    run.report.seconds = time.perf_counter() - start
    return run.report


class _Run:
    """One indexing run over one catalog."""

    def __init__(
        self,
        catalog: Catalog,
        encoder: Encoder,
        bases: Collection[str],
        result: Scan,
        reach: Reach,
        known: dict[str, LocationRecord],
        stop: threading.Event,
        *,
        again: bool = False,
    ) -> None:
        self.catalog, self.encoder, self.stop, self.again = catalog, encoder, stop, again
        self.bases, self.files, self.known = bases, result.files, known
        self.survey = Survey(result, bases, set(indexed_roots(catalog)), reach)
        self.report = IndexReport(seen=len(result.files), left_out=result.left_out)
        self.writer: BatchWriter | None = None
        self.report.failed += [Failure(_printable(item.path), item.reason) for item in result.unreadable]

    def execute(self, captions: CaptionFile | None, batch_size: int, progress: Progress, *, prune: bool) -> None:
        """Index the images, handle displaced and missing ones, then index the captions."""
        files = self.select_changed()
        self.index(files, batch_size, lambda done: progress("images", done, len(files)))
        if not self.report.stopped:
            self.resolve_displaced()
            hide_missing(self.catalog, self.files, self.known, self.survey, self.report, prune=prune)
            known = known_locations(self.catalog, self.bases) if files else self.known
            self.read_records(known, progress)
        if not self.report.stopped:
            sidecars = self.sidecars(known)
            outcome = index_captions(
                self.catalog, self.encoder, sidecars, captions, self.stop, lambda *done: progress("captions", *done)
            )
            self.report.captions_added, self.report.captions_unmatched = outcome.added, outcome.unmatched
            self.report.unmatched_images = outcome.unmatched_images
            self.report.failed += [Failure(str(path), reason) for path, reason in outcome.refused]
            self.report.stopped = outcome.stopped

    def select_changed(self) -> list[ImageFile]:
        """Return the new and changed files, with `again` all; count the others, and unhide those that were missing.

        Catalogs of version 5 have no change times, so these are recorded, and compared from the next run on.
        """
        if self.again:
            return self.files
        failures = {failure.path: failure for failure in recorded_failures(self.catalog)}
        changed, readable, returned = [], [], dict[str, int]()
        for file in self.files:
            record, failure = self.known.get(file.path), failures.get(file.path)
            if record is not None and _unchanged(record, file):
                self.report.unchanged += 1
                if record.missing:
                    returned[file.path] = record.image_id
                if failure is not None:  # its earlier version was restored
                    readable.append(file.path)
            elif failure is not None and _unchanged(failure, file):
                self.report.failed.append(Failure(file.path, failure.reason))
            else:
                changed.append(file)
        undated = {schema.location: self._undated(self.known), schema.failure: self._undated(failures)}
        if returned or readable or any(undated.values()):
            with self.catalog.transaction() as connection:
                mark_missing(connection, list(returned), None)
                annotate(connection, sorted(set(returned.values())))
                delete_rows(connection, schema.failure, readable)
                for table, ctimes in undated.items():
                    record_ctimes(connection, table, ctimes)
        return changed

    def _undated(self, records: Mapping[str, LocationRecord | FailureRecord]) -> list[tuple[str, int]]:
        """The change times of the unchanged files whose records have none."""
        old = {path: record for path, record in records.items() if record.ctime_ns is None}
        pairs = ((file, old.get(file.path)) for file in (self.files if old else ()))
        return [(f.path, f.ctime_ns) for f, r in pairs if r is not None and f.ctime_ns is not None and _unchanged(r, f)]

    def read_records(self, known: dict[str, LocationRecord], progress: Progress) -> None:
        """Read XMP sidecars, and records of pictures that an earlier version has indexed."""
        self.report.records, notes = read_records(
            self.catalog, self.files, known, self.stop, lambda *done: progress("metadata", *done), again=self.again
        )
        self.report.notes += [Failure(path, note) for path, note in notes]
        self.report.stopped = self.stop.is_set()

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
        self.writer = BatchWriter(
            self.catalog,
            encoder,
            encoder_id,
            self.known,
            self.report,
            read=self._read,
            is_alias=self.survey.is_alias,
            again=self.again,
        )
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
        try:
            with read_file(Path(file.path)) as data:
                digest = hashlib.sha256(data).hexdigest()
                if self.writer is not None and not self.writer.is_new(digest):
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


def _unchanged(record: LocationRecord | FailureRecord, file: ImageFile) -> bool:
    """Whether a file has the size and times of its record. Only the change time reveals an edit that sets the other."""
    same = record.size == file.size and record.mtime_ns == file.mtime_ns
    return same and record.ctime_ns in (None, file.ctime_ns)


def _printable(path: str) -> str:
    """Replace the undecodable bytes of a path with question marks."""
    return path.encode("utf-8", "replace").decode()
