"""Options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from encoders import BASE_MODEL
from indexer import Catalog
from indexer.catalog.connection import DATABASE
from indexer.models import model_directory as remembered_directory

Index = Annotated[
    Path,
    typer.Option("--index", envvar="CROSSLOOK_INDEX", metavar="DIR", help="Where the index is."),
]
DEFAULT_INDEX = Path("crosslook-index")

Model = Annotated[
    Path | None,
    typer.Option("--model", metavar="DIR", help="A trained model.", show_default="the index's, else the base model"),
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document on stdout, and nothing else.")]
Device = Annotated[str, typer.Option("--device", help="auto, cpu, cuda, cuda:1, …")]
Depth = Annotated[int, typer.Option("--depth", min=1, max=10_000, help="How many candidates the reranker looks at.")]
NoRerank = Annotated[bool, typer.Option("--no-rerank", help="Leave the order of the towers as it is.")]
Where = Annotated[
    list[str] | None,
    typer.Option(
        "--where",
        metavar="EXPR",
        help="A filter such as 'taken_at >= 2024-01-01 and size > 2MB'; may be given again, and all must hold.",
    ),
]


def model_directory(given: Path | None) -> Path | None:
    """`--model base` means the base model wherever crosslook is installed."""
    return BASE_MODEL if given is not None and str(given) == "base" and not given.is_dir() else given


def model_for(index: Path, given: Path | None) -> Path | None:
    """The model that `--model` names, else the one that an index remembers; None for the base model.

    Raises:
        ModelError: the index's model is not where it was.
    """
    if given is not None or not (index / DATABASE).exists():
        return model_directory(given)
    with Catalog.open(index) as catalog:
        return remembered_directory(catalog, catalog.active_encoder())
