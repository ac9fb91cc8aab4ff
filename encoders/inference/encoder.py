"""A trained model in use: pictures and sentences in, NumPy arrays out. It loads no torch unless its parts do."""

from __future__ import annotations

import math
import threading
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image

from ..architecture import CAPTION_WEIGHT, UNFAMILIAR_WEIGHT
from ..checkpoint.calibration import sigmoid
from ..checkpoint.description import Description
from ..checkpoint.identity import recorded_directory
from ..checkpoint.weights import read_packed_weights, unpack_weights
from ..features import Attention, Floats, ImageFeatures, MatchScores, Pixels, TextFeatures
from ..preprocess import to_square
from .batching import BatchingWorkers
from .parts import Array, Parts, contiguous
from .vectors import cosines, hubness, with_class_weight

MATCH_BATCH = 512
DEPICTED = 0.2
"""Cosine with the nearest kind of training picture from which on a word can be judged.

Of the base model, in six languages, `the`, `with` and their like have at most 0.18 but for two of 67, things and
activities 0.17 to 0.55, and colours and numbers 0.12 to 0.27 (docs/LOG.md), so that some of these are not judged.
"""


class ModelEncoder:
    """The model in a directory. Thread-safe.

    Args:
        directory: of the model.
        description: read from there.
        parts: what runs the model.
        workers: calls computed in parallel.
    """

    def __init__(self, directory: Path, description: Description, parts: Parts, *, workers: int = 1) -> None:
        self._description, self._parts = description, parts
        self.name = description.name
        self.fingerprint = description.fingerprint
        self.dimension = description.config.vector_size
        self.input_size = description.config.input_size
        self.device = parts.device
        self.metadata = description.metadata
        self.directory = recorded_directory(directory)
        self._weights: dict[str, Mapping[str, Floats]] = {}
        self._lock = threading.Lock()
        self._workers = BatchingWorkers(self._encode_texts, workers)

    @property
    def int8(self) -> bool:
        """Whether pictures are encoded in int8."""
        return self._parts.int8

    @property
    def has_regions(self) -> bool:
        """Every model of crosslook has regions."""
        return True

    @property
    def stores_regions(self) -> bool:
        """An index has the regions of whole pictures."""
        return True

    def regions(self, image: Image.Image) -> Floats:
        """Compute the regions of an upright picture: (P, C)."""
        return self.encode_images(self.prepare(image)[None]).regions[0]

    @property
    def matches(self) -> bool:
        """Every model of crosslook has a reranker."""
        return True

    @property
    def describes(self) -> bool:
        """Whether the probability was fitted to judgements whether words describe a picture."""
        return self._description.calibration.describes

    def prepare(self, image: Image.Image) -> Pixels:
        """Resize an upright picture to the input square: (S, S, 3) uint8."""
        return to_square(image, self.input_size)

    def encode_images(self, pixels: Pixels) -> ImageFeatures:
        """Encode prepared pictures.

        Shape:
            - pixels: (B, S, S, 3), uint8.
        """
        size = self._parts.image_batch
        batches = [np.ascontiguousarray(pixels[i : i + size]) for i in range(0, max(1, len(pixels)), size)]
        outputs = self._workers.map(lambda batch: self._parts.run("image", [batch]), batches)
        vectors, regions = (np.concatenate(arrays) for arrays in zip(*outputs, strict=True))
        return ImageFeatures(vectors, regions)

    def warm_up(self) -> None:
        """Begin to load what encodes sentences, in the background."""
        self._parts.load_soon("text")

    def encode_texts(self, texts: Sequence[str]) -> TextFeatures:
        """Encode sentences, cut to the tower's maximum number of tokens.

        Calls from several threads at the same time share a batch.
        """
        return self._workers.encode(texts)

    @property
    def batch_sizes(self) -> Mapping[int, int]:
        """Number of batches encoded, by their number of sentences."""
        return self._workers.sizes

    def _encode_texts(self, texts: Sequence[str]) -> TextFeatures:
        tokens = self._description.tokenizer(texts)
        vectors, states = self._parts.run("text", [tokens.ids, tokens.mask, tokens.attended])
        return TextFeatures(
            vectors=vectors,
            tokens=tuple(s[m] for s, m in zip(states, tokens.mask, strict=True)),
            familiarity=np.array([self._description.lexicon.familiarity(text) for text in texts], np.float32),
        )

    def query(self, text: TextFeatures) -> TextFeatures:
        """Weight the class part of each vector: the less familiar the words, the higher the weight."""
        if not self._description.config.classes or text.familiarity is None:
            return text
        weights = self._read("text.classes.")
        class_weights = CAPTION_WEIGHT + UNFAMILIAR_WEIGHT * (1 - text.familiarity[:, None])
        return replace(
            text, vectors=with_class_weight(text.vectors, weights["centre"], weights["basis"], class_weights)
        )

    def strangeness(self, terms: Sequence[str]) -> list[float]:
        """Rate how unfamiliar each word or phrase is, by the words of the training captions, in [0, 1]."""
        return [self._description.lexicon.strangeness(term) for term in terms]

    def match_images(self, text: TextFeatures, images: ImageFeatures) -> MatchScores:
        """Score K pictures for one sentence by cosine, reranker and hubness."""
        familiarity = 1.0 if text.familiarity is None else float(text.familiarity[0])
        logits, global_matches = self._workers.run(lambda: self._matches(text.tokens, images.regions))
        hubness_ = self._hubness("captions", images.vectors)
        scores = self._description.calibration.scores(
            images.vectors @ text.vectors[0], logits, global_matches, hubness_, familiarity
        )
        calibration, length, query_hubness = self._description.calibration, len(text.tokens[0]), -math.inf
        if calibration.needs_query_hubness:
            query_hubness = float(self._hubness("images", text.vectors)[0])
        return _scored(scores, calibration.curve(length, familiarity, query_hubness))

    def match_captions(self, image: ImageFeatures, texts: TextFeatures) -> MatchScores:
        """Score K captions for one picture, as `match_images` scores pictures.

        All have the same curve, so that their probabilities are in the order of their scores.
        """
        logits, global_matches = self._workers.run(lambda: self._matches(texts.tokens, image.regions))
        hubness_ = self._hubness("images", texts.vectors)
        scores = self._description.calibration.scores(
            texts.vectors @ image.vectors[0], logits, global_matches, hubness_
        )
        return _scored(scores, self._description.calibration.caption_curve())

    def _hubness(self, bank: str, vectors: Floats) -> Floats:
        """Hubness of vectors (N, D): (N,); zero if the calibration does not use it."""
        config, calibration = self._description.config, self._description.calibration
        if not config.querybank or not (calibration.hubness_weight or calibration.needs_query_hubness):
            return np.zeros(len(vectors), np.float32)
        weights = self._read(f"hubness.{bank}.")
        scale = weights.get("scale", np.float32(calibration.similarity_weight))  # format version 1 had none
        return hubness(vectors, weights["centres"], weights["log_shares"], scale)

    def attend(self, text: str, image: ImageFeatures) -> Attention:
        """Compute each word's attention over one picture's regions; the pieces of a word are averaged."""
        words, word_of_token = self._description.tokenizer.words(text)
        states = self.encode_texts([text]).tokens[0]
        weights = self._workers.run(lambda: self._attention(states, image.regions[0]))[: len(word_of_token)]
        count = word_of_token[len(weights) - 1] + 1 if len(weights) else 0
        grid = np.zeros((count, weights.shape[1]), np.float32)
        np.add.at(grid, np.array(word_of_token[: len(weights)], np.int64), weights)
        grid /= np.maximum(grid.sum(axis=1, keepdims=True), 1e-8)
        side = round(weights.shape[1] ** 0.5)
        return Attention(words[:count], grid.reshape(count, side, side), self._shown(words[:count], image))

    def _shown(self, words: Sequence[str], image: ImageFeatures) -> Floats:
        """Compute the probability (W,) that a picture shows what each word says by itself.

        NaN for words that no kind of picture shows, such as `the`: those far from all centres of training pictures.
        Nor can words be judged if the regions are not those that a search compares.
        """
        shown = np.full(len(words), np.nan, np.float32)
        if len(words) and self._description.config.querybank and self.describes and self.stores_regions:
            texts = self.query(self.encode_texts(words))
            nearest = cosines(texts.vectors, self._read("hubness.images.")["centres"]).max(axis=1)
            for row in np.flatnonzero(nearest >= DEPICTED).tolist():
                shown[row] = self.match_images(texts.take([row]), image).probabilities[0]
        return shown

    def _attention(self, states: Floats, regions: Floats) -> Floats:
        mask = np.ones((1, len(states)), np.bool_)
        outputs = self._parts.run("reranker", [contiguous(regions)[None], contiguous(states)[None], mask])
        if len(outputs) == 2:  # the fusion has none: all regions weigh the same
            return np.full((len(states), len(regions)), 1 / len(regions), np.float32)
        return outputs[2][0]

    def _matches(self, tokens: Sequence[Floats], regions: Floats) -> tuple[Floats, Floats]:
        """Logits and global matches, (K,), of K pairs; a single sentence or picture stands for all."""
        count = 0 if not (len(tokens) and len(regions)) else max(len(tokens), len(regions))
        parts = [
            self._match_part(
                tokens if len(tokens) == 1 else tokens[start : start + MATCH_BATCH],
                regions if len(regions) == 1 else regions[start : start + MATCH_BATCH],
                min(MATCH_BATCH, count - start),
            )
            for start in range(0, count, MATCH_BATCH)
        ]
        if not parts:
            return np.empty(0, np.float32), np.empty(0, np.float32)
        logits, global_matches = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
        return logits, global_matches

    def _match_part(self, tokens: Sequence[Floats], regions: Floats, count: int) -> list[Floats]:
        longest = max(len(t) for t in tokens)
        padded = np.zeros((len(tokens), longest, tokens[0].shape[1]), np.float32)
        mask = np.zeros((len(tokens), longest), np.bool_)
        for i, states in enumerate(tokens):
            padded[i, : len(states)] = states
            mask[i, : len(states)] = True
        pairs: list[Array] = [contiguous(regions), padded, mask]
        return self._parts.run("reranker", [_repeated(array, count) for array in pairs])[:2]

    def _read(self, prefix: str) -> Mapping[str, Floats]:
        """Return small weights that are used outside the parts, by the rest of their names."""
        with self._lock:
            if prefix not in self._weights:
                weights = unpack_weights(read_packed_weights(self._description.weights, prefix))
                self._weights[prefix] = {name.removeprefix(prefix): array for name, array in weights.items()}
            return self._weights[prefix]


def _scored(scores: Floats, curve: tuple[Floats | float, Floats | float]) -> MatchScores:
    slope = max(float(curve[0]), 1e-3)  # fitted to very little it may be flat
    return MatchScores(scores, sigmoid(scores, curve), slope)


def _repeated(array: Array, count: int) -> Array:
    """Repeat the single row of an array; one with `count` rows stays as it is."""
    return array if len(array) == count else np.ascontiguousarray(np.broadcast_to(array, (count, *array.shape[1:])))
