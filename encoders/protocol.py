"""The interface of a model in use, for all other packages. Importing it does not load torch."""

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
        """Embedding size D."""
        ...

    @property
    def input_size(self) -> int:
        """Side S of the input square, in pixels."""
        ...

    @property
    def device(self) -> str:
        """Device the model runs on."""
        ...

    @property
    def directory(self) -> Path | None:
        """Absolute path of the model; None for the base model, which moves with the installation."""
        ...

    def prepare(self, image: Image.Image) -> Pixels:
        """Resize an upright picture to the input square: (S, S, 3), uint8."""
        ...

    def encode_images(self, pixels: Pixels) -> ImageFeatures:
        """Encode pictures (B, S, S, 3), uint8: vectors (B, D), regions (B, P, C)."""
        ...

    def warm_up(self) -> None:
        """Begin to load what encodes sentences, in the background."""
        ...

    def encode_texts(self, texts: Sequence[str]) -> TextFeatures:
        """Encode B sentences as captions: vectors (B, D), token states B x (T, C)."""
        ...

    def query(self, text: TextFeatures) -> TextFeatures:
        """Replace the vectors of `encode_texts`, which index captions, with vectors that search for pictures."""
        ...

    def strangeness(self, terms: Sequence[str]) -> Sequence[float]:
        """Rate how unfamiliar the model is with each word or phrase, in [0, 1]."""
        ...

    @property
    def has_regions(self) -> bool:
        """Whether pictures have regions, without which there is no heat map."""
        ...

    @property
    def stores_regions(self) -> bool:
        """Whether a heat map can be made from the regions of `encode_images`, which an index stores; else of `regions`.

        It cannot where they are left out because of their size, nor where pictures are cropped first.
        """
        ...

    def regions(self, image: Image.Image) -> Floats:
        """Compute the regions of a whole upright picture, for `attend`: (P, C)."""
        ...

    @property
    def matches(self) -> bool:
        """Whether the model can match: without, there is no reranking and no probability."""
        ...

    @property
    def describes(self) -> bool:
        """Whether a probability says how likely the words describe the picture, single words too.

        Without, as in pairs without a reranker and in models that earlier versions trained, it says how likely they
        were written for just this picture, and is lower.
        """
        ...

    def match_images(self, text: TextFeatures, images: ImageFeatures) -> MatchScores:
        """Score K pictures for one sentence, from `query`."""
        ...

    def match_captions(self, image: ImageFeatures, texts: TextFeatures) -> MatchScores:
        """Score K captions for one picture."""
        ...

    def attend(self, text: str, image: ImageFeatures) -> Attention:
        """Compute the attention of each word of `text` over the regions of one picture, as `regions` gives them."""
        ...
