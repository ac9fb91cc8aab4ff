"""The datasets that train and evaluate are given, and the tables of recalls that they print."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from encoders.datasets import Dataset, read_dataset
from encoders.recall import Recalls

from ..errors import InputError
from .output import count_of, message, print_table

Datasets = Annotated[list[Path], typer.Argument(metavar="DATASET…", help="Folders or files of captioned images.")]
Images = Annotated[
    Path | None, typer.Option("--images", metavar="DIR", help="Where the images are, if not beside the captions.")
]

Directions = dict[str, dict[str, Recalls]]
"""Recalls by direction, then by stage."""


def read_datasets(paths: Sequence[Path], images: Path | None, *, quiet: bool = False) -> list[Dataset]:
    """Read datasets, and say how many rows of each were skipped; those of one name are named by their paths.

    Raises:
        InputError: a path is given twice.
    """
    twice = next((path for path, count in Counter(paths).items() if count > 1), None)
    if twice is not None:
        raise InputError(f"{twice} is given twice")
    datasets = [read_dataset(path, images=images) for path in paths]
    for dataset in datasets:
        if dataset.rejected and not quiet:
            rows = count_of(len(dataset.rejected), "row")
            message(f"{rows} skipped, the first: {dataset.rejected[0]}", style="yellow")
    count = Counter(dataset.name for dataset in datasets)
    return [d if count[d.name] == 1 else replace(d, name=str(p)) for d, p in zip(datasets, paths, strict=True)]


def print_recalls(datasets: dict[str, Directions]) -> None:
    """Print the recalls of one dataset with a row for each direction and stage; of several with a row for each."""
    if len(datasets) == 1:
        (directions,) = datasets.values()
        table = Table("", "", "R@1", "R@5", "R@10", box=None)
        for direction, stages in directions.items():
            for stage, recalls in stages.items():
                table.add_row(direction if stage == "retrieval" else "", stage, *map(_percent, recalls))
        columns = table.columns[2:]
    else:
        table = Table("R@1 / 5 / 10", "text → image", "reranked", "image → text", "reranked", box=None)
        for name, directions in datasets.items():
            figures = [recalls for stages in directions.values() for recalls in stages.values()]
            table.add_row(name, *("/".join(map(_percent, recalls)) for recalls in figures))
        columns = table.columns[1:]
    for column in columns:
        column.justify = "right"
    print_table(table)


def _percent(value: float) -> str:
    return f"{value:.1f}"
