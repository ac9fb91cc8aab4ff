"""What a model has not embedded yet: images from their files, captions from the catalog; in batches, each committed.

A run that is killed or stopped loses at most the batch in flight; the next one does the rest.
"""

from __future__ import annotations

import hashlib
import threading
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import numpy as np
from PIL import Image

from encoders import ImageFeatures, Pixels, TextFeatures
from encoders.progress import Progress, no_progress

from ..catalog.catalog import Catalog
from ..catalog.records import ImageRecord, Kind
from ..errors import DecodeError
from ..pictures.decode import read_picture, reading_size
from ..pictures.safe_read import read_file

DECODE_THREADS = 4
TEXTS = 256  # captions in one forward pass and one transaction


class EmbeddingPort(Protocol):
    """What embedding needs of a model."""

    @property
    def input_size(self) -> int:
        """S, in pixels."""
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
class Unread:
    """An image that cannot be embedded: none of its files is there, unchanged and whole."""

    image_id: int
    path: str
    reason: str


@dataclass
class Completion:
    """How many images and captions were embedded, and which images could not be."""

    images: int = 0
    captions: int = 0
    unread: list[Unread] = field(default_factory=list)
    stopped: bool = False


def complete(
    catalog: Catalog,
    encoder: EmbeddingPort,
    *,
    batch_size: int = 32,
    progress: Progress = no_progress,
    stop: threading.Event | None = None,
) -> Completion:
    """Embed every image and caption that a model has not embedded yet.

    Args:
        catalog: the index as that model sees it, from `Catalog.for_model`.
        encoder: the model; not touched where nothing is to be done.
        batch_size: pictures in one forward pass and one transaction.
        progress: called as work goes on.
        stop: set it to end after the batch in flight has been committed.

    Raises:
        CatalogError: the catalog cannot be written, or does not hold the model any more.
    """
    run = _Run(catalog, encoder, stop or threading.Event(), progress)
    run.images(catalog.unembedded(Kind.IMAGE).tolist(), batch_size)
    if not run.outcome.stopped:
        run.captions(catalog.unembedded(Kind.CAPTION).tolist())
    return run.outcome


class _Run:
    """One run of one model."""

    def __init__(self, catalog: Catalog, encoder: EmbeddingPort, stop: threading.Event, progress: Progress) -> None:
        self.catalog, self.encoder, self.stop, self.progress = catalog, encoder, stop, progress
        self.outcome = Completion()

    def images(self, ids: list[int], batch_size: int) -> None:
        """Read in threads, the next batches while one is encoded; encode and commit."""
        if not ids:
            return
        digests = {image_id: digest for digest, image_id in self.catalog.content_hashes().items()}
        with ThreadPoolExecutor(DECODE_THREADS, thread_name_prefix="decode") as pool:
            done = 0
            for batch in self._read_ahead(pool, ids, digests, batch_size):
                self._embed(batch)
                done += len(batch)
                self.progress("embedding images", done, len(ids))
                if self.stop.is_set():
                    self.outcome.stopped = True
                    pool.shutdown(cancel_futures=True)
                    return

    def _read_ahead(
        self, pool: ThreadPoolExecutor, ids: list[int], digests: dict[int, str], batch_size: int
    ) -> Iterator[list[tuple[int, Pixels | Unread]]]:
        """Batches of pictures in order, with two in the making."""
        coming: deque[list[tuple[int, Future[Pixels | Unread]]]] = deque()
        for start in range(0, len(ids), batch_size):
            records = self.catalog.images(ids[start : start + batch_size])
            coming.append([(i, pool.submit(self._read, record, digests[i])) for i, record in sorted(records.items())])
            if len(coming) > 2:
                yield [(i, future.result()) for i, future in coming.popleft()]
        for batch in coming:
            yield [(i, future.result()) for i, future in batch]

    def _read(self, record: ImageRecord, digest: str) -> Pixels | Unread:
        """In a thread: the first of an image's files that still holds it."""
        paths = sorted(record.paths, key=lambda path: path != record.path)
        where, reason = paths[0] if paths else Path(), "its files are gone"
        for path in paths:
            try:
                if not path.is_file():
                    continue
                with read_file(path) as data:
                    if hashlib.sha256(data).hexdigest() == digest:
                        picture, _ = read_picture(data, at_least=reading_size(self.encoder.input_size))
                        return self.encoder.prepare(picture)
                where, reason = path, "it has changed since it was indexed"
            except DecodeError as exc:
                where, reason = path, str(exc)
        return Unread(record.id, str(where), reason)

    def _embed(self, batch: list[tuple[int, Pixels | Unread]]) -> None:
        self.outcome.unread += [found for _, found in batch if isinstance(found, Unread)]
        pictures = {i: found for i, found in batch if not isinstance(found, Unread)}
        if pictures:
            features = self.encoder.encode_images(np.stack(list(pictures.values())))
            self.outcome.images += self.catalog.add_embeddings(
                Kind.IMAGE, list(pictures), features.vectors, list(features.regions)
            )

    def captions(self, ids: list[int]) -> None:
        """Sentences of like length together, which costs the least padding."""
        records = sorted(self.catalog.captions(ids).values(), key=lambda record: len(record.text))
        for start in range(0, len(records), TEXTS):
            if self.stop.is_set():
                self.outcome.stopped = True
                return
            part = records[start : start + TEXTS]
            features = self.encoder.encode_texts([record.text for record in part])
            self.outcome.captions += self.catalog.add_embeddings(
                Kind.CAPTION, [record.id for record in part], features.vectors, features.tokens
            )
            self.progress("embedding captions", min(start + TEXTS, len(records)), len(records))
