"""The folders that clients may index, identified by id and name, never by path."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Root:
    """A configured folder. Its id is derived from its path, so it is stable across restarts."""

    id: str
    name: str
    path: Path

    @classmethod
    def at(cls, path: Path) -> Root:
        """The root of a folder."""
        return cls(hashlib.sha256(os.fsencode(path)).hexdigest()[:12], path.name or "root", path)


def roots_of(paths: Sequence[Path]) -> dict[str, Root]:
    """Roots by id, in the order of the settings."""
    return {root.id: root for root in map(Root.at, paths)}


def locate(path: str, roots: Sequence[Root]) -> tuple[str | None, str]:
    """Find the innermost root of a file.

    Undecodable bytes are question marks in `path`, so they are replaced in the roots too.

    Returns:
        The root's id and the path relative to it; None and the file name if the file is in no root.
    """
    for root in sorted(roots, key=lambda root: -len(root.path.parts)):
        base = (str(root.path).rstrip(os.sep) + os.sep).encode("utf-8", "replace").decode()
        if path.startswith(base):
            return root.id, path.removeprefix(base)
    return None, Path(path).name


def redact_paths(text: str, index: Path, roots: Sequence[Root]) -> str:
    """Replace the paths of the index and the roots in a message by their names, for clients."""
    names = {f"the index in {index}": "the index", str(index): "the index"} | {
        str(root.path): root.name for root in roots if root.path.name
    }
    for path in sorted(names, key=len, reverse=True):
        text = text.replace(path, names[path])
    return text
