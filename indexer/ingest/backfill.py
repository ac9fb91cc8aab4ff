"""Backfill: embed the images and captions of an index that a model has not embedded yet, and commit batch by batch.

A run that is killed or stopped loses at most the batch in flight; the next run resumes it.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from encoders import Encoder, Pixels
from encoders.progress import Progress, no_progress
from encoders.sentences import encode_in_batches

from ..catalog.captions import captions_by_id
from ..catalog.catalog import Catalog
from ..catalog.embeddings import add_embeddings, unembedded_ids
from ..catalog.images import content_hashes, images_by_id
from ..catalog.records import ImageRecord, Kind
from ..errors import DecodeError
from ..pictures.decode import read_picture, reading_size
from ..pictures.safe_read import read_file
from .reading import batches, read_ahead


@dataclass(frozen=True)
class Unread:
    """An image that cannot be embedded, because none of its files exists with the indexed content and is readable."""

    image_id: int
    path: str
    reason: str


@dataclass
class BackfillReport:
    """The number of images and captions embedded, and the images that could not be."""

    images: int = 0
    captions: int = 0
    unread: list[Unread] = field(default_factory=list)
    stopped: bool = False


def backfill(
    catalog: Catalog,
    encoder: Encoder,
    *,
    batch_size: int = 32,
    progress: Progress = no_progress,
    stop: threading.Event | None = None,
) -> BackfillReport:
    """Embed every image and caption that a model has not embedded yet.

    Args:
        catalog: the index for that model, from `Catalog.for_model`.
        encoder: the model; unused if nothing is left to embed.
        batch_size: pictures in one forward pass and one transaction.
        progress: called as work goes on.
        stop: set it to end after the batch in flight has been committed.

    Raises:
        CatalogError: the catalog cannot be written, or no longer holds the model.
    """
    run = _Run(catalog, encoder, stop or threading.Event(), progress)
    run.images(unembedded_ids(catalog, Kind.IMAGE).tolist(), batch_size)
    if not run.report.stopped:
        run.captions(unembedded_ids(catalog, Kind.CAPTION).tolist())
    return run.report


class _Run:
    """One backfill run."""

    def __init__(self, catalog: Catalog, encoder: Encoder, stop: threading.Event, progress: Progress) -> None:
        self.catalog, self.encoder, self.stop, self.progress = catalog, encoder, stop, progress
        self.report = BackfillReport()

    def images(self, ids: list[int], batch_size: int) -> None:
        """Embed images; files are read in threads, ahead of the batch that is encoded."""
        if not ids:
            return
        hashes = {image_id: digest for digest, image_id in content_hashes(self.catalog).items()}
        done = 0
        with closing(read_ahead(lambda item: self._read(*item), self._records(ids, hashes), 3 * batch_size)) as results:
            for batch in batches(results, batch_size):
                self._embed(batch)
                done += len(batch)
                self.progress("embedding images", done, len(ids))
                if self.stop.is_set():
                    self.report.stopped = True
                    return

    def _records(self, ids: list[int], hashes: dict[int, str]) -> Iterator[tuple[ImageRecord, str]]:
        """Yield images with their content hashes, without those that another process has deleted meanwhile."""
        for part in batches(ids, 256):
            for image_id, record in sorted(images_by_id(self.catalog, part).items()):
                yield record, hashes[image_id]

    def _read(self, record: ImageRecord, digest: str) -> tuple[int, Pixels | Unread]:
        """Decode the first of an image's files that still has its content. Called in a thread."""
        paths = sorted(record.paths, key=lambda path: path != record.path)
        failed_path, reason = paths[0] if paths else Path(), "its files are gone"
        for path in paths:
            try:
                if not path.is_file():
                    continue
                with read_file(path) as data:
                    if hashlib.sha256(data).hexdigest() == digest:
                        picture, _ = read_picture(data, at_least=reading_size(self.encoder.input_size))
                        return record.id, self.encoder.prepare(picture)
                failed_path, reason = path, "it has changed since it was indexed"
            except DecodeError as exc:
                failed_path, reason = path, str(exc)
        return record.id, Unread(record.id, str(failed_path), reason)

    def _embed(self, batch: list[tuple[int, Pixels | Unread]]) -> None:
        self.report.unread += [result for _, result in batch if isinstance(result, Unread)]
        pixels = {image_id: result for image_id, result in batch if not isinstance(result, Unread)}
        if pixels:
            features = self.encoder.encode_images(np.stack(list(pixels.values())))
            self.report.images += add_embeddings(
                self.catalog, Kind.IMAGE, list(pixels), features.vectors, list(features.regions)
            )

    def captions(self, ids: list[int]) -> None:
        """Embed captions."""
        records = list(captions_by_id(self.catalog, ids).values())
        done = 0
        for positions, features in encode_in_batches(self.encoder, [record.text for record in records]):
            self.report.captions += add_embeddings(
                self.catalog,
                Kind.CAPTION,
                [records[position].id for position in positions],
                features.vectors,
                features.tokens,
            )
            done += len(positions)
            self.progress("embedding captions", done, len(records))
            if self.stop.is_set() and done < len(records):
                self.report.stopped = True
                return
