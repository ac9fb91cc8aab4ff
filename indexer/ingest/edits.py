"""Files of which only the metadata differs from one that is indexed: they are not embedded again.

An image whose only file was edited in this way keeps its id.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping
from typing import NamedTuple

from sqlalchemy import func, select

from ..catalog import schema
from ..catalog.catalog import Catalog
from ..catalog.embeddings import is_embedded
from ..catalog.records import Kind, LocationRecord, chunks
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
        is_file = (_location.image_id == _image.id) & _location.missing_since.is_(None)
        files = select(func.count()).where(is_file).scalar_subquery()
        query = select(_image.id, _image.pixel_hash, _image.content_hash).where(_image.id.in_(part), files == 1)
        images |= {row.id: (row.pixel_hash, EditedImage(row.id, row.content_hash)) for row in catalog.rows(query)}
    edited: dict[int, str] = {}
    for digest, (pixel_hash, image_id) in previous.items():
        hash_before, image = images.get(image_id, (None, None))
        if image is not None and hash_before == pixel_hash and image.content_hash not in kept:
            edited.setdefault(image_id, digest)
    return {digest: images[image_id][1] for image_id, digest in edited.items()}


def images_with_pixels(catalog: Catalog, pictures: Iterable[Picture]) -> dict[str, int]:
    """Ids of embedded images with the same pixels as some pictures, by the hash of these pixels."""
    encoder = catalog.active_encoder()
    hashes = list({p.pixel_hash for p in pictures if p.pixel_hash is not None})
    found: dict[str, int] = {}
    if encoder is None:
        return found
    for part in chunks(hashes):
        embedded = is_embedded(encoder.id, Kind.IMAGE, _image.id)
        query = select(_image.pixel_hash, _image.id).where(_image.pixel_hash.in_(part), embedded)
        found |= {row.pixel_hash: row.id for row in catalog.rows(query)}
    return found
