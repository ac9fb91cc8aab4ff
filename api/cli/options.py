"""Options shared by several commands."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from encoders import BASE_MODEL
from indexer import Catalog
from indexer.catalog.connection import DATABASE
from indexer.models import model_directory as recorded_directory

Index = Annotated[
    Path,
    typer.Option("--index", envvar="CROSSLOOK_INDEX", metavar="DIR", help="The index folder."),
]
DEFAULT_INDEX = Path("crosslook-index")

Model = Annotated[
    Path | None,
    typer.Option("--model", metavar="DIR", help="A trained model.", show_default="the index's, else the base model"),
]
ModelOrBase = Annotated[
    Path | None, typer.Option("--model", metavar="DIR", help="A trained model.", show_default="the base model")
]
"""For commands that use no index."""
Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON on stdout.")]
Device = Annotated[str, typer.Option("--device", help="auto, cpu, cuda, cuda:1, …; doctor lists what there is.")]
Depth = Annotated[int, typer.Option("--depth", min=1, max=10_000, help="Number of candidates to rerank.")]
NoRerank = Annotated[bool, typer.Option("--no-rerank", help="Keep the retrieval order; do not rerank.")]
Where = Annotated[
    list[str] | None,
    typer.Option(
        "--where",
        metavar="EXPR",
        help="A filter such as 'taken_at >= 2024-01-01 and size > 2MB'; repeatable, all must match.",
    ),
]


def model_directory(model: Path | None) -> Path | None:
    """Resolve `--model base` to the base model, unless a folder named `base` exists."""
    return BASE_MODEL if model is not None and str(model) == "base" and not model.is_dir() else model


def model_for(index: Path, model: Path | None) -> Path | None:
    """The model named by `--model`, else the active model of the index; None for the base model.

    Raises:
        ModelError: the model of the index is no longer in its recorded folder.
    """
    if model is not None or not (index / DATABASE).exists():
        return model_directory(model)
    with Catalog.open(index) as catalog:
        return recorded_directory(catalog, catalog.active_encoder())
