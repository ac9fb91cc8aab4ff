"""Immutable records that the catalog returns."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

BANK = "bank"
"""Source of the captions that belong to no image, for collections without their own captions."""

Ids = npt.NDArray[np.int64]
"""Primary keys of images or captions."""


class Kind(StrEnum):
    """What an embedding represents."""

    IMAGE = "image"
    CAPTION = "caption"


@dataclass(frozen=True)
class EncoderRow:
    """A model whose embeddings the index stores; `path` is its directory, None for the base model."""

    id: int
    name: str
    fingerprint: str
    dimension: int
    path: str | None
    active: bool


@dataclass(frozen=True)
class ImageRecord:
    """An image and its files; `path` is the first one that is not missing, None if all are."""

    id: int
    path: Path | None
    paths: tuple[Path, ...]
    width: int
    height: int
    format: str
    taken_at: str | None


@dataclass(frozen=True)
class CaptionRecord:
    """A caption; `image_id` is None in the caption bank."""

    id: int
    text: str
    image_id: int | None
    source: str


class LocationRecord(NamedTuple):
    """A file as last indexed. A tuple because it is cheap: there is one per file."""

    path: str
    image_id: int
    size: int
    mtime_ns: int
    sidecar_mtime_ns: int | None
    missing: bool
    ctime_ns: int | None
    xmp_mtime_ns: int | None
    excluded: bool


@dataclass(frozen=True)
class FailureRecord:
    """A file that could not be indexed, retried when its size or one of its times changes."""

    path: str
    reason: str
    size: int
    mtime_ns: int
    ctime_ns: int | None


@dataclass(frozen=True)
class CatalogStats:
    """Counts and sizes of an index. Excluded files are not missing; `exclusions` are patterns by folder."""

    images: int
    locations: int
    missing: int
    excluded: int
    captions: dict[str, int]
    failures: int
    encoder: EncoderRow | None
    bytes_on_disk: int
    roots: tuple[str, ...]
    exclusions: dict[str, tuple[str, ...]]


@dataclass(frozen=True)
class Stamp:
    """State of the vectors of one kind: model, count, number of changes to the count, highest id."""

    fingerprint: str = ""
    count: int = 0
    changes: int = 0
    top: int = 0


CHUNK = 500
"""Ids per query, far below SQLite's limit on variables."""


def chunks(items: Sequence[int] | Sequence[str]) -> Iterator[list[int] | list[str]]:
    """Split items, as plain Python values, into lists of `CHUNK`."""
    values = [item.item() if isinstance(item, np.integer) else item for item in items]
    return (values[i : i + CHUNK] for i in range(0, len(values), CHUNK))  # type: ignore[misc]  # one kind in, one out
