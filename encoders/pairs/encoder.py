"""A pretrained pair in use as it is, without a reranker."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image

from ..errors import EncodersError
from ..features import Attention, Floats, ImageFeatures, MatchScores, Pixels, TextFeatures
from ..inference.batching import BatchingWorkers
from .calibration import read_curve
from .description import PairDescription
from .preprocess import to_input
from .towers import PairTowers

IMAGE_BATCH = 8


class PairEncoder:
    """The pair in a directory: vectors, and heat maps if it has regions in their space. Thread-safe.

    Regions are not stored, since they are as long as vectors: a heat map is computed from the picture.

    Args:
        directory: of the pair.
        device: `auto`, or as for `create_session`.
        workers: calls computed in parallel, each in one thread if there are several.

    Raises:
        CheckpointError: the directory holds no usable pair.
        EncodersError: the device is not available.
    """

    stores_regions = False

    def __init__(self, directory: Path, *, device: str = "cpu", workers: int = 1) -> None:
        self._towers = PairTowers(directory, device=device, one_thread=workers > 1)
        self._description = self._towers.description
        self._workers = BatchingWorkers(self._encode_texts, workers)
        self.name, self.fingerprint = self._description.name, self._description.fingerprint
        self.dimension, self.input_size = self._description.dimension, self._description.image.size
        self.device = self._towers.device
        self.directory: Path | None = directory.absolute()
        self._curve = _curve(self._description, directory)

    @property
    def has_regions(self) -> bool:
        """Whether the pair's regions can be compared with words."""
        return self._description.has_heat_maps

    @property
    def matches(self) -> bool:
        """Whether there is a probability: by the scale and the bias of the pair's training, or fitted to captions."""
        return self._curve is not None

    @property
    def describes(self) -> bool:
        """A pair says how likely a sentence is a picture's own."""
        return False

    @property
    def batch_sizes(self) -> Mapping[int, int]:
        """Number of batches encoded, by their number of sentences."""
        return self._workers.sizes

    def prepare(self, image: Image.Image) -> Pixels:
        """Resize and crop an upright picture as the pair expects it: (S, S, 3), uint8."""
        return to_input(image, self._description.image)

    def encode_images(self, pixels: Pixels) -> ImageFeatures:
        """Encode prepared pictures (B, S, S, 3), without their regions."""
        starts = range(0, len(pixels), IMAGE_BATCH)
        batches = [pixels[start : start + IMAGE_BATCH] for start in starts]
        vectors = self._workers.map(self._towers.image_vectors, batches) or [np.empty((0, self.dimension), np.float32)]
        return ImageFeatures(np.concatenate(vectors), np.zeros((len(pixels), 0, 1), np.float32))

    def warm_up(self) -> None:
        """Do nothing: an encoder of this size takes all cores to load."""

    def encode_texts(self, texts: Sequence[str]) -> TextFeatures:
        """Encode sentences, cut to the pair's context; they have no token states."""
        return self._workers.encode(texts)

    def _encode_texts(self, texts: Sequence[str]) -> TextFeatures:
        vectors = self._towers.text_vectors(self._towers.tokenizer(texts))
        return TextFeatures(vectors, tuple(np.zeros((0, 1), np.float32) for _ in texts))

    def query(self, text: TextFeatures) -> TextFeatures:
        """Return the vectors as they are: captions and queries are one to a pair."""
        return text

    def strangeness(self, terms: Sequence[str]) -> list[float]:
        """Rate terms as `half_known` does."""
        return half_known(terms)

    def match_images(self, text: TextFeatures, images: ImageFeatures) -> MatchScores:
        """Score K pictures for one sentence by cosine."""
        return self._scores(images.vectors @ text.vectors[0])

    def match_captions(self, image: ImageFeatures, texts: TextFeatures) -> MatchScores:
        """Score K captions for one picture by cosine."""
        return self._scores(texts.vectors @ image.vectors[0])

    def _scores(self, cosines: Floats) -> MatchScores:
        scale, bias = self._curve or (0.0, 0.0)
        probabilities = 1 / (1 + np.exp(-np.clip(scale * cosines + bias, -60, 60)))
        return MatchScores(cosines, probabilities.astype(np.float32), max(scale, 1e-3))

    def regions(self, image: Image.Image) -> Floats:
        """Compute the regions of a whole upright picture: (P, D), rows of length 1.

        Raises:
            EncodersError: the pair has none that words can be compared with.
        """
        self._check_regions()
        pixels = to_input(image, replace(self._description.image, resize="squash"))[None]
        ((_, regions),) = self._workers.map(self._towers.image_states, [pixels])
        return regions[0] / np.maximum(np.linalg.norm(regions[0], axis=1, keepdims=True), 1e-8)

    def attend(self, text: str, image: ImageFeatures) -> Attention:
        """Compare each word, encoded alone, with the regions of one picture, which are those of `regions`.

        A word's weights are the softmax of its cosines in standard deviations over the picture: some pairs have all
        cosines within a few hundredths.

        Raises:
            EncodersError: the pair has no regions that words can be compared with.
        """
        self._check_regions()
        words, _ = self._towers.tokenizer.words(text)
        cosines = self.encode_texts(words).vectors @ image.regions[0].T
        cosines -= cosines.mean(axis=1, keepdims=True)
        weights = np.exp(cosines / np.maximum(cosines.std(axis=1, keepdims=True), 1e-6))
        side, unknown = math.isqrt(image.regions.shape[1]), np.full(len(words), np.nan, np.float32)
        grids = (weights / weights.sum(axis=1, keepdims=True)).reshape(len(words), side, side)
        return Attention(words, grids, unknown)

    def _check_regions(self) -> None:
        if not self.has_regions:
            raise EncodersError(f"model {self.name} has no regions, so it cannot show where it found a word")


def _curve(description: PairDescription, directory: Path) -> tuple[float, float] | None:
    """Scale and bias of the probability: those of the pair's training, else those fitted to captions."""
    if description.scale is not None and description.bias is not None:
        return description.scale, description.bias
    fitted = read_curve(directory)
    return None if fitted is None else (fitted.scale, fitted.bias)


def half_known(terms: Sequence[str]) -> list[float]:
    """Rate terms with digits as unknown to a pair, and all others as half known: its captions are not."""
    return [1.0 if any(char.isdigit() for char in term) else 0.5 for term in terms]
