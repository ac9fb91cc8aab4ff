"""A trained model in use, in torch or OpenVINO: pictures and sentences in, NumPy arrays out.

Each part loads when it is first needed: a text search never builds the CNN.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, TypeVar, cast

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from ..checkpoint.calibration import LONG
from ..checkpoint.files import read_description
from ..checkpoint.identity import recorded_directory
from ..device import autocast, keep_freed_memory, pick_device
from ..features import Attention, Floats, ImageFeatures, MatchScores, Pixels, TextFeatures
from ..network.class_channel import CAPTION_WEIGHT, UNFAMILIAR_WEIGHT, TextClasses
from ..network.model import create_reranker, with_class_weight
from ..network.querybank import Querybank
from ..preprocess import to_square
from .batching import BatchingWorkers
from .openvino_runtime import CompiledPart, Function, Runtime
from .traced_parts import PARTS

MATCH_BATCH = 512
MANY = 32
"""Number of pictures, in one call or several, from which translating the CNN pays off."""

Module = TypeVar("Module", bound=nn.Module)


class TorchEncoder:
    """The model in a directory. Thread-safe."""

    def __init__(self, directory: Path, *, device: str = "auto", workers: int = 1) -> None:
        self._description = read_description(directory)
        self.name = self._description.name
        self.fingerprint = self._description.fingerprint
        self.dimension = self._description.config.vector_size
        self.input_size = self._description.config.input_size
        self.device = pick_device(device)
        self.metadata = self._description.metadata
        self.directory = recorded_directory(directory)
        self._device = torch.device(self.device)
        if self.device == "cpu":
            keep_freed_memory()
        self._parts: dict[str, nn.Module] = {}
        self._lock = threading.Lock()
        self._runtime = Runtime(self.fingerprint)
        self._serves = workers > 1
        self._encoded = 0
        if self._serves:
            torch.set_num_threads(1)
        self._workers = BatchingWorkers(self._encode_texts, workers)

    def prepare(self, image: Image.Image) -> Pixels:
        """Resize an upright picture to the input square: (S, S, 3) uint8."""
        return to_square(image, self.input_size)

    def encode_images(self, pixels: Pixels) -> ImageFeatures:
        """Encode prepared pictures.

        Shape:
            - pixels: (B, S, S, 3), uint8.
        """
        if len(pixels) and (run := self._translated("image", len(pixels))) is not None:
            return ImageFeatures(*run.in_chunks(pixels))
        return self._workers.run(lambda: self._encode_images(pixels))

    def _encode_images(self, pixels: Pixels) -> ImageFeatures:
        with torch.inference_mode(), autocast(self._device, "auto"):
            vectors, regions = self._function("image")(torch.from_numpy(pixels).to(self._device))
        return ImageFeatures(vectors=_array(vectors), regions=_array(regions))

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
        inputs = tokens.ids, tokens.mask, tokens.attended
        vectors, states = self._compute("text", inputs)
        return TextFeatures(
            vectors=vectors,
            tokens=tuple(s[m] for s, m in zip(states, tokens.mask, strict=True)),
            familiarity=np.array([self._description.lexicon.familiarity(text) for text in texts], np.float32),
        )

    def query(self, text: TextFeatures) -> TextFeatures:
        """Weight the class part of each vector: the less familiar the words, the higher the weight."""
        if not self._description.config.classes or text.familiarity is None:
            return text
        weights = CAPTION_WEIGHT + UNFAMILIAR_WEIGHT * (1 - text.familiarity[:, None])
        return replace(text, vectors=self._workers.run(lambda: self._with_class_weights(text.vectors, weights)))

    def _with_class_weights(self, vectors: Floats, weights: Floats) -> Floats:
        config = self._description.config
        classes = self._part("text.classes.", lambda: TextClasses(config.dimension, config.class_dimension))
        with torch.inference_mode():
            return _array(with_class_weight(self._tensor(vectors), classes, self._tensor(weights)))

    def strangeness(self, terms: Sequence[str]) -> list[float]:
        """Rate how unfamiliar each word or phrase is, by the words of the training captions, in [0, 1]."""
        return [self._description.lexicon.strangeness(term) for term in terms]

    def match_images(self, text: TextFeatures, images: ImageFeatures) -> MatchScores:
        """Score K pictures for one sentence by cosine, reranker and hubness."""
        (logits, global_matches), hubness = self._workers.run(
            lambda: (self._matches(text.tokens, images.regions), self._hubness("captions", images.vectors))
        )
        familiarity = 1.0 if text.familiarity is None else float(text.familiarity[0])
        scores = self._description.calibration.scores(
            images.vectors @ text.vectors[0], logits, global_matches, hubness, familiarity
        )
        return self._scores(scores, len(text.tokens[0]), familiarity)

    def match_captions(self, image: ImageFeatures, texts: TextFeatures) -> MatchScores:
        """Score K captions for one picture, as `match_images` scores pictures.

        All have the curve of long sentences, so that their probabilities are in the order of their scores.
        """
        (logits, global_matches), hubness = self._workers.run(
            lambda: (self._matches(texts.tokens, image.regions), self._hubness("images", texts.vectors))
        )
        scores = self._description.calibration.scores(texts.vectors @ image.vectors[0], logits, global_matches, hubness)
        return self._scores(scores, LONG)

    def _scores(self, scores: Floats, length: int, familiarity: float = 1.0) -> MatchScores:
        calibration = self._description.calibration
        slope = max(float(calibration.curve(length, familiarity)[0]), 1e-3)  # fitted to very little it may be flat
        return MatchScores(scores, calibration.probabilities(scores, length, familiarity), slope)

    def _hubness(self, bank: str, vectors: Floats) -> Floats:
        config, calibration = self._description.config, self._description.calibration
        if not (config.querybank and calibration.hubness_weight):
            return np.zeros(len(vectors), np.float32)
        part = self._part(f"hubness.{bank}.", lambda: Querybank(config.querybank, config.dimension))
        with torch.inference_mode():
            return _array(part(self._tensor(vectors)))

    def attend(self, text: str, regions: Floats) -> Attention:
        """Compute each word's attention over a picture's regions; the pieces of a word are averaged.

        Shape:
            - regions: (P, C).
        """
        words, word_of_token = self._description.tokenizer.words(text)
        states = self.encode_texts([text]).tokens[0]
        weights = self._workers.run(lambda: self._attention(states, regions))[: len(word_of_token)]
        count = word_of_token[len(weights) - 1] + 1 if len(weights) else 0
        grid = np.zeros((count, weights.shape[1]), np.float32)
        np.add.at(grid, np.array(word_of_token[: len(weights)], np.int64), weights)
        grid /= np.maximum(grid.sum(axis=1, keepdims=True), 1e-8)
        side = round(weights.shape[1] ** 0.5)
        return Attention(words=words[:count], weights=grid.reshape(count, side, side))

    def _attention(self, states: Floats, regions: Floats) -> Floats:
        config = self._description.config
        reranker = self._part("reranker.", lambda: create_reranker(config))
        mask = torch.ones(1, len(states), dtype=torch.bool, device=self._device)
        with torch.inference_mode():
            attention = reranker(self._tensor(regions)[None], self._tensor(states)[None], mask).attention
        if attention is None:  # the fusion has none: all regions weigh the same
            return np.full((len(states), len(regions)), 1 / len(regions), np.float32)
        return _array(attention[0])

    def _matches(self, tokens: Sequence[Floats], regions: Floats) -> Floats:
        """Logits and global matches (2, K) of K pairs; a single sentence or picture stands for all."""
        count = 0 if not (len(tokens) and len(regions)) else max(len(tokens), len(regions))
        parts = [
            self._match_part(
                tokens if len(tokens) == 1 else tokens[start : start + MATCH_BATCH],
                regions if len(regions) == 1 else regions[start : start + MATCH_BATCH],
            )
            for start in range(0, count, MATCH_BATCH)
        ]
        return np.concatenate(parts, axis=1) if parts else np.empty((2, 0), np.float32)

    def _match_part(self, tokens: Sequence[Floats], regions: Floats) -> Floats:
        longest = max(len(t) for t in tokens)
        padded = np.zeros((len(tokens), longest, tokens[0].shape[1]), np.float32)
        mask = np.zeros((len(tokens), longest), np.bool_)
        for i, states in enumerate(tokens):
            padded[i, : len(states)] = states
            mask[i, : len(states)] = True
        inputs = np.ascontiguousarray(regions, np.float32), padded, mask
        return np.stack(self._compute("reranker", inputs))

    def _compute(self, name: str, inputs: Sequence[np.ndarray[Any, Any]]) -> list[Floats]:
        """Run a part, in OpenVINO if it pays off."""
        if (run := self._translated(name)) is not None:
            return run(inputs)
        function = self._function(name)
        with torch.inference_mode():
            return [_array(output) for output in function(*(torch.from_numpy(x).to(self._device) for x in inputs))]

    def _tensor(self, array: Floats) -> Tensor:
        return torch.from_numpy(np.ascontiguousarray(array, np.float32)).to(self._device)

    def _translated(self, name: str, count: int = 1) -> CompiledPart | None:
        """Return the part in OpenVINO, or None to run it in torch.

        Parts are translated for a server, and the CNN once there are `MANY` pictures; fewer use a cached translation
        only. Without a server, sentences and lists come one at a time and stay in torch, which computes each with all
        cores; OpenVINO runs one per core in parallel.
        """
        if self.device != "cpu" or not (self._serves or name == "image"):
            return None
        with self._lock:
            self._encoded += count if name == "image" else 0
        if not (self._serves or self._encoded >= MANY):
            return self._runtime.part(name, None)
        return self._runtime.part(
            name, lambda: (self._function(name, keep=False), PARTS[name].examples(self._description))
        )

    def _function(self, name: str, *, keep: bool = True) -> Function:
        """Return a part of the model as a function of tensors; `keep` keeps its weights for later calls."""
        part, config = PARTS[name], self._description.config
        load = self._part if keep else self._description.load
        return partial(part.run, load(f"{name}.", lambda: part.build(config)))

    def _part(self, prefix: str, build: Callable[[], Module]) -> Module:
        """Return a part of the model, loaded by the first thread that needs it."""
        with self._lock:
            if prefix not in self._parts:
                part = self._description.load(prefix, build)
                self._parts[prefix] = part.to(memory_format=torch.channels_last).to(self._device)
            return cast(Module, self._parts[prefix])


def _array(tensor: Tensor) -> Floats:
    return np.ascontiguousarray(tensor.float().cpu().numpy())
