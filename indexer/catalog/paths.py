"""Paths as the catalog stores them: absolute text, with symbolic links unresolved."""

from __future__ import annotations

import os
from pathlib import Path

from sqlalchemy import ColumnElement


def is_storable(path: Path | str) -> bool:
    """Whether a path is valid UTF-8; some file systems allow other names."""
    return str(path).encode("utf-8", "replace").decode() == str(path)


def at_or_below(column: ColumnElement[str], path: str) -> ColumnElement[bool]:
    """SQL condition: a stored path is this one or below it. It is a range, which the index on paths serves."""
    folder = path.rstrip(os.sep)
    return (column == path) | ((column >= folder + os.sep) & (column < folder + chr(ord(os.sep) + 1)))
