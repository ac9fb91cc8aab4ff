"""Recall of a model on a captioned dataset, of the towers alone and after reranking."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np

from encoders import Encoder, Floats, ImageFeatures, MatchScores, Pixels, TextFeatures
from encoders.datasets import Dataset, Example
from encoders.features import pack_states, unpack_states
from encoders.progress import Progress, no_progress
from encoders.recall import Ranks, Recalls, image_to_text_ranks, text_to_image_ranks
from encoders.sentences import encode_in_batches
from indexer import open_image
from indexer.errors import DecodeError

from ..errors import EvaluationError


@dataclass(frozen=True)
class Evaluation:
    """Both directions, before and after reranking the top `depth`."""

    n_images: int
    n_captions: int
    depth: int
    text_to_image: dict[str, Recalls]
    image_to_text: dict[str, Recalls]

    def as_dict(self) -> dict[str, Any]:
        """The evaluation as JSON types."""
        ways = {"text_to_image": self.text_to_image, "image_to_text": self.image_to_text}
        figures = {way: {stage: recalls._asdict() for stage, recalls in stages.items()} for way, stages in ways.items()}
        return {"n_images": self.n_images, "n_captions": self.n_captions, "depth": self.depth, **figures}


def evaluate(
    dataset: Dataset,
    encoder: Encoder,
    *,
    depth: int = 100,
    batch_size: int = 32,
    progress: Progress = no_progress,
) -> Evaluation:
    """Measure recall. Vectors and states are rounded as an index stores them, so the figures are those of a search.

    Text to image ranks all images for each caption; image to text takes the best rank among an image's own
    captions; reranking reorders the top `depth` only.

    Args:
        dataset: pictures with captions, one split of them.
        encoder: the model.
        depth: how many candidates are reranked.
        batch_size: pictures in one forward pass.
        progress: called with the phase, how much is done, and out of how much.

    Raises:
        EvaluationError: a depth below 1, or a picture that cannot be read.
    """
    if depth < 1:
        raise EvaluationError(f"depth must be at least 1, not {depth}")
    image_of = np.repeat(np.arange(len(dataset.examples)), [len(e.captions) for e in dataset.examples])
    images, texts = encode_dataset(dataset, encoder, batch_size=batch_size, progress=progress)
    return measure(encoder, images, texts, image_of, depth=depth, progress=progress)


def measure(
    encoder: Encoder,
    images: ImageFeatures,
    texts: TextFeatures,
    image_of: Ranks,
    *,
    depth: int,
    progress: Progress = no_progress,
) -> Evaluation:
    """Measure recall over pictures and captions that are encoded already, as `evaluate` does.

    Shape:
        - images: N of them; texts: M of them; image_of: (M,), the row of each caption's image, each at least once.
    """
    queries = encoder.query(texts)
    for_text, for_image = queries.vectors @ images.vectors.T, texts.vectors @ images.vectors.T  # (M, N)

    def match_images(caption: int, candidates: Ranks) -> MatchScores:
        return encoder.match_images(queries.take([caption]), images.take(candidates))

    def match_captions(image: int, candidates: Ranks) -> MatchScores:
        return encoder.match_captions(images.take([image]), texts.take(candidates))

    reranked_images = np.empty(len(image_of), np.int64)
    for c, order in enumerate(_orders(for_text)):
        rank = _reordered(order, depth, match_images, c)
        reranked_images[c] = int(np.flatnonzero(rank == image_of[c])[0])
        progress("reranking images", c + 1, len(image_of))
    reranked_texts = np.empty(len(images.vectors), np.int64)
    for i, order in enumerate(_orders(for_image.T)):
        rank = _reordered(order, depth, match_captions, i)
        reranked_texts[i] = int(np.flatnonzero(image_of[rank] == i)[0])
        progress("reranking captions", i + 1, len(images.vectors))
    ranks = {
        "text_to_image": {"retrieval": text_to_image_ranks(for_text, image_of), "reranked": reranked_images},
        "image_to_text": {"retrieval": image_to_text_ranks(for_image, image_of), "reranked": reranked_texts},
    }
    recalls = {way: {stage: Recalls.of(r).rounded() for stage, r in stages.items()} for way, stages in ranks.items()}
    return Evaluation(len(images.vectors), len(image_of), depth, **recalls)


def encode_dataset(
    dataset: Dataset, encoder: Encoder, *, batch_size: int = 32, progress: Progress = no_progress
) -> tuple[ImageFeatures, TextFeatures]:
    """Encode the pictures and captions of one split, rounded as an index stores them.

    Raises:
        EvaluationError: a picture that cannot be read.
    """
    captions = [caption for example in dataset.examples for caption in example.captions]
    vectors, regions = _encode_images(dataset, encoder, batch_size, progress)
    return ImageFeatures(vectors, regions), encode_texts(captions, encoder, progress)


def _orders(similarities: Floats) -> Iterator[Ranks]:
    """The order of retrieval, a row at a time."""
    for row in similarities:
        yield np.argsort(-row, kind="stable")


def _reordered(order: Ranks, depth: int, match: Callable[[int, Ranks], MatchScores], query: int) -> Ranks:
    top = order[:depth]
    best_first = np.argsort(-match(query, top).scores, kind="stable")
    return np.concatenate([top[best_first], order[depth:]])


def _encode_images(dataset: Dataset, encoder: Encoder, batch_size: int, progress: Progress) -> tuple[Floats, Floats]:
    """Vectors (N, D) and region grids (N, P, C)."""
    vectors: list[Floats] = []
    regions: list[Floats] = []
    examples = dataset.examples
    with ThreadPoolExecutor(2) as pool:
        for start in range(0, len(examples), batch_size):
            part = examples[start : start + batch_size]
            pixels = np.stack(list(pool.map(lambda example: _pixels(example, encoder), part)))
            features = encoder.encode_images(pixels)
            vectors.append(_as_stored(features.vectors))
            regions += [unpack_states(pack_states(grid)) for grid in features.regions]
            progress("encoding images", len(regions), len(examples))
    return np.concatenate(vectors), np.stack(regions)


def _pixels(example: Example, encoder: Encoder) -> Pixels:
    try:
        return encoder.prepare(open_image(example.image))
    except DecodeError as exc:
        raise EvaluationError(f"{example.image}: {exc}; mend it or take it out of the dataset") from exc


def encode_texts(texts: Sequence[str], encoder: Encoder, progress: Progress = no_progress) -> TextFeatures:
    """Encode sentences, rounded as an index stores them."""
    order: list[int] = []
    vectors: list[Floats] = []
    tokens: list[Floats] = []
    familiarity: list[Floats] = []
    for positions, features in encode_in_batches(encoder, texts):
        order += positions
        vectors.append(_as_stored(features.vectors))
        tokens += [unpack_states(pack_states(states)) for states in features.tokens]
        familiarity.append(
            np.ones(len(positions), np.float32) if features.familiarity is None else features.familiarity
        )
        progress("encoding captions", len(tokens), len(texts))
    return TextFeatures(np.concatenate(vectors), tuple(tokens), np.concatenate(familiarity)).take(np.argsort(order))


def _as_stored(vectors: Floats) -> Floats:
    return vectors.astype(np.float16).astype(np.float32)
