"""Write what an indexing run has read: images with their embeddings, locations, failures. One transaction per batch."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from sqlalchemy import Connection, delete, insert, select, update
from sqlalchemy.dialects.sqlite import insert as upsert

from encoders import Encoder, ImageFeatures, Pixels

from ..catalog import schema
from ..catalog.catalog import Catalog
from ..catalog.embeddings import write_embedding
from ..catalog.images import content_hashes
from ..catalog.records import Kind, LocationRecord
from ..catalog.words import folded, words_of
from ..pictures.metadata import PictureMetadata
from .displaced import note_displaced, note_new
from .scan import ImageFile

NEVER = -1
"""A modification time that no file has, so that the next run reads the file again."""


@dataclass(frozen=True)
class Failure:
    """A file that could not be indexed, and the reason."""

    path: str
    reason: str


@dataclass
class IndexReport:
    """The outcome of a run. Counts are files unless stated otherwise.

    - `failed` includes earlier failures whose files are unchanged.
    - `missing` files are hidden; with `prune`, `removed` counts the images that were deleted with them.
    - `away` lists the roots below which no image is found any more: see `roots.py`.
    - `completed` counts indexed images and captions that the model had not embedded yet.
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
class Picture:
    """A file that was read: its SHA-256, and unless the catalog has that content, its metadata and pixels."""

    file: ImageFile
    digest: str
    metadata: PictureMetadata | None
    pixels: Pixels | None


class BatchWriter:
    """Writes the batches of one run.

    `hashes` maps content hashes to image ids; `displaced` are the ids of images whose path now holds another image.
    """

    def __init__(
        self,
        catalog: Catalog,
        encoder: Encoder,
        encoder_id: int,
        known: dict[str, LocationRecord],
        report: IndexReport,
    ) -> None:
        self._catalog, self._encoder, self._encoder_id = catalog, encoder, encoder_id
        self._known, self._report = known, report
        self.hashes = content_hashes(catalog)
        self.displaced: set[int] = set()

    def commit(self, batch: Sequence[Picture | tuple[ImageFile, str]]) -> None:
        """Encode the new images of a batch, and write the batch in one transaction.

        Args:
            batch: the files that were read, and those that could not be, each with the reason.
        """
        pictures = [item for item in batch if isinstance(item, Picture)]
        failures = [item for item in batch if not isinstance(item, Picture)]
        new_pictures = {p.digest: p for p in pictures if p.pixels is not None and p.digest not in self.hashes}
        features = self._encode(list(new_pictures.values()))
        with self._catalog.transaction() as connection:
            for row, (digest, picture) in enumerate(new_pictures.items()):
                image_id = self._insert_image(connection, picture)
                write_embedding(
                    connection, self._encoder_id, Kind.IMAGE, image_id, features.vectors[row], features.regions[row]
                )
                self.hashes[digest] = image_id
            new = set(new_pictures)
            for picture in pictures:
                self._write_location(connection, picture, new)
            for file, reason in failures:
                self._write_failure(connection, file, reason)

    def _encode(self, pictures: Sequence[Picture]) -> ImageFeatures:
        if not pictures:
            return ImageFeatures(np.empty((0, 0), np.float32), np.empty((0, 0, 0), np.float32))
        return self._encoder.encode_images(np.stack([p.pixels for p in pictures if p.pixels is not None]))

    def _insert_image(self, connection: Connection, picture: Picture) -> int:
        values = {name: getattr(picture.metadata, name) for name in PictureMetadata.__dataclass_fields__}
        row = insert(schema.image).values(content_hash=picture.digest, **values)
        image_id = connection.execute(row.returning(schema.image.c.id)).scalar_one()
        note_new(connection, image_id)
        return image_id

    def _write_location(self, connection: Connection, picture: Picture, new: set[str]) -> None:
        """Write a file's location, and count it in the report.

        Args:
            connection: an open transaction.
            picture: the file.
            new: digests of the batch's new images that have no location yet.
        """
        file, path, image_id = picture.file, picture.file.path, self.hashes[picture.digest]
        previous = self._known.get(path)
        values = {"image_id": image_id, "size": file.size, "mtime_ns": file.mtime_ns, "missing_since": None}
        if previous is not None and previous.image_id != image_id:
            self._displace(connection, previous)
        words = {"folded": folded(path), "words": words_of(path)}
        statement = upsert(schema.location).values(path=path, **words, **values)
        connection.execute(statement.on_conflict_do_update(index_elements=["path"], set_=values))
        connection.execute(delete(schema.failure).where(schema.failure.c.path == path))
        if previous is not None or (picture.digest not in new and self._was_moved(connection, image_id, path)):
            self._report.updated += 1
        elif picture.digest in new:
            self._report.added += 1
            new.discard(picture.digest)
        else:
            self._report.duplicates += 1

    def _was_moved(self, connection: Connection, image_id: int, path: str) -> bool:
        """Whether an image has no other file that still exists, so this one was renamed or moved."""
        c = schema.location.c
        others = connection.execute(select(c.path).where((c.image_id == image_id) & (c.path != path))).all()
        return not any(os.path.lexists(row.path) for row in others)

    def _displace(self, connection: Connection, previous: LocationRecord) -> None:
        """Record that a path now holds another image, which its sidecar belongs to as well."""
        note_displaced(connection, previous.image_id, previous.path)
        self.displaced.add(previous.image_id)
        # This way the sidecars at all locations of the displaced image are read again.
        locations = update(schema.location).where(schema.location.c.image_id == previous.image_id)
        connection.execute(locations.values(sidecar_mtime_ns=NEVER))

    def _write_failure(self, connection: Connection, file: ImageFile, reason: str) -> None:
        values = {"reason": reason, "size": file.size, "mtime_ns": file.mtime_ns}
        statement = upsert(schema.failure).values(path=file.path, **values)
        connection.execute(statement.on_conflict_do_update(index_elements=["path"], set_=values))
        self._report.failed.append(Failure(file.path, reason))
