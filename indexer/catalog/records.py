"""What the catalog hands out: small frozen records."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

BANK = "bank"
"""Source of captions that belong to no image, for collections that have none of their own."""


Ids = npt.NDArray[np.int64]
"""Primary keys of images or captions."""


class Kind(StrEnum):
    """What an embedding stands for."""

    IMAGE = "image"
    CAPTION = "caption"


@dataclass(frozen=True)
class EncoderRow:
    """A model whose embeddings an index holds; `path` is its directory, None for the base model."""

    id: int
    name: str
    fingerprint: str
    dimension: int
    path: str | None
    active: bool


@dataclass(frozen=True)
class ImageRecord:
    """An image and where it lies; `path` is the first place that is not missing, None if all are."""

    id: int
    path: Path | None
    paths: tuple[Path, ...]
    width: int
    height: int
    format: str
    taken_at: str | None


@dataclass(frozen=True)
class CaptionRecord:
    """A caption; `image_id` is None for a line of a caption bank."""

    id: int
    text: str
    image_id: int | None
    source: str


class LocationRecord(NamedTuple):
    """A file as it was when it was last indexed. A tuple, for there are as many as files."""

    path: str
    image_id: int
    size: int
    mtime_ns: int
    sidecar_mtime_ns: int | None
    missing: bool


@dataclass(frozen=True)
class FailureRecord:
    """A file that could not be indexed; it is tried again when its size or time changes."""

    path: str
    reason: str
    size: int
    mtime_ns: int


@dataclass(frozen=True)
class CatalogStats:
    """What an index holds."""

    images: int
    locations: int
    missing: int
    captions: dict[str, int]
    failures: int
    encoder: EncoderRow | None
    bytes_on_disk: int
    roots: tuple[str, ...]


@dataclass(frozen=True)
class Stamp:
    """Of the vectors of a kind: their model, how many there are, how often that changed, and the highest id."""

    fingerprint: str = ""
    count: int = 0
    changes: int = 0
    top: int = 0


CHUNK = 500
"""Ids in one query; SQLite's limit on variables is far above."""


def chunks(items: Sequence[int] | Sequence[str]) -> Iterator[list[int] | list[str]]:
    """The items as plain Python values, `CHUNK` at a time."""
    values = [item.item() if isinstance(item, np.integer) else item for item in items]
    return (values[i : i + CHUNK] for i in range(0, len(values), CHUNK))  # type: ignore[misc]  # one kind in, one out
