"""The duplicates command."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from indexer import Catalog, find_duplicates
from indexer.duplicates import LIKENESS

from .options import DEFAULT_INDEX, Index, Json
from .output import message, print_duplicates, print_json, progress, size


def duplicates(
    threshold: Annotated[
        float,
        typer.Option(
            "--threshold",
            metavar="L",
            min=0,
            max=1,
            help="Minimum similarity; 1 lists only identical files.",
        ),
    ] = LIKENESS,
    index: Index = DEFAULT_INDEX,
    json: Json = False,
) -> None:
    """List duplicates: identical files, and resized, recompressed, brightened or slightly cropped versions."""
    with Catalog.open(index) as catalog, progress(quiet=json) as advance:
        groups = find_duplicates(catalog, threshold=threshold, progress=advance)
    files = sum(len(group.copies) for group in groups)
    spare = sum(copy.bytes for group in groups for copy in group.copies[1:])
    if json:
        document = [
            {"likeness": g.likeness, "largest": g.copies[0].path, "files": [asdict(copy) for copy in g.copies]}
            for g in groups
        ]
        print_json({"threshold": threshold, "groups": document, "files": files, "spare_bytes": spare})
        return
    print_duplicates(groups)
    if not groups:
        message("No duplicates found.", style="dim")
        return
    noun = "picture" if len(groups) == 1 else "pictures"
    message(
        f"{len(groups)} {noun} in {files} files; keeping only the largest of each would free {size(spare)}", style="dim"
    )
