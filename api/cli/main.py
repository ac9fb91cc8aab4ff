"""The `crosslook` program: one function per command; every expected error is one line on stderr."""

from __future__ import annotations

import sys
from importlib import import_module
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup

from encoders.errors import EncodersError
from indexer.errors import FilterError, IndexerError, PatternError
from search.errors import SearchError

from ..errors import ApiError
from .command import Command
from .output import message
from .streams import prepare_streams


class Commands(TyperGroup):
    """The commands, each imported when it runs: `--help` waits for none of them."""

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ANN401  typer exports no such type
        """List the names."""
        del ctx
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:  # noqa: ANN401  as above
        """Return a stand-in with the description, for `--help`."""
        del ctx
        return TyperCommand(cmd_name, help=COMMANDS[cmd_name][1]) if cmd_name in COMMANDS else None

    def resolve_command(self, ctx: Any, args: list[str]) -> tuple[Any, Any, list[str]]:  # noqa: ANN401  as above
        """Import the command that runs, or whose help is asked for."""
        name, stand_in, rest = super().resolve_command(ctx, args)
        return name, stand_in and load_command(str(stand_in.name)), rest


app = typer.Typer(
    name="crosslook",
    cls=Commands,
    help="Search your images by text, and find captions for them.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(requested: bool) -> None:  # noqa: FBT001  typer's signature
    if requested:
        from importlib.metadata import PackageNotFoundError, version  # noqa: PLC0415  slow to import

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

COMMANDS = {
    "index": ("index", "Index images or update the index; unchanged files are not opened again."),
    "search": ("search", "Find images by text, by example image, or both."),
    "captions": (
        "search",
        "Find captions for an image, among those of the index or else those of the built-in caption bank that fit.",
    ),
    "similar": ("search", "Find images similar to an image."),
    "duplicates": (
        "duplicates",
        "List duplicates: identical files, and resized, recompressed, cropped, grey, mirrored or turned versions.",
    ),
    "explain": ("search", "Draw a heat map of where each word of a sentence appears in an image."),
    "train": (
        "train",
        "Train both towers and the reranker together, fine-tune a model, or train a reranker on a pretrained pair.",
    ),
    "evaluate": (
        "evaluate",
        "Measure recall@1, 5 and 10 in both directions, before and after reranking; several datasets each by itself.",
    ),
    "serve": (
        "serve",
        "Serve the index over HTTP; OpenAPI is at /openapi.json, all settings are in docs/SERVING.md.",
    ),
    "stats": ("index", "Show what the index contains."),
    "doctor": ("index", "Show what this machine offers, and check the model and the index."),
    "rebuild": ("index", "Rebuild the FAISS files from the catalog."),
    "forget": (
        "index",
        "Remove a folder and everything below it from the index; the files themselves are not touched.",
    ),
    "models": ("models", "Add models to an index, compare them, and switch between them."),
    "keys": ("keys", "Manage API keys for a server that other machines can reach."),
}
"""The module and the description of each command."""


def load_command(name: str) -> Any:  # noqa: ANN401  typer exports no type for a command or a group of them
    """Import a command."""
    module = import_module(f".{COMMANDS[name][0]}", __package__)
    if hasattr(module, "app"):
        group = typer.main.get_command(module.app)
        group.name = name
        return group
    single = typer.Typer(add_completion=False)
    single.command(name, cls=getattr(module, "ServeCommand", Command))(getattr(module, name))
    return typer.main.get_command(single)


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
