"""The `crosslook` program: one function per command; every expected error is one line on stderr."""

from __future__ import annotations

import sys
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from typing import Annotated

import typer

from encoders import EncodersError
from indexer import IndexerError
from indexer.errors import FilterError, PatternError
from search import SearchError

from ..errors import ApiError
from . import duplicates, evaluate, index, keys, models, search, serve, train
from .command import Command
from .output import message
from .streams import prepare_streams

app = typer.Typer(
    name="crosslook",
    help="Search your images by text, and find captions for them.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(requested: bool) -> None:  # noqa: FBT001  typer's signature
    if requested:
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


INTERRUPTED = 130
EXPECTED = (ApiError, SearchError, IndexerError, EncodersError)
"""The root error of each package: reported in one line, without a traceback."""

COMMANDS: dict[str, Callable[..., None]] = {
    "index": index.index,
    "search": search.search,
    "captions": search.captions,
    "similar": search.similar,
    "duplicates": duplicates.duplicates,
    "explain": search.explain,
    "train": train.train,
    "evaluate": evaluate.evaluate,
    "serve": serve.serve,
    "stats": index.stats,
    "doctor": index.doctor,
    "rebuild": index.rebuild,
    "forget": index.forget,
}
for _name, _command in COMMANDS.items():
    app.command(_name, cls=serve.ServeCommand if _command is serve.serve else Command)(_command)
app.add_typer(models.app, name="models")
app.add_typer(keys.app, name="keys")


def main() -> None:
    """Run the program; exits with status 0 on success, 1 on failure, 2 on incorrect usage, 130 after Ctrl-C."""
    prepare_streams()
    try:
        app()
    except EXPECTED as exc:
        message(f"crosslook: {exc}", style="red")
        sys.exit(2 if isinstance(exc, (FilterError, PatternError)) else 1)
    except OSError as exc:
        file = f"{exc.filename}: " if exc.filename else ""
        message(f"crosslook: {file}{exc.strerror or exc}", style="red")
        sys.exit(1)
    except Exception as exc:
        if not _interrupted(exc):
            raise
        sys.exit(INTERRUPTED)


def _interrupted(exc: BaseException | None) -> bool:
    """Whether an error began with Ctrl-C, which Python and libraries turn into errors of their own while they load."""
    return exc is not None and (isinstance(exc, KeyboardInterrupt) or _interrupted(exc.__cause__ or exc.__context__))
