"""A picture file that an indexing run has read."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property

from encoders import Pixels

from ..pictures.metadata import PictureMetadata
from .scan import ImageFile


@dataclass(frozen=True)
class Picture:
    """A file that was read: its SHA-256, and unless the catalog has that content, its metadata and pixels."""

    file: ImageFile
    digest: str
    metadata: PictureMetadata | None
    pixels: Pixels | None

    @cached_property
    def pixel_hash(self) -> str | None:
        """SHA-256 of the pixels that the model is given; a file whose metadata alone was edited has the same."""
        return None if self.pixels is None else hashlib.sha256(self.pixels.tobytes()).hexdigest()
