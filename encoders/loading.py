"""The way to a model for the rest of crosslook. Importing this costs nothing; torch loads with the model."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Protocol

from PIL import Image

from .features import Attention, Floats, ImageFeatures, MatchScores, Pixels, TextFeatures
from .identity import BASE_MODEL
from .lazy import LazyEncoder


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


def load_encoder(model: Path | None = None, *, device: str = "auto", lazy: bool = False, workers: int = 1) -> Encoder:
    """Load a model.

    Args:
        model: directory with `model.safetensors` and `model.json`; None for the base model.
        device: `auto`, `cpu`, `cuda`, `cuda:1`, …
        workers: queries that are computed side by side. With more than one, each uses one core of a CPU: a single query
            takes longer, and many take less.
        lazy: read name and fingerprint now, and the rest, with torch, when there is something to encode.

    Raises:
        CheckpointError: the directory holds no usable model.
        EncodersError: the device is not there.
    """
    directory = BASE_MODEL if model is None else model
    if lazy:
        return LazyEncoder(directory, lambda: load_encoder(directory, device=device, workers=workers))
    from .encoder import TorchEncoder  # noqa: PLC0415  brings torch, two seconds that listings should not pay

    return TorchEncoder(directory, device=device, workers=workers)


@cache
def caption_bank() -> tuple[str, ...]:
    """Captions that ship with the base model, for collections that have none of their own."""
    lines = (BASE_MODEL / "captions.txt").read_text(encoding="utf-8").splitlines()
    return tuple(line.strip() for line in lines if line.strip() and not line.startswith("#"))
