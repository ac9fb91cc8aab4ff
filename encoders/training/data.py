"""The training set as the trainer reads it: activations of the frozen parts, a batch at a time."""

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

from ..checkpoint.tokenizer import Tokenizer, Tokens
from ..datasets import Dataset
from ..network.image_tower import ImageTower
from ..progress import Progress, no_progress
from .views import Halves, OpenPicture, cached_activations

Order = npt.NDArray[np.int64]

NEIGHBOURS = 64
"""How many of a picture's nearest can come with it."""


@dataclass(frozen=True)
class Batch:
    """Shape: activations (B, c, h, w); ids, mask, attended (M, T); image_of, rows (M,).

    `rows` are the captions' places in the training set.
    """

    activations: Tensor
    ids: Tensor
    mask: Tensor
    attended: Tensor
    image_of: Tensor
    rows: Tensor


@dataclass(frozen=True)
class PairSet:
    """Pictures and their captions, ready for the trained part of the model.

    Shape:
        - activations: (N, views, c, h, w), float16, memory-mapped; image_of: (captions,).
    """

    activations: Halves
    captions: Tokens
    image_of: npt.NDArray[np.int64]

    def tokens_of(self, rows: npt.NDArray[np.int64]) -> tuple[Tensor, Tensor, Tensor]:
        """Ids, word mask and attended (M, T) of some captions, no wider than the longest of them."""
        width = int(self.captions.attended[rows].sum(1).max())
        ids, mask, attended = (a[rows, :width] for a in (self.captions.ids, self.captions.mask, self.captions.attended))
        return torch.from_numpy(ids), torch.from_numpy(mask), torch.from_numpy(attended)

    def sample(self, count: int) -> PairSet:
        """Up to `count` pictures, evenly spread, in one view, each with its first caption."""
        chosen = np.unique(np.linspace(0, len(self.activations) - 1, min(count, len(self.activations)), dtype=np.int64))
        rows = np.searchsorted(self.image_of, chosen)
        captions = Tokens(self.captions.ids[rows], self.captions.mask[rows], self.captions.attended[rows])
        return PairSet(self.activations[chosen, :1], captions, np.arange(len(chosen)))

    def neighbours(self, sentences: Tensor) -> Order:
        """Each picture's nearest by their captions, itself among them: captions' vectors (M, C) → rows (N, k)."""
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
        least: int = 2,
    ) -> Iterator[Batch]:
        """One epoch: pictures in this order, each in a random view with some captions.

        A last batch of fewer than `least` is left out.
        """
        first = np.searchsorted(self.image_of, np.arange(len(self.activations) + 1))
        for start in range(0, len(order), batch_size):
            images = order[start : start + batch_size]
            if len(images) < least:
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
            )


def in_groups(count: int, neighbours: Order | None, size: int, rng: np.random.Generator) -> Order:
    """A random order of pictures in which most come with others like them, so that a batch has hard negatives.

    Args:
        count: how many pictures there are.
        neighbours: from `PairSet.neighbours`; None for no groups.
        size: pictures in a group, at most, and at most as many as there are neighbours; fewer where those that are
            near are taken already.
        rng: where the order comes from.

    Source: Byun et al., "GRIT-VLP: Grouped Mini-batch Sampling", https://arxiv.org/abs/2208.04060.
    """
    order = rng.permutation(count)
    if neighbours is None:
        return order
    left = np.ones(count, bool)
    groups = []
    for picture in order:
        if left[picture]:
            left[picture] = False
            near = neighbours[picture]
            group = np.concatenate([[picture], near[left[near]][: size - 1]])
            left[group] = False
            groups.append(group)
    return np.concatenate([groups[i] for i in rng.permutation(len(groups))])


def prepare_pairs(
    dataset: Dataset,
    open_picture: OpenPicture,
    tower: ImageTower,
    tokenizer: Tokenizer,
    cache: Path,
    *,
    cut: int,
    views: int,
    phase: str = "pictures",
    progress: Progress = no_progress,
) -> PairSet:
    """Tokenise a dataset's captions, and run the frozen stages over its pictures once; `cache` keeps the outcome."""
    paths = [example.image for example in dataset.examples]
    activations = cached_activations(
        tower, paths, open_picture, cache, cut=cut, views=views, phase=phase, progress=progress
    )
    tokens = tokenizer([caption for example in dataset.examples for caption in example.captions])
    image_of = np.repeat(np.arange(len(paths)), [len(e.captions) for e in dataset.examples])
    return PairSet(activations, tokens, image_of)
