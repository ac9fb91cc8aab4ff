"""A fake model of colours: fast, deterministic, and good enough to search with.

A picture's regions are the mean colours of a 4x4 grid. The state of a word that names a colour is that colour, of any
other word grey. So "red" finds red pictures, and tests need no trained weights.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from encoders.features import Attention, Floats, ImageFeatures, MatchScores, Pixels, TextFeatures

COLOURS = {
    "red": (255, 0, 0),
    "green": (0, 255, 0),
    "blue": (0, 0, 255),
    "yellow": (255, 255, 0),
    "white": (255, 255, 255),
    "black": (0, 0, 0),
}
SIDE = 4
QUERY = np.array([0, 0, 0, 0.6, -0.6, 0, 0, 0], np.float32)
"""Added to a sentence's vector to make a query vector; orthogonal to all pictures, so their order does not change."""


def _states(rgb: Floats) -> Floats:
    """(…, 3) colours in [0, 255] → (…, 8) centred states of length 1."""
    centred = rgb / 127.5 - 1
    padded = np.concatenate([centred, np.full((*rgb.shape[:-1], 5), 0.1, np.float32)], axis=-1)
    return (padded / np.linalg.norm(padded, axis=-1, keepdims=True)).astype(np.float32)


def _unit(rows: Floats) -> Floats:
    return (rows / np.maximum(np.linalg.norm(rows, axis=-1, keepdims=True), 1e-8)).astype(np.float32)


def is_query(vectors: Floats) -> npt.NDArray[np.bool_]:
    """Return which vectors (B, D) come from `FakeEncoder.query`, even if a picture's vector was added."""
    return np.asarray(vectors @ QUERY > 0.1)


class FakeEncoder:
    """An `encoders.Encoder` whose vectors are colours."""

    def __init__(
        self,
        *,
        name: str = "fake",
        fingerprint: str = "f" * 64,
        directory: Path | None = None,
        reverse_rerank: bool = False,
        turn: int = 0,
    ) -> None:
        """Make a model; `turn` permutes red, green and blue, so that models with different turns are incompatible."""
        self.name = name
        self.fingerprint = fingerprint
        self.directory = directory
        self.dimension = 8
        self.input_size = 32
        self.device = "cpu"
        self.reverse_rerank = reverse_rerank
        self.turn = turn
        self.images_encoded = 0
        self.texts_encoded = 0

    def prepare(self, image: Image.Image) -> Pixels:
        """Resize to the input square."""
        return np.asarray(image.convert("RGB").resize((self.input_size, self.input_size)), np.uint8)

    def encode_images(self, pixels: Pixels) -> ImageFeatures:
        """Compute the mean colours of a 4x4 grid."""
        self.images_encoded += len(pixels)
        cell = self.input_size // SIDE
        grid = pixels.reshape(len(pixels), SIDE, cell, SIDE, cell, 3).astype(np.float32).mean(axis=(2, 4))
        regions = self._turned(_states(grid.reshape(len(pixels), SIDE * SIDE, 3)))
        return ImageFeatures(vectors=_unit(regions.mean(axis=1)), regions=regions)

    def warm_up(self) -> None:
        """There is nothing to load."""

    def encode_texts(self, texts: Sequence[str]) -> TextFeatures:
        """Look up the colour of each word."""
        self.texts_encoded += len(texts)
        tokens = []
        for text in texts:
            rgb = np.array([COLOURS.get(w.lower(), (128, 128, 128)) for w in text.split()], np.float32)
            tokens.append(self._turned(_states(rgb)))
        return TextFeatures(vectors=_unit(np.stack([t.sum(axis=0) for t in tokens])), tokens=tuple(tokens))

    def _turned(self, states: Floats) -> Floats:
        return np.concatenate([np.roll(states[..., :3], self.turn, axis=-1), states[..., 3:]], axis=-1)

    def query(self, text: TextFeatures) -> TextFeatures:
        """Add `QUERY`: cosines with pictures are smaller, in the same order."""
        if is_query(text.vectors).any():
            raise AssertionError("these vectors come from `query` already")
        return replace(text, vectors=_unit(text.vectors + QUERY))

    def strangeness(self, terms: Sequence[str]) -> list[float]:
        """Rate every word 1 but colours, `a` and `thing`."""
        known = {*COLOURS, "a", "thing"}
        return [float(any(word.lower() not in known for word in term.split())) for term in terms]

    @property
    def has_regions(self) -> bool:
        """It has regions."""
        return True

    @property
    def stores_regions(self) -> bool:
        """It has them stored."""
        return True

    def regions(self, image: Image.Image) -> Floats:
        """Compute them anew."""
        return self.encode_images(self.prepare(image)[None]).regions[0]

    @property
    def matches(self) -> bool:
        """It has a reranker."""
        return True

    @property
    def describes(self) -> bool:
        """Its probability is taken for one of describing."""
        return True

    def match_images(self, text: TextFeatures, images: ImageFeatures) -> MatchScores:
        """Add the retrieval score to each word's best region, averaged over words."""
        if not is_query(text.vectors).all():
            raise AssertionError("pictures must be matched with vectors from `query`")
        local = np.array([(text.tokens[0] @ r.T).max(axis=1).mean() for r in images.regions], np.float32)
        return self._match(local + images.vectors @ text.vectors[0])

    def match_captions(self, image: ImageFeatures, texts: TextFeatures) -> MatchScores:
        """Score captions as `match_images` does pictures; the sentences must not come from `query`."""
        if is_query(texts.vectors).any():
            raise AssertionError("captions must not be matched with vectors from `query`")
        local = np.array([(t @ image.regions[0].T).max(axis=1).mean() for t in texts.tokens], np.float32)
        return self._match(local + texts.vectors @ image.vectors[0])

    def _match(self, scores: Floats) -> MatchScores:
        if self.reverse_rerank:
            scores = -scores
        probabilities = 1 / (1 + np.exp(-4 * (scores - 0.88)))
        return MatchScores(scores.astype(np.float32), probabilities.astype(np.float32), slope=4.0)

    def attend(self, text: str, image: ImageFeatures) -> Attention:
        """Compute the softmax of word-region products; colours alone can be judged."""
        words = tuple(text.split())
        logits = self.encode_texts([text]).tokens[0] @ image.regions[0].T * 8
        weights = np.exp(logits - logits.max(axis=1, keepdims=True))
        weights /= weights.sum(axis=1, keepdims=True)
        shown = np.full(len(words), np.nan, np.float32)
        for row, word in enumerate(words):
            if word.lower() in COLOURS:
                shown[row] = self.match_images(self.query(self.encode_texts([word])), image).probabilities[0]
        return Attention(words, weights.reshape(len(words), SIDE, SIDE).astype(np.float32), shown)
