"""Measure the recall of a model on a captioned dataset, before and after reranking."""

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
    """Recall in both directions, before (`retrieval`) and after (`reranked`) reranking the top `depth` candidates."""

    n_images: int
    n_captions: int
    depth: int
    text_to_image: dict[str, Recalls]
    image_to_text: dict[str, Recalls]

    def as_dict(self) -> dict[str, Any]:
        """The evaluation as JSON types."""
        return {
            "n_images": self.n_images,
            "n_captions": self.n_captions,
            "depth": self.depth,
            "text_to_image": {stage: recalls._asdict() for stage, recalls in self.text_to_image.items()},
            "image_to_text": {stage: recalls._asdict() for stage, recalls in self.image_to_text.items()},
        }


def evaluate(
    dataset: Dataset,
    encoder: Encoder,
    *,
    depth: int = 100,
    batch_size: int = 32,
    progress: Progress = no_progress,
) -> Evaluation:
    """Measure recall on a dataset.

    Vectors and states are rounded as an index stores them, so the results are those of a search. Text to image ranks
    all images for each caption; image to text takes the best rank of an image's captions.

    Args:
        dataset: one split of a captioned dataset.
        encoder: the model.
        depth: number of candidates to rerank.
        batch_size: images per forward pass.
        progress: called as work goes on.

    Raises:
        EvaluationError: the depth is below 1, or an image cannot be read.
    """
    if depth < 1:
        raise EvaluationError(f"depth must be at least 1, not {depth}")
    image_of = np.repeat(np.arange(len(dataset.examples)), [len(example.captions) for example in dataset.examples])
    images, texts = encode_dataset(dataset, encoder, batch_size=batch_size, progress=progress)
    return measure_recall(encoder, images, texts, image_of, depth=depth, progress=progress)


def measure_recall(
    encoder: Encoder,
    images: ImageFeatures,
    texts: TextFeatures,
    image_of: Ranks,
    *,
    depth: int,
    progress: Progress = no_progress,
) -> Evaluation:
    """Measure recall as `evaluate` does, on images and captions that are already encoded.

    Args:
        encoder: the model.
        images: features of N images.
        texts: features of M captions.
        image_of: the row of each caption's image; every image has at least one caption.
        depth: number of candidates to rerank.
        progress: called as work goes on.

    Shape:
        - image_of: (M,).
    """
    queries = encoder.query(texts)
    text_to_image = queries.vectors @ images.vectors.T  # (M, N)
    image_to_text = texts.vectors @ images.vectors.T  # (M, N)

    def match_images(caption: int, candidates: Ranks) -> MatchScores:
        return encoder.match_images(queries.take([caption]), images.take(candidates))

    def match_captions(image: int, candidates: Ranks) -> MatchScores:
        return encoder.match_captions(images.take([image]), texts.take(candidates))

    reranked_images = np.empty(len(image_of), np.int64)
    for caption, order in enumerate(_orders(text_to_image)):
        reranked = _reranked(order, depth, match_images, caption)
        reranked_images[caption] = int(np.flatnonzero(reranked == image_of[caption])[0])
        progress("reranking images", caption + 1, len(image_of))
    reranked_texts = np.empty(len(images.vectors), np.int64)
    for image, order in enumerate(_orders(image_to_text.T)):
        reranked = _reranked(order, depth, match_captions, image)
        reranked_texts[image] = int(np.flatnonzero(image_of[reranked] == image)[0])
        progress("reranking captions", image + 1, len(images.vectors))
    return Evaluation(
        len(images.vectors),
        len(image_of),
        depth,
        text_to_image=_recalls(text_to_image_ranks(text_to_image, image_of), reranked_images),
        image_to_text=_recalls(image_to_text_ranks(image_to_text, image_of), reranked_texts),
    )


def _recalls(retrieval: Ranks, reranked: Ranks) -> dict[str, Recalls]:
    return {"retrieval": Recalls.of(retrieval).rounded(), "reranked": Recalls.of(reranked).rounded()}


def encode_dataset(
    dataset: Dataset, encoder: Encoder, *, batch_size: int = 32, progress: Progress = no_progress
) -> tuple[ImageFeatures, TextFeatures]:
    """Encode the images and captions of a dataset, rounded as an index stores them.

    Raises:
        EvaluationError: an image cannot be read.
    """
    captions = [caption for example in dataset.examples for caption in example.captions]
    vectors, regions = _encode_images(dataset, encoder, batch_size, progress)
    return ImageFeatures(vectors, regions), encode_texts(captions, encoder, progress)


def _orders(similarities: Floats) -> Iterator[Ranks]:
    """Yield for each row its columns, the most similar first."""
    for row in similarities:
        yield np.argsort(-row, kind="stable")


def _reranked(order: Ranks, depth: int, match: Callable[[int, Ranks], MatchScores], query: int) -> Ranks:
    """Reorder the first `depth` candidates of a query by their match scores."""
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
            batch = examples[start : start + batch_size]
            pixels = np.stack(list(pool.map(lambda example: _pixels(example, encoder), batch)))
            features = encoder.encode_images(pixels)
            vectors.append(_as_stored(features.vectors))
            regions += [unpack_states(pack_states(grid)) for grid in features.regions]
            progress("encoding images", len(regions), len(examples))
    return np.concatenate(vectors), np.stack(regions)


def _pixels(example: Example, encoder: Encoder) -> Pixels:
    try:
        return encoder.prepare(open_image(example.image))
    except DecodeError as exc:
        raise EvaluationError(f"{example.image}: {exc}; repair the file, or remove it from the dataset") from exc


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
