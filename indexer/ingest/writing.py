"""Write what an indexing run has read: images with their embeddings, locations, failures. One transaction per batch."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeGuard, cast

import numpy as np
from sqlalchemy import Connection, delete, insert, select, update
from sqlalchemy.dialects.sqlite import insert as upsert

from encoders import Encoder, ImageFeatures

from ..catalog import schema
from ..catalog.catalog import Catalog
from ..catalog.embeddings import stored_features, write_embedding
from ..catalog.images import content_hashes, release_hash, replace_image
from ..catalog.records import Kind, LocationRecord
from ..catalog.words import folded, words_of
from ..pictures.metadata import PictureMetadata
from .annotations import RECORD_VERSION, annotate, record_of
from .displaced import note_displaced, note_new
from .edits import EditedImage, edited_images, images_with_pixels
from .picture import Picture
from .rules import LeftOut
from .scan import ImageFile

NEVER = -1
"""A modification time that no file has, so that the next run reads the file again."""


@dataclass(frozen=True)
class Failure:
    """A file that could not be indexed, or not without a note, and the reason."""

    path: str
    reason: str


@dataclass
class IndexReport:
    """The outcome of a run. Counts are files unless stated otherwise.

    - `failed` includes earlier failures whose files are unchanged.
    - `notes` are about files that were indexed although something in them could not be read.
    - `missing` files are hidden; with `prune`, `removed` counts the images that were deleted with them.
    - `excluded` files are in the index, hidden because a pattern or a default leaves them out now.
    - `left_out` counts all that the walk left out: see `rules.py`.
    - `away` lists the roots below which no image is found any more: see `roots.py`.
    - `unmatched_images` names pictures of captions that match no image, or several; at most a thousand.
    - `records` counts the sidecars with metadata that were read, and the pictures whose metadata was read again.
    - `completed` counts indexed images and captions that the model had not embedded yet.
    """

    seen: int = 0
    added: int = 0
    updated: int = 0
    unchanged: int = 0
    duplicates: int = 0
    failed: list[Failure] = field(default_factory=list)
    notes: list[Failure] = field(default_factory=list)
    missing: int = 0
    excluded: int = 0
    removed: int = 0
    away: list[str] = field(default_factory=list)
    captions_added: int = 0
    captions_unmatched: int = 0
    unmatched_images: list[str] = field(default_factory=list)
    left_out: LeftOut = field(default_factory=LeftOut)
    records: int = 0
    completed: int = 0
    stopped: bool = False
    seconds: float = 0.0


class BatchWriter:
    """Writes the batches of one run.

    - `read` reads a file that has to be read again.
    - `hashes` maps content hashes to image ids.
    - `displaced` are the ids of images whose path now holds another image.
    - With `again`, known images that were decoded are replaced by new ones, which take over their files and captions.
    """

    def __init__(
        self,
        catalog: Catalog,
        encoder: Encoder,
        encoder_id: int,
        known: dict[str, LocationRecord],
        report: IndexReport,
        *,
        read: Callable[[ImageFile], Picture | tuple[ImageFile, str]],
        is_alias: Callable[[str], bool] = lambda _: False,
        again: bool = False,
    ) -> None:
        self._catalog, self._encoder, self._encoder_id = catalog, encoder, encoder_id
        self._known, self._report, self._read = known, report, read
        self._is_alias, self._again = is_alias, again
        self.hashes = content_hashes(catalog)
        self._renewed: dict[int, int] = {}  # ids of replaced images, and of those that replaced them
        self._inserted: set[int] = set()
        self.displaced: set[int] = set()

    def commit(self, batch: Sequence[Picture | tuple[ImageFile, str]]) -> None:
        """Encode the new images of a batch, and write the batch in one transaction.

        Args:
            batch: the files that were read, and those that could not be, each with the reason.
        """
        batch = [self._read(item.file) if self._is_stale(item) else item for item in batch]
        pictures = [item for item in batch if isinstance(item, Picture)]
        failures = [item for item in batch if not isinstance(item, Picture)]
        new_pictures = {p.digest: p for p in pictures if p.pixels is not None and self.is_new(p.digest)}
        decoded = [p for p in pictures if p.digest in new_pictures]
        kept = {p.digest for p in pictures if p.pixels is None}
        edited = {} if self._again else edited_images(self._catalog, decoded, self._known, kept)
        rewritten = [new_pictures.pop(digest) for digest in edited]
        unknown = new_pictures.keys() - self.hashes.keys()
        features = self._encode(list(new_pictures.values()))
        with self._catalog.transaction() as connection:
            for picture in rewritten:
                self._rewrite_image(connection, picture, edited[picture.digest])
            for row, (digest, picture) in enumerate(new_pictures.items()):
                image_id = self._insert_image(connection, picture)
                write_embedding(
                    connection, self._encoder_id, Kind.IMAGE, image_id, features.vectors[row], features.regions[row]
                )
                if digest in self.hashes:
                    replace_image(connection, self.hashes[digest], image_id)
                    self._renewed[self.hashes[digest]] = image_id
                self.hashes[digest] = image_id
                self._inserted.add(image_id)
            lost: set[int] = set()
            for picture in pictures:
                self._write_location(connection, picture, unknown, lost)
            annotate(connection, sorted(lost.union(self.hashes[picture.digest] for picture in pictures)))
            for file, reason in failures:
                self._write_failure(connection, file, reason)

    def _is_stale(self, item: Picture | tuple[ImageFile, str]) -> TypeGuard[Picture]:
        """Whether a file was not decoded because an image had its content, which was edited since."""
        return isinstance(item, Picture) and item.pixels is None and item.digest not in self.hashes

    def is_new(self, digest: str) -> bool:
        """Whether the catalog has no image of this content, or one that is to be replaced."""
        image_id = self.hashes.get(digest)
        return image_id is None or (self._again and image_id not in self._inserted)

    def _encode(self, pictures: Sequence[Picture]) -> ImageFeatures:
        """Encode pictures, except those whose pixels an image has already: they get its vectors and regions."""
        twins = {} if self._again else images_with_pixels(self._catalog, pictures)
        new = [p.pixels for p in pictures if p.pixels is not None and p.pixel_hash not in twins]
        if not new and not twins:
            return ImageFeatures(np.empty((0, 0), np.float32), np.empty((0, 0, 0), np.float32))
        encoded = self._encoder.encode_images(np.stack(new)) if new else None
        fresh = iter(()) if encoded is None else zip(encoded.vectors, encoded.regions, strict=True)
        ids, *features = stored_features(self._catalog, Kind.IMAGE, sorted(set(twins.values())))
        stored = dict(zip(ids, zip(*features, strict=True), strict=True))
        rows = [stored[twins[p.pixel_hash]] if p.pixel_hash in twins else next(fresh) for p in pictures]
        vectors, regions = (np.stack(part) for part in zip(*rows, strict=True))
        return ImageFeatures(vectors, regions)

    def _insert_image(self, connection: Connection, picture: Picture) -> int:
        row = insert(schema.image).values(content_hash=picture.digest, **_image_values(picture))
        self._note(picture)
        if picture.digest in self.hashes:
            release_hash(connection, self.hashes[picture.digest])
        image_id = connection.execute(row.returning(schema.image.c.id)).scalar_one()
        note_new(connection, image_id)
        return image_id

    def _rewrite_image(self, connection: Connection, picture: Picture, image: EditedImage) -> None:
        """Give an image the content of a file in which only the metadata was edited."""
        values = {"content_hash": picture.digest} | _image_values(picture)
        connection.execute(update(schema.image).where(schema.image.c.id == image.id).values(values))
        c = schema.location.c  # a missing file had the content before, and is read again if it comes back
        connection.execute(delete(schema.location).where(c.image_id == image.id, c.missing_since.is_not(None)))
        self._note(picture)
        del self.hashes[image.content_hash]
        self.hashes[picture.digest] = image.id

    def _note(self, picture: Picture) -> None:
        notes = () if picture.metadata is None else picture.metadata.words.notes
        self._report.notes += [Failure(picture.file.path, note) for note in notes]

    def _write_location(self, connection: Connection, picture: Picture, new: set[str], lost: set[int]) -> None:
        """Write a file's location, and count it in the report.

        Args:
            connection: an open transaction.
            picture: the file.
            new: digests of unknown content whose first location this may be.
            lost: receives the id of the image that was there.
        """
        file, path, image_id = picture.file, picture.file.path, self.hashes[picture.digest]
        previous = self._known.get(path)
        times = {"mtime_ns": file.mtime_ns, "ctime_ns": file.ctime_ns}
        values = {"image_id": image_id, "size": file.size, "missing_since": None, "excluded": None} | times
        was = None if previous is None else self._renewed.get(previous.image_id, previous.image_id)
        same = was == image_id
        if was is not None and not same:
            self._displace(connection, was, path)
            lost.add(was)
        words = {"folded": folded(path), "words": words_of(path)}
        statement = upsert(schema.location).values(path=path, **words, **values)
        connection.execute(statement.on_conflict_do_update(index_elements=["path"], set_=values))
        connection.execute(delete(schema.failure).where(schema.failure.c.path == path))
        if previous is not None and same and not self._again and (previous.size, previous.mtime_ns) == file[1:3]:
            self._report.unchanged += 1  # a changed permission, a new link to the file, or a backup
        elif previous is not None or (picture.digest not in new and self._was_moved(connection, image_id, path)):
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
        return not any(os.path.lexists(row.path) and not self._is_alias(row.path) for row in others)

    def _displace(self, connection: Connection, image_id: int, path: str) -> None:
        """Record that the path of an image now holds another one, which its sidecar belongs to as well."""
        note_displaced(connection, image_id, path)
        self.displaced.add(image_id)
        # This way the sidecars at all locations of the displaced image are read again.
        locations = update(schema.location).where(schema.location.c.image_id == image_id)
        connection.execute(locations.values(sidecar_mtime_ns=NEVER))

    def _write_failure(self, connection: Connection, file: ImageFile, reason: str) -> None:
        values = {"reason": reason, "size": file.size, "mtime_ns": file.mtime_ns, "ctime_ns": file.ctime_ns}
        statement = upsert(schema.failure).values(path=file.path, **values)
        connection.execute(statement.on_conflict_do_update(index_elements=["path"], set_=values))
        self._report.failed.append(Failure(file.path, reason))


def _image_values(picture: Picture) -> dict[str, object]:
    """The columns of an image that its decoded file determines; `annotate` derives the others."""
    metadata = cast(PictureMetadata, picture.metadata)
    return {
        "width": metadata.width,
        "height": metadata.height,
        "format": metadata.format,
        "record": record_of(metadata),
        "record_version": RECORD_VERSION,
        "pixel_hash": picture.pixel_hash,
    }
