"""The interface of a model in use: what every other room may ask of it. Importing this loads no library but NumPy."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from PIL import Image

from .features import Attention, Floats, ImageFeatures, MatchScores, Pixels, TextFeatures


class Encoder(Protocol):
    """A model in use. `dimension` is D, `input_size` S in pixels, `fingerprint` 64 hexadecimal digits."""

    name: str
    fingerprint: str

    @property
    def dimension(self) -> int:
        """D."""
        ...

    @property
    def input_size(self) -> int:
        """S."""
        ...

    @property
    def device(self) -> str:
        """Where it computes."""
        ...

    @property
    def directory(self) -> Path | None:
        """Absolute; None for the base model, which lies wherever crosslook does."""
        ...

    def prepare(self, image: Image.Image) -> Pixels:
        """Upright picture → (S, S, 3) uint8."""
        ...

    def encode_images(self, pixels: Pixels) -> ImageFeatures:
        """(B, S, S, 3) uint8 → vectors (B, D), regions (B, P, C)."""
        ...

    def encode_texts(self, texts: Sequence[str]) -> TextFeatures:
        """B sentences → vectors (B, D), token states B x (T, C)."""
        ...

    def query(self, text: TextFeatures) -> TextFeatures:
        """The same sentences with vectors for finding pictures; those of `encode_texts` are for being found."""
        ...

    def strangeness(self, terms: Sequence[str]) -> Sequence[float]:
        """How little training taught about each word or phrase, in [0, 1]."""
        ...

    def match_images(self, text: TextFeatures, images: ImageFeatures) -> MatchScores:
        """Score K pictures for one sentence, from `query`."""
        ...

    def match_captions(self, image: ImageFeatures, texts: TextFeatures) -> MatchScores:
        """Score K captions for one picture."""
        ...

    def attend(self, text: str, regions: Floats) -> Attention:
        """Where each word of `text` looks in a picture with `regions` (P, C)."""
        ...
