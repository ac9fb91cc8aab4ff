"""A pretrained pair with a reranker that was trained on it, in use."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from PIL import Image

from ..checkpoint.description import Description
from ..checkpoint.tokenizer import Tokens
from ..errors import CheckpointError
from ..features import Floats, Pixels
from ..inference.encoder import ModelEncoder
from ..inference.parts import Array, Parts
from .encoder import half_known
from .preprocess import to_input
from .towers import PairTowers

TRAINED_ON = "pair"
"""Key of the metadata that names the pair and has its fingerprint."""


class PairParts:
    """The parts of a model whose towers are a pair: its encoders run first, then what was trained on their outputs.

    Args:
        towers: the pair.
        trained: what was trained.
    """

    def __init__(self, towers: PairTowers, trained: Parts) -> None:
        self._towers, self._trained = towers, trained
        self.device, self.image_batch, self.int8 = towers.device, trained.image_batch, trained.int8

    def run(self, name: str, inputs: Sequence[Array]) -> list[Floats]:
        """Run a part."""
        if name == "image":
            inputs = [self._towers.image_activations(inputs[0])]
        elif name == "text":
            inputs = [self._towers.text_activations(Tokens(*inputs)), *inputs[1:]]
        return self._trained.run(name, inputs)

    def load_soon(self, name: str) -> None:
        """Do nothing: an encoder of this size takes all cores to load."""


class RerankedPair(ModelEncoder):
    """A model whose towers are a pretrained pair. Thread-safe.

    Args:
        directory: of the model.
        description: read from there.
        towers: the pair beside it.
        trained: what was trained on it.
        workers: calls computed in parallel.

    Raises:
        CheckpointError: it is another pair.
    """

    def __init__(
        self, directory: Path, description: Description, towers: PairTowers, trained: Parts, *, workers: int = 1
    ) -> None:
        on = description.metadata.get(TRAINED_ON)
        if not isinstance(on, dict) or on.get("fingerprint") != towers.description.fingerprint:
            raise CheckpointError(f"{directory}: the reranker belongs to another pair; copy the model again")
        super().__init__(directory, description, PairParts(towers, trained), workers=workers)
        self._settings = towers.description.image

    @property
    def stores_regions(self) -> bool:
        """Whether a picture is seen whole, rather than cropped to a square."""
        return self._settings.resize == "squash"

    def prepare(self, image: Image.Image) -> Pixels:
        """Resize and crop an upright picture as the pair expects it: (S, S, 3), uint8."""
        return to_input(image, self._settings)

    def regions(self, image: Image.Image) -> Floats:
        """Compute the regions of a whole upright picture: (P, C)."""
        return self.encode_images(to_input(image, replace(self._settings, resize="squash"))[None]).regions[0]

    def strangeness(self, terms: Sequence[str]) -> list[float]:
        """Rate terms as `half_known` does: the pair knows far more words than the captions of its reranker."""
        return half_known(terms)
