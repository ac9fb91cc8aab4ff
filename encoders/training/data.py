"""The training set as the trainer reads it: activations of the frozen parts, a batch at a time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from ..datasets import Dataset
from ..image_tower import ImageTower
from ..tokenizer import Tokenizer, Tokens
from .views import Advance, Halves, OpenPicture, cached_activations


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

    def batches(
        self, batch_size: int, captions_per_image: int, seed: tuple[int, int], *, least: int = 2
    ) -> Iterator[Batch]:
        """One epoch: every picture once, in a random view, with some captions; fewer than `least` left over are not."""
        rng = np.random.default_rng(seed)
        first = np.searchsorted(self.image_of, np.arange(len(self.activations) + 1))
        order = rng.permutation(len(self.activations))
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


def prepare_pairs(
    dataset: Dataset,
    open_picture: OpenPicture,
    tower: ImageTower,
    tokenizer: Tokenizer,
    cache: Path,
    *,
    cut: int,
    views: int,
    advance: Advance = lambda _: None,
) -> PairSet:
    """Tokenise a dataset's captions, and run the frozen stages over its pictures once; `cache` keeps the outcome."""
    paths = [example.image for example in dataset.examples]
    activations = cached_activations(tower, paths, open_picture, cache, cut=cut, views=views, advance=advance)
    tokens = tokenizer([caption for example in dataset.examples for caption in example.captions])
    image_of = np.repeat(np.arange(len(paths)), [len(e.captions) for e in dataset.examples])
    return PairSet(activations, tokens, image_of)
