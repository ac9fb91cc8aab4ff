"""The folders that clients may have indexed: known to them by id and name, never by where they lie."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Root:
    """A configured folder. Its id follows from its path, so it stays the same when settings are written anew."""

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


def place(path: str, roots: Sequence[Root]) -> tuple[str | None, str]:
    """The id of the root that a file lies in most nearly, and the way from there; the file's name where it is in none.

    Bytes that are no text are question marks in a path, so they are in its root.
    """
    for root in sorted(roots, key=lambda root: -len(root.path.parts)):
        base = (str(root.path).rstrip(os.sep) + os.sep).encode("utf-8", "replace").decode()
        if path.startswith(base):
            return root.id, path.removeprefix(base)
    return None, Path(path).name


def without_paths(text: str, index: Path, roots: Sequence[Root]) -> str:
    """A message of another room for a client: it may name the index and the roots, not where they lie."""
    names = {f"the index in {index}": "the index", str(index): "the index"} | {
        str(root.path): root.name for root in roots if root.path.name
    }
    for path in sorted(names, key=len, reverse=True):
        text = text.replace(path, names[path])
    return text
