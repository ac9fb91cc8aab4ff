"""Commands for the API keys of an index: add, list, revoke. See docs/SECURITY.md."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table
from rich.text import Text

from indexer import Catalog

from .options import DEFAULT_INDEX, Index, Json
from .output import message, print_json, print_table

if TYPE_CHECKING:
    from ..server.gate.keys import Key, KeyStore


class Scope(StrEnum):
    """What a key allows."""

    READ = "read"
    WRITE = "write"


app = typer.Typer(help="Manage API keys for a server that other machines can reach.", no_args_is_help=True)


@app.command()
def add(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Name of the key, such as who uses it.")],
    scope: Annotated[
        list[Scope] | None,
        typer.Option(
            "--scope", help="`read` allows searching, `write` also indexing; repeatable.", show_default="read"
        ),
    ] = None,
    index: Index = DEFAULT_INDEX,
    json: Json = False,
) -> None:
    """Create a key and print it once: only its digest is stored."""
    with _store(index) as store:
        key, secret = store.add(name, [each.value for each in scope or (Scope.READ,)])
    if json:
        print_json(_as_json(key) | {"key": secret})
        return
    message(f"Key {key.name} ({' and '.join(key.scopes)}). Save it now; it is not shown again:", style="green")
    sys.stdout.write(secret + "\n")


@app.command("list")
def list_keys(index: Index = DEFAULT_INDEX, json: Json = False) -> None:
    """List the keys of the index; the secrets themselves are not stored."""
    with _store(index) as store:
        keys = store.all()
    if json:
        print_json({"keys": [_as_json(key) for key in keys]})
        return
    if not keys:
        message("No keys. Create one with: crosslook keys add NAME", style="yellow")
        return
    table = Table("id", "name", "scopes", "created", box=None)
    for key in keys:
        table.add_row(key.id, Text(key.name), ", ".join(key.scopes), key.created.isoformat())
    print_table(table)


@app.command()
def revoke(
    key: Annotated[str, typer.Argument(metavar="NAME_OR_ID", help="Name or id of the key.")],
    index: Index = DEFAULT_INDEX,
    json: Json = False,
) -> None:
    """Revoke a key; running servers refuse it from their next request on."""
    with _store(index) as store:
        revoked = store.revoke(key)
    if json:
        print_json({"revoked": _as_json(revoked)})
    else:
        message(f"Revoked key {revoked.name} ({revoked.id}).", style="green")


@contextmanager
def _store(index: Path) -> Iterator[KeyStore]:
    """The key store of an existing index."""
    from ..server.gate.keys import KeyStore  # noqa: PLC0415  other commands need no server

    with Catalog.open(index):
        yield KeyStore(index)


def _as_json(key: Key) -> dict[str, Any]:
    return key.model_dump(mode="json", exclude={"sha256"})
