"""Edited files of which only the metadata changed: their images keep their ids, vectors and captions."""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping
from typing import NamedTuple

from sqlalchemy import func, select

from ..catalog import schema
from ..catalog.catalog import Catalog
from ..catalog.records import LocationRecord, chunks
from .picture import Picture

_image, _location = schema.image.c, schema.location.c


class EditedImage(NamedTuple):
    """An image whose file has new metadata and the same pixels; `content_hash` is that of the file before."""

    id: int
    content_hash: str


def edited_images(
    catalog: Catalog, pictures: Iterable[Picture], known: Mapping[str, LocationRecord], kept: Container[str]
) -> dict[str, EditedImage]:
    """Find the pictures that have the same pixels as the image that was at their path, and is nowhere else.

    Args:
        catalog: an open index.
        pictures: decoded pictures of content that is new to the catalog.
        known: the catalog's files by path, before this run.
        kept: content hashes that other files have now.

    Returns:
        The images by the content hashes of the pictures, each image once.
    """
    previous = {p.digest: (p.pixel_hash, known[p.file.path].image_id) for p in pictures if p.file.path in known}
    images: dict[int, tuple[str | None, EditedImage]] = {}
    for part in chunks([image_id for _, image_id in previous.values()]):
        files = select(func.count()).where(_location.image_id == _image.id).scalar_subquery()
        query = select(_image.id, _image.pixel_hash, _image.content_hash).where(_image.id.in_(part), files == 1)
        images |= {row.id: (row.pixel_hash, EditedImage(row.id, row.content_hash)) for row in catalog.rows(query)}
    edited: dict[int, str] = {}
    for digest, (pixel_hash, image_id) in previous.items():
        hash_before, image = images.get(image_id, (None, None))
        if image is not None and hash_before == pixel_hash and image.content_hash not in kept:
            edited.setdefault(image_id, digest)
    return {digest: images[image_id][1] for image_id, digest in edited.items()}
