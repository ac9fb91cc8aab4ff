"""The duplicates command."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from indexer import Catalog, find_duplicates
from indexer.duplicates import LIKENESS, Copy, CopyKind, DuplicateGroup

from .options import DEFAULT_INDEX, Index, Json
from .output import columns, count_of, message, path_link, print_json, print_table, progress, size


def duplicates(
    threshold: Annotated[
        float,
        typer.Option(
            "--threshold",
            metavar="L",
            min=0,
            max=1,
            help="Minimum similarity of the least alike parts; 1 lists only identical files.",
        ),
    ] = LIKENESS,
    index: Index = DEFAULT_INDEX,
    json: Json = False,
) -> None:
    """List duplicates: identical files, and resized, recompressed, cropped, grey, mirrored or turned versions.

    Names of one file (hard links) are listed with it. Symbolic links are left out, and so are files that have changed
    since they were indexed.
    """
    with Catalog.open(index) as catalog, progress(quiet=json) as advance:
        groups = find_duplicates(catalog, threshold=threshold, progress=advance)
    files = sum(group.files for group in groups)
    identical, versions = _spare(groups, CopyKind.SAME_BYTES), _spare(groups, CopyKind.VERSION)
    if json:
        document = [
            {"likeness": g.likeness, "largest": g.copies[0].path, "files": [asdict(copy) for copy in g.copies]}
            for g in groups
        ]
        spare = {"spare_bytes": identical + versions, "spare_bytes_identical": identical}
        print_json({"threshold": threshold, "groups": document, "files": files, **spare})
        return
    _print(groups)
    if not groups:
        message("No duplicates found.", style="dim")
        return
    text = f"{count_of(len(groups), 'picture')} in {count_of(files, 'file')}"
    if identical or versions:
        text += f"; identical files take {size(identical)}, versions of the largest {size(versions)}"
    message(text, style="dim")
    if versions:
        message("Look at a version before you delete it or the largest: either can be the edited one.", style="dim")


def _spare(groups: Sequence[DuplicateGroup], kind: CopyKind) -> int:
    """The bytes that deleting all files of a kind would free."""
    return sum(copy.frees for group in groups for copy in group.copies if copy.kind is kind)


def _print(groups: Sequence[DuplicateGroup]) -> None:
    """Print duplicate groups as a table, separated by blank lines, the largest file of each first."""
    table = columns()
    for number, group in enumerate(groups):
        if number:
            table.add_row()
        for copy in group.copies:
            note = Text(f" ({_freeing_note(copy)})" if not copy.frees else "", style="dim")
            table.add_row(copy.kind, f"{copy.width}x{copy.height}", size(copy.bytes), path_link(Path(copy.path)) + note)
    if groups:
        print_table(table)


def _freeing_note(copy: Copy) -> str:
    """Say why deleting a path frees nothing."""
    if copy.kind is CopyKind.ANOTHER_NAME:
        return "another name of the same file; deleting it frees nothing"
    return "has another name outside the index; deleting it frees nothing"
