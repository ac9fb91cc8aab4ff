"""Several datasets as one training set: every picture file once, and how often each is drawn in an epoch."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ...datasets import Dataset, Example
from ...errors import TrainingError

Pictures = npt.NDArray[np.int64]
"""Row numbers of pictures."""


@dataclass(frozen=True)
class Mixture:
    """Pictures of several datasets, and how often each is drawn in an epoch; the row of each picture of each dataset.

    Shape:
        - weights: (N,), above 0.
    """

    dataset: Dataset
    weights: npt.NDArray[np.float64]
    parts: tuple[tuple[Dataset, Pictures], ...]

    def passes(self, rng: np.random.Generator) -> list[Pictures]:
        """Draw the pictures of an epoch, in passes that hold a picture at most once and each sample the whole mixture.

        A batch lies within one pass, so no picture is its own negative. Of n pictures with weight w, round(w·n) are
        drawn: each of them ⌊w⌋ or ⌈w⌉ times. The sizes of the passes do not depend on chance.

        Returns:
            For each of ⌈largest weight⌉ passes, its pictures in ascending order.
        """
        count = math.ceil(self.weights.max())
        passes: list[list[Pictures]] = [[] for _ in range(count)]
        for weight in np.unique(self.weights):
            pictures = rng.permutation(np.flatnonzero(self.weights == weight))
            draws = np.resize(pictures, round(weight * len(pictures)))  # any len(pictures) in a row are different
            for drawn, part in zip(passes, np.array_split(draws, count), strict=True):
                drawn.append(part)
        return [np.sort(np.concatenate(drawn)) for drawn in passes]

    def steps(self, batch_size: int) -> int:
        """Return the number of batches in an epoch."""
        return sum(math.ceil(len(pictures) / batch_size) for pictures in self.passes(np.random.default_rng(0)))


def mix(datasets: Sequence[Dataset], weights: Sequence[float] = ()) -> Mixture:
    """Join datasets; a picture file of several gets all their captions and labels, and the largest of their weights.

    Args:
        datasets: what to train on.
        weights: how often the pictures of each dataset are drawn in an epoch; empty for once.

    Raises:
        TrainingError: there are not as many weights as datasets.
    """
    weights = weights or [1.0] * len(datasets)
    if len(weights) != len(datasets):
        raise TrainingError(f"{len(weights)} weights for {len(datasets)} datasets; give one for each")
    if len(datasets) == 1:
        count = len(datasets[0].examples)
        return Mixture(datasets[0], np.full(count, weights[0]), ((datasets[0], np.arange(count)),))
    pictures: dict[Path, Example] = {}
    weight_of: dict[Path, float] = {}
    for dataset, weight in zip(datasets, weights, strict=True):
        for example in dataset.examples:
            file = example.image.resolve()
            known = pictures.get(file)
            pictures[file] = _joined(known, example) if known else example
            weight_of[file] = max(weight, weight_of.get(file, 0.0))
    row_of = {file: row for row, file in enumerate(pictures)}
    parts = tuple((d, np.array([row_of[e.image.resolve()] for e in d.examples], np.int64)) for d in datasets)
    name = " + ".join(dataset.name for dataset in datasets)
    return Mixture(Dataset(name, tuple(pictures.values())), np.array(list(weight_of.values())), parts)


def _joined(one: Example, other: Example) -> Example:
    labels = tuple(dict.fromkeys(one.labels + other.labels))
    return replace(one, captions=one.captions + other.captions, labels=labels)


def check_data(
    training: Sequence[Dataset], validation: Sequence[Dataset], mixture: Mixture, processes: int, batch_size: int
) -> None:
    """Check that there is enough to train and validate on.

    Raises:
        TrainingError: datasets, weights or batches are too small, a picture has no caption, or datasets overlap.
    """
    if batch_size < processes:
        raise TrainingError(f"batch_size must be at least {processes}, a picture for each process, not {batch_size}")
    if not validation:
        raise TrainingError("there is nothing to validate on")
    smallest = max(2, processes)
    uses = [(dataset, "train on", smallest) for dataset in training]
    for dataset, use, needed in uses + [(dataset, "validate on", 2) for dataset in validation]:
        if len(dataset.examples) < needed:
            count = len(dataset.examples)
            raise TrainingError(f"{dataset.name} has too few pictures to {use}: {count}; at least {needed} are needed")
        bare = next((example.image for example in dataset.examples if not example.captions), None)
        if bare is not None:
            raise TrainingError(f"{bare} has no caption; give it one or take it out of {dataset.name}")
    if len({dataset.name for dataset in validation}) < len(validation):
        raise TrainingError(f"two datasets have one name: {', '.join(dataset.name for dataset in validation)}")
    check_apart(training, validation)
    if all(len(pictures) < smallest for pictures in mixture.passes(np.random.default_rng(0))):
        raise TrainingError(f"the weights draw fewer than {smallest} pictures of {mixture.dataset.name} at a time")


def check_apart(training: Sequence[Dataset], validation: Sequence[Dataset]) -> None:
    """Check that none of several datasets is validated on a picture file that another one trains on.

    Raises:
        TrainingError: there is such a picture.
    """
    if len(training) == 1:  # its splits are its own
        return
    trained = {example.image.resolve(): dataset.name for dataset in training for example in dataset.examples}
    for dataset in validation:
        shared = [example.image for example in dataset.examples if example.image.resolve() in trained]
        if shared:
            raise TrainingError(
                f"cannot train on {trained[shared[0].resolve()]} and validate on {dataset.name}: they share "
                f"{len(shared)} images, the first: {shared[0]}; give both datasets the same splits"
            )
