"""The training set in batches: cached activations of the frozen stages, and tokenised captions."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F  # noqa: N812  torch's own convention
from torch import Tensor

from ...checkpoint.tokenizer import AnyTokenizer, Tokens
from ...datasets import Dataset
from ...progress import Progress, no_progress
from .frozen import Frozen, Halves
from .judgement import LabelQueries
from .labels import LabelBatch, Labels
from .sentences import Sentences, cached_states
from .views import OpenPicture, cached_activations

Order = npt.NDArray[np.int64]

NEIGHBOURS = 64
"""Nearest pictures that a picture can be grouped with."""


@dataclass(frozen=True)
class Batch:
    """One batch; `rows` are the row numbers of its captions in the training set, `labels` some of its pictures' labels.

    Shape:
        - activations: (B, c, h, w); ids, mask, attended: (M, T); image_of, rows: (M,).
        - of a pretrained pair, activations: (B, 1 + P, W); ids: (M, T, W), states.
    """

    activations: Tensor
    ids: Tensor
    mask: Tensor
    attended: Tensor
    image_of: Tensor
    rows: Tensor
    labels: LabelBatch | None = None


@dataclass(frozen=True)
class PairSet:
    """Cached activations of pictures, their tokenised captions, and for validation their labels as queries.

    `unknown` is the token of words that the vocabulary lacks; `sentences` are the states of the captions, if the text
    tower is frozen.

    Shape:
        - activations: (N, views, …), float16, memory-mapped; image_of: (captions,).
    """

    activations: Halves
    captions: Tokens
    image_of: npt.NDArray[np.int64]
    unknown: int = -1
    labels: LabelQueries | None = None
    sentences: Sentences | None = None

    def tokens_of(self, rows: npt.NDArray[np.int64]) -> tuple[Tensor, Tensor, Tensor]:
        """Return ids (or states), word mask and attended of some captions, no wider than the longest of them."""
        tokens = self.captions.take(rows)
        if self.sentences is None:
            ids = torch.from_numpy(tokens.ids)
        else:
            ids = self.sentences.take(rows).padded(tokens.ids.shape[1])
        return ids, torch.from_numpy(tokens.mask), torch.from_numpy(tokens.attended)

    def sample(self, count: int) -> PairSet:
        """Select up to `count` evenly spread pictures in one view, each with its first caption."""
        chosen = np.unique(np.linspace(0, len(self.activations) - 1, min(count, len(self.activations)), dtype=np.int64))
        rows = np.searchsorted(self.image_of, chosen)
        sentences = None if self.sentences is None else self.sentences.take(rows)
        return PairSet(
            self.activations[chosen, :1], self.captions.take(rows), np.arange(len(chosen)), sentences=sentences
        )

    def neighbours(self, sentences: Tensor) -> Order:
        """Find each picture's nearest by their captions, itself included: caption vectors (M, C) → rows (N, k)."""
        count = len(self.activations)
        owners = torch.from_numpy(self.image_of)
        means = F.normalize(torch.zeros(count, sentences.shape[1]).index_add_(0, owners, sentences), dim=-1)
        nearest = [(part @ means.T).topk(min(NEIGHBOURS, count)).indices for part in torch.split(means, 1024)]
        return cast(Order, torch.cat(nearest).numpy())

    def batches(
        self,
        order: Order,
        batch_size: int,
        captions_per_image: int,
        rng: np.random.Generator,
        *,
        labels: Labels | None = None,
        smallest: int = 2,
    ) -> Iterator[Batch]:
        """Yield the batches of one epoch: pictures in the given order, each in a random view with some captions.

        A last batch of fewer than `smallest` pictures is left out.
        """
        first = np.searchsorted(self.image_of, np.arange(len(self.activations) + 1))
        for start in range(0, len(order), batch_size):
            images = order[start : start + batch_size]
            if len(images) < smallest:
                return
            chosen = [
                rng.choice(
                    np.arange(first[i], first[i + 1]), min(captions_per_image, first[i + 1] - first[i]), replace=False
                )
                for i in images
            ]
            views = rng.integers(0, self.activations.shape[1], len(images))
            activations = np.stack([self.activations[i, v] for i, v in zip(images, views, strict=True)])
            owners = np.repeat(np.arange(len(images)), [len(c) for c in chosen])
            rows = np.concatenate(chosen)
            yield Batch(
                torch.from_numpy(activations).float(),
                *self.tokens_of(rows),
                torch.from_numpy(owners),
                torch.from_numpy(rows),
                labels.sample(images, rng) if labels else None,
            )


def grouped_order(pictures: Order, neighbours: Order | None, size: int, rng: np.random.Generator) -> Order:
    """Return a random order of pictures in groups of similar ones, so that batches have hard negatives.

    Args:
        pictures: their row numbers.
        neighbours: from `PairSet.neighbours`; None for no groups.
        size: largest group, at most the number of neighbours; a group is smaller if the nearest are in other groups.
        rng: random numbers for the order.

    Source: Byun et al., "GRIT-VLP: Grouped Mini-batch Sampling", https://arxiv.org/abs/2208.04060.
    """
    order = pictures[rng.permutation(len(pictures))]
    if neighbours is None:
        return order
    remaining = np.zeros(len(neighbours), bool)
    remaining[pictures] = True
    groups = []
    for picture in order:
        if remaining[picture]:
            remaining[picture] = False
            nearest = neighbours[picture]
            group = np.concatenate([[picture], nearest[remaining[nearest]][: size - 1]])
            remaining[group] = False
            groups.append(group)
    return np.concatenate([groups[i] for i in rng.permutation(len(groups))])


def prepare_pairs(
    dataset: Dataset,
    open_picture: OpenPicture,
    frozen: Frozen,
    tokenizer: AnyTokenizer,
    cache: Path,
    *,
    views: int,
    label_queries: bool = False,
    phase: str = "pictures",
    progress: Progress = no_progress,
) -> PairSet:
    """Tokenise a dataset's captions, and run once what is frozen of the towers; `cache` keeps its output."""
    paths = [example.image for example in dataset.examples]
    activations = cached_activations(frozen, paths, open_picture, cache, views=views, phase=phase, progress=progress)
    tokens = tokenizer([caption for example in dataset.examples for caption in example.captions])
    image_of = np.repeat(np.arange(len(paths)), [len(e.captions) for e in dataset.examples])
    sentences = cached_states(frozen, tokens, cache, progress=progress)
    labels = LabelQueries.of(dataset.examples, tokenizer) if label_queries and sentences is None else None
    return PairSet(activations, tokens, image_of, tokenizer.unknown, labels, sentences)
