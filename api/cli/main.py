"""The program `crosslook`: one command a function, and every expected error one sentence on stderr."""

from __future__ import annotations

import sys
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from typing import Annotated

import typer

from encoders import EncodersError
from indexer import IndexerError
from indexer.errors import FilterError
from search import SearchError

from ..errors import ApiError
from . import duplicates, index, keys, models, search, serve, train
from .output import message

app = typer.Typer(
    name="crosslook",
    help="Search your pictures with words, and find words for your pictures.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(asked: bool) -> None:  # noqa: FBT001  typer's signature
    if asked:
        try:
            typer.echo(f"crosslook {version('crosslook')}")
        except PackageNotFoundError:
            typer.echo("crosslook, not installed")
        raise typer.Exit


@app.callback()
def _options(
    _version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Options of the program itself."""


EXPECTED = (ApiError, SearchError, IndexerError, EncodersError)
"""The root error of every room: the user is told these in one sentence, without a traceback."""

COMMANDS: dict[str, Callable[..., None]] = {
    "index": index.index,
    "search": search.search,
    "captions": search.captions,
    "similar": search.similar,
    "duplicates": duplicates.duplicates,
    "explain": search.explain,
    "train": train.train,
    "evaluate": train.evaluate,
    "serve": serve.serve,
    "stats": index.stats,
    "doctor": index.doctor,
    "rebuild": index.rebuild,
    "forget": index.forget,
}
for _name, _command in COMMANDS.items():
    app.command(_name, cls=serve.ServeCommand if _command is serve.serve else None)(_command)
app.add_typer(models.app, name="models")
app.add_typer(keys.app, name="keys")


def main() -> None:
    """Run the program; ends with status 0 when done, 1 when it failed, 2 on bad usage."""
    try:
        app()
    except EXPECTED as exc:
        message(f"crosslook: {exc}", style="red")
        sys.exit(2 if isinstance(exc, FilterError) else 1)
    except OSError as exc:
        where = f"{exc.filename}: " if exc.filename else ""
        message(f"crosslook: {where}{exc.strerror or exc}", style="red")
        sys.exit(1)
