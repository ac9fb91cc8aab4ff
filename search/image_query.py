"""The image of a query: a file, the id of an indexed image, or a picture in memory."""

from __future__ import annotations

import operator
import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, SupportsIndex, cast

import numpy.typing as npt
from PIL import Image

from encoders import Floats
from indexer import Catalog, open_image
from indexer.catalog.embeddings import stored_features
from indexer.catalog.images import image_id_at, images_by_id
from indexer.catalog.records import Kind
from indexer.errors import DecodeError, ReadError
from indexer.pictures.sources import PictureSource, is_picture_source

from .errors import ImageNotFoundError, QueryError
from .model_index import ModelIndex

ImageQuery = PictureSource | SupportsIndex
"""A file, the id of an indexed image, or a picture in memory: the bytes of a file, a Pillow image, or an array."""

LARGEST_ID = 2**63 - 1
"""What SQLite can store."""

READ_PIXELS = 1024
"""Minimum pixels of the shorter side of a decoded picture, unless the file has fewer."""


@dataclass(frozen=True)
class QueryImage:
    """The features of a query's image, and its id if it is indexed.

    Shape:
        - vector: (D,).
        - regions: (P, C).
    """

    vector: Floats
    regions: Floats
    image_id: int | None


def query_features(model: ModelIndex, image: ImageQuery) -> QueryImage:
    """Return the features of an image: the stored ones if it is indexed and unchanged, else computed ones.

    Raises:
        QueryError: the image does not exist, or is not an image.
    """
    catalog = model.catalog
    image = _normalized(image)
    image_id = _indexed(catalog, image) if isinstance(image, Path) else image if isinstance(image, int) else None
    if image_id is not None and catalog.active_encoder() is not None:
        ids, vectors, regions = stored_features(catalog, Kind.IMAGE, [image_id])
        if ids:  # else it was deleted, or this model has not embedded it
            return QueryImage(vectors[0], regions[0], image_id)
    encoder = model.encoder
    features = encoder.encode_images(encoder.prepare(read_picture(catalog, image))[None])
    return QueryImage(features.vectors[0], features.regions[0], None)


def read_picture(catalog: Catalog, image: ImageQuery) -> Image.Image:
    """Return the picture in RGB.

    Raises:
        QueryError: the image does not exist, or is not an image.
    """
    image = _normalized(image)
    source = image_path(catalog, image) if isinstance(image, int) else image
    try:
        return open_image(source, at_least=READ_PIXELS)
    except DecodeError as exc:
        if isinstance(image, int) and isinstance(exc, ReadError):
            raise ImageNotFoundError(f"the file of image {image} is gone; index its folder again") from exc
        name = f"image {image}" if isinstance(image, int) else image if isinstance(image, Path) else "the picture"
        raise QueryError(f"{name}: {exc}") from exc


def image_path(catalog: Catalog, image_id: int) -> Path:
    """The file of an indexed image.

    Raises:
        ImageNotFoundError: the image does not exist, or all its files are gone.
    """
    record = images_by_id(catalog, [image_id]).get(image_id)
    if record is None:
        raise ImageNotFoundError(f"no image has the id {image_id}")
    if record.path is None:
        raise ImageNotFoundError(
            f"the files of image {image_id} are missing; index their folder again when they are back"
        )
    return record.path


def describe(image: ImageQuery) -> str:
    """The text that stands for the image in an answer's `query`."""
    image = _normalized(image)
    return str(image) if isinstance(image, Path | int) else "picture"


def _normalized(image: ImageQuery) -> Path | int | bytes | bytearray | memoryview | Image.Image | npt.NDArray[Any]:
    """Return paths as `Path`, and ids as `int`.

    Raises:
        QueryError: it is neither of these, nor a picture.
        ImageNotFoundError: no image can have this id.
    """
    if isinstance(image, str | os.PathLike):
        return Path(image)
    if is_picture_source(image):
        return cast("bytes | Image.Image", image)
    if not isinstance(image, bool):
        with suppress(TypeError):
            image_id = operator.index(cast(SupportsIndex, image))
            if 0 < image_id <= LARGEST_ID:
                return image_id
            raise ImageNotFoundError(f"no image has the id {image_id}")
    raise QueryError(
        f"an image is given as a path, an id, the bytes of a file, a Pillow image or an array, not as {image!r:.80}"
    )


def _indexed(catalog: Catalog, path: Path) -> int | None:
    """The id of the image in a file, if the file is unchanged since it was indexed."""
    try:
        status = path.stat()
    except (OSError, ValueError) as exc:
        raise ImageNotFoundError(f"no such image: {path}") from exc
    return image_id_at(catalog, Path(os.path.abspath(path)), size=status.st_size, mtime_ns=status.st_mtime_ns)
